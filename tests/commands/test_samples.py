"""The sample people: enough, small, what the renderer makes, unknown to the shipped weights."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgnet.model.checkpoints import DEFAULT_CHECKPOINT
from dgnet.model.data.market1501 import GALLERY_SPLIT, QUERY_SPLIT, TRAIN_SPLIT, read_split
from dgnet.people.writing.plan import RECIPE, RenderPlan
from dgnet.people.writing.units import write_person
from dgnet.samples import SAMPLE_PEOPLE

SPLITS = (TRAIN_SPLIT, QUERY_SPLIT, GALLERY_SPLIT)


@pytest.fixture
def options() -> dict[str, object]:
    """What `dgnet people render` was asked for."""
    return json.loads((SAMPLE_PEOPLE / "set.json").read_text())


def test_24_persons_have_8_pictures_each_in_at_most_3_megabytes() -> None:
    pictures = [picture for split in SPLITS for picture in read_split(SAMPLE_PEOPLE / split)]
    counts = Counter(picture.person_id for picture in pictures)
    assert len(counts) == 24
    assert set(counts.values()) == {8}
    assert sum(picture.path.stat().st_size for picture in pictures) <= 3_000_000
    for picture in pictures:
        with Image.open(picture.path) as image:
            assert (image.format, image.size) == ("JPEG", (64, 128))


def test_the_renderer_makes_them_still(options: dict[str, object], tmp_path: Path) -> None:
    assert options.pop("recipe") == RECIPE
    plan = RenderPlan(**options)  # pyright: ignore[reportArgumentType]
    for row in write_person(plan, tmp_path, 9):
        pixels = [
            np.asarray(Image.open(folder / str(row["path"])), dtype=np.int16)
            for folder in (SAMPLE_PEOPLE, tmp_path)
        ]
        # Other processors may round otherwise; another person, pose or place differs by tens.
        assert np.abs(pixels[0] - pixels[1]).mean() < 2


def test_the_shipped_weights_learned_from_another_seed(options: dict[str, object]) -> None:
    data = json.loads((DEFAULT_CHECKPOINT / "model.json").read_text())["data"]
    assert "seed" in data["name"]
    assert f"seed {options['seed']}," not in data["name"]


def test_training_and_test_persons_differ() -> None:
    train, query, gallery = (
        {picture.person_id for picture in read_split(SAMPLE_PEOPLE / split)} for split in SPLITS
    )
    assert query == gallery
    assert train.isdisjoint(query)


def test_every_query_has_a_match_under_another_camera() -> None:
    gallery = read_split(SAMPLE_PEOPLE / GALLERY_SPLIT)
    for query in read_split(SAMPLE_PEOPLE / QUERY_SPLIT):
        assert any(
            picture.person_id == query.person_id and picture.camera_id != query.camera_id
            for picture in gallery
        ), query.path.name
