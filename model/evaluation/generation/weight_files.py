"""Finds the published weights that a figure is defined by, and nothing else in their place.

A figure such as FID is a number only with exactly these weights, so a file counts by its hash.
Without one the figure is left out with a sentence (`FigureLeftOut`); a file that was given and is
not it is an error (`WeightFileError`). Nothing is fetched from the network unless asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from dgnet.files import file_sha256
from dgnet.paths import local_path


class FigureLeftOut(Exception):
    """A figure cannot be measured here; the message says what it would take."""


class WeightFileError(ValueError):
    """The file that was given is not what it was given as."""


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """One file of weights as its publisher ships it."""

    figure: str
    url: str
    sha256: str
    """All or the first digits of it."""
    option: str
    """The option of the command line that names the file."""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def kept_at(self) -> Path:
        """Where torch.hub, and with it the library, keeps what it has downloaded."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.name

    def find(self, file: str | Path | None, *, download: bool) -> Path:
        """The file that was given, else what is kept, else, where asked for, a download."""
        if file is not None:
            file = local_path(file)
            self._require_published(file)
            return file
        if self.kept_at.is_file():
            self._require_published(self.kept_at)
            return self.kept_at
        if not download:
            raise FigureLeftOut(
                f"{self.figure} is left out: {self.name} is not at hand; give it with "
                f"{self.option} FILE, or let --download-weights fetch it"
            )
        self.kept_at.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(
                self.url, str(self.kept_at), hash_prefix=self.sha256, progress=False
            )
        except (OSError, RuntimeError) as error:
            raise FigureLeftOut(
                f"{self.figure} is left out: {self.url} could not be downloaded ({error}); give "
                f"the file with {self.option} FILE"
            ) from error
        return self.kept_at

    def _require_published(self, file: Path) -> None:
        try:
            found = file_sha256(file)
        except OSError as error:
            raise WeightFileError(
                f"{file} cannot be read ({error.strerror}); expected {self.name}, the weights of "
                f"{self.figure}"
            ) from error
        if not found.startswith(self.sha256):
            raise WeightFileError(
                f"{file} has sha256 {found[:12]}..., expected {self.sha256[:12]}...: it is not "
                f"{self.name}, and {self.figure} with other weights would be another figure"
            )
