"""What the demo writes, by fake networks; its data set is the matter of tests/end_to_end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from dgnet.commands import showcase
from tests.commands.fakes import FakePredictor


def test_composite_grid_and_embeddings_are_written(server: str, tmp_path: Path) -> None:
    showcase.write_composite(tmp_path, server)
    showcase.write_grid(tmp_path, server)
    showcase.write_embeddings(tmp_path, server)
    with Image.open(tmp_path / "composite.png") as composite:
        assert composite.size == (FakePredictor.width, FakePredictor.height)
    assert (tmp_path / "appearance-structure-composite.png").is_file()
    assert (tmp_path / "swap-grid.png").is_file()
    with np.load(tmp_path / "embeddings.npz") as file:
        assert file["embeddings"].shape == (24, 3)
        assert len(set(file["person_ids"].tolist())) == 6
    header = (tmp_path / "similarities.txt").read_text().splitlines()[0]
    assert header.split() == ["person", *map(str, showcase.EMBEDDED_PERSONS)]


def test_similarities_leave_out_a_picture_with_itself() -> None:
    embeddings = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]], np.float32)
    table = showcase.similarity_table(embeddings, [1, 1, 2, 2])
    # Person 1 with itself 0; with 2 the mean of 0.6, 0.8, 0.8, 0.6; person 2 with itself 0.96.
    assert table.split() == ["person", "1", "2", "1", "0.00", "0.70", "2", "0.70", "0.96"]
