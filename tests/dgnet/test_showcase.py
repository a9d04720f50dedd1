"""What the demo writes: pairs, names, manifest, tables. The networks are the fake's."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgnet import showcase
from dgnet.samples import SAMPLE_PEOPLE
from model.data.market1501 import GALLERY_SPLIT, QUERY_SPLIT, TRAIN_SPLIT, read_split
from tests.dgnet.fakes import FakePredictor


def test_pairs_are_different_persons_balanced_and_the_same_in_every_run() -> None:
    people = showcase.pictures_of(QUERY_SPLIT, GALLERY_SPLIT)
    pairs = showcase.plan_pairs(people, 100)
    assert pairs == showcase.plan_pairs(people, 100)
    assert len({(first.path, second.path) for first, second in pairs}) == 100
    assert all(first.person_id != second.person_id for first, second in pairs)
    counts = Counter(first.person_id for first, _ in pairs)
    assert len(counts) == 16
    assert set(counts.values()) == {6, 7}  # 100 = 16 * 6 + 4


def test_the_data_set_is_read_as_market_1501_and_described_row_by_row(
    server: str, tmp_path: Path
) -> None:
    folder = tmp_path / "dataset"
    (folder / TRAIN_SPLIT).mkdir(parents=True)
    (folder / TRAIN_SPLIT / "left-over.jpg").write_bytes(b"of an earlier run")
    showcase.write_dataset(folder, server, count=20)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    pictures = read_split(folder / TRAIN_SPLIT)
    assert {row["file"] for row in rows} == {
        picture.path.relative_to(folder).as_posix() for picture in pictures
    }
    assert len(rows) == 20
    by_file = {picture.path.relative_to(folder).as_posix(): picture for picture in pictures}
    for row in rows:
        data = (folder / row["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert by_file[row["file"]].person_id == row["appearance_person"]
        assert by_file[row["file"]].camera_id == row["structure_camera"]
        assert row["labels"] == {
            "appearance": row["appearance_person"], "structure": row["structure_person"],
        }  # fmt: skip
        assert (SAMPLE_PEOPLE / row["appearance_path"]).is_file()
        assert (SAMPLE_PEOPLE / row["structure_path"]).is_file()
    assert (folder / "contact-sheet.png").is_file()


def test_no_synthetic_picture_has_the_name_of_a_real_one() -> None:
    name = showcase.SYNTHETIC_NAME.format(person=7, camera=3, number=12)
    assert name == "0007_c3s0_000012_00.jpg"
    real = [picture for split in (QUERY_SPLIT, GALLERY_SPLIT, TRAIN_SPLIT)
            for picture in read_split(SAMPLE_PEOPLE / split)]  # fmt: skip
    assert not any("s0_" in picture.path.name for picture in real)


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
    assert "816" in (tmp_path / "similarities.txt").read_text()


def test_similarities_leave_out_a_picture_with_itself() -> None:
    embeddings = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]], np.float32)
    table = showcase.similarity_table(embeddings, [1, 1, 2, 2])
    # Person 1 with itself 0; with 2 the mean of 0.6, 0.8, 0.8, 0.6; person 2 with itself 0.96.
    assert table.split() == ["person", "1", "2", "1", "0.00", "0.70", "2", "0.70", "0.96"]


@pytest.mark.parametrize("count", [1, 9])
def test_a_contact_sheet_shows_every_composite(count: int) -> None:
    people = showcase.pictures_of(QUERY_SPLIT)
    pairs = [(first.path, second.path) for first, second in showcase.plan_pairs(people, count)]
    files = [first.read_bytes() for first, _ in pairs]
    sheet = showcase.contact_sheet(pairs, files)
    lines = -(-count // showcase.SHEET_ACROSS)
    assert sheet.shape[0] == lines * 128 + (lines - 1) * 4
