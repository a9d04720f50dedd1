"""The best checkpoint of a run, by what held-out people say (see `validation`)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dgnet.model.checkpoints import METADATA_FILE, read_metadata
from dgnet.model.training.validation import CRITERION

BEST_FOLDER = "best"


class BestCheckpoint:
    """Measures whenever asked, and keeps a whole checkpoint of the best so far in `RUN/best`.

    What is best is read from that checkpoint alone, so a killed run forgets nothing; the earliest
    of equals stays, so a resumed run keeps the one that an unbroken run would.
    """

    def __init__(
        self,
        run: Path,
        *,
        measure: Callable[[], dict[str, float]],
        save: Callable[[Path, dict[str, Any]], object],
    ) -> None:
        """`measure` gives shares by name, `save` writes a checkpoint with the given metrics."""
        self._folder = run / BEST_FOLDER
        self._measure = measure
        self._save = save

    def start(self, *, resume: bool) -> None:
        """A new run has no best yet, whatever another one left in its folder."""
        if not resume:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def scores(self) -> dict[str, Any] | None:
        """The scores of the best so far, with its iteration."""
        if not (self._folder / METADATA_FILE).is_file():
            return None
        return read_metadata(self._folder).metrics["validation"]

    def update(self, iteration: int) -> dict[str, float]:
        """Scores after `iteration` iterations; a new best is kept."""
        found = self._measure()
        best = self.scores
        if best is None or found[CRITERION] > best[CRITERION]:
            self._save(self._folder, {"validation": {"iteration": iteration, **found}})
        return found
