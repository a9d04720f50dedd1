"""`dgnet embed` on this machine, with a predictor that can be computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgnet.commands.cli import main
from tests.commands.conftest import PaintPicture

pytestmark = pytest.mark.usefixtures("fake_predictor")


def embed(*arguments: str | Path) -> int | str | None:
    with pytest.raises(SystemExit) as stop:
        main(["embed", *map(str, arguments)])
    return stop.value.code


def test_paths_and_embeddings_are_written_in_order(paint: PaintPicture, tmp_path: Path) -> None:
    second, first = paint("b.png", (0, 11, 0)), paint("a.png", (1, 1, 0))
    out = tmp_path / "emb.npz"
    assert embed(second, first, "-o", out) == 0
    with np.load(out) as file:
        assert file["paths"].tolist() == [str(second), str(first)]
        assert file["embeddings"].dtype == np.float32
        # Means plus one, of unit length: (1, 12, 1) / sqrt(146) and (2, 2, 1) / 3.
        expected = [np.array([1, 12, 1]) / np.sqrt(146), np.array([2, 2, 1]) / 3]
        np.testing.assert_allclose(file["embeddings"], expected, rtol=1e-6)
        assert file["model_version"].item() == "0123456789ab"


def test_more_pictures_than_a_batch_keep_their_order(paint: PaintPicture, tmp_path: Path) -> None:
    levels = list(range(70))
    for level in levels:
        paint(f"many/{level:02d}.png", (level, 0, 0))
    out = tmp_path / "emb.npz"
    assert embed(tmp_path / "many", "-o", out) == 0
    with np.load(out) as file:
        embeddings = file["embeddings"]
    np.testing.assert_allclose(embeddings[:, 0] / embeddings[:, 1] - 1, levels, atol=1e-4)


def test_only_npz_files_are_written(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(paint("a.png", (1, 1, 0)), "-o", tmp_path / "emb.csv") == 2
    assert "expected a name ending in .npz" in capsys.readouterr().err
