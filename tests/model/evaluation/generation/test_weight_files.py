"""Published weights are found by their hash, and a figure without them is left out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dgnet.model.evaluation.generation.weight_files import (
    FigureLeftOut,
    PublishedWeights,
    WeightFileError,
)

CONTENT = b"trained for a week"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublishedWeights:
    """A publisher on this machine, and nothing kept yet."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    (tmp_path / "publisher").mkdir()
    (tmp_path / "publisher" / "net.pth").write_bytes(CONTENT)
    return PublishedWeights(
        figure="FID",
        url=(tmp_path / "publisher" / "net.pth").as_uri(),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        option="--inception-weights",
    )


def test_a_given_file_counts_by_its_hash_whatever_its_name(
    published: PublishedWeights, tmp_path: Path
) -> None:
    file = tmp_path / "renamed.bin"
    file.write_bytes(CONTENT)
    assert published.find(file, download=False) == file


def test_another_file_in_its_place_is_refused(published: PublishedWeights, tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(b"trained for a day")
    with pytest.raises(WeightFileError, match="FID with other weights would be another figure"):
        published.find(file, download=True)
    published.kept_at.parent.mkdir(parents=True)
    published.kept_at.write_bytes(b"trained for a day")
    with pytest.raises(WeightFileError, match=r"it is not net\.pth"):
        published.find(None, download=True)


def test_a_given_file_that_is_not_there_is_an_error(
    published: PublishedWeights, tmp_path: Path
) -> None:
    with pytest.raises(WeightFileError, match=r"gone\.pth cannot be read .*expected net\.pth"):
        published.find(tmp_path / "gone.pth", download=True)


def test_without_a_file_the_message_says_what_to_do(published: PublishedWeights) -> None:
    with pytest.raises(FigureLeftOut, match=r"net\.pth is not at hand; give it with --inception-w"):
        published.find(None, download=False)
    assert not published.kept_at.exists()


def test_a_download_is_kept_and_found_again(published: PublishedWeights, tmp_path: Path) -> None:
    assert published.find(None, download=True) == published.kept_at
    (tmp_path / "publisher" / "net.pth").unlink()
    assert published.find(None, download=False).read_bytes() == CONTENT


def test_a_download_that_fails_or_is_not_the_file_leaves_the_figure_out(
    published: PublishedWeights, tmp_path: Path
) -> None:
    source = tmp_path / "publisher" / "net.pth"
    source.write_bytes(b"cut sho")
    with pytest.raises(FigureLeftOut, match=r"could not be downloaded .*hash"):
        published.find(None, download=True)
    source.unlink()
    with pytest.raises(FigureLeftOut, match=r"FID is left out: .* could not be downloaded"):
        published.find(None, download=True)
    assert not published.kept_at.exists()
