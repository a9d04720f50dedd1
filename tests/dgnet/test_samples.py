"""The sample people: enough, small, and in the naming that everything reads."""

from __future__ import annotations

from collections import Counter

from PIL import Image

from dgnet.samples import SAMPLE_PEOPLE
from model.data.market1501 import GALLERY_SPLIT, QUERY_SPLIT, TRAIN_SPLIT, read_split

SPLITS = (TRAIN_SPLIT, QUERY_SPLIT, GALLERY_SPLIT)


def test_24_persons_have_8_pictures_each_in_at_most_3_megabytes() -> None:
    pictures = [picture for split in SPLITS for picture in read_split(SAMPLE_PEOPLE / split)]
    counts = Counter(picture.person_id for picture in pictures)
    assert len(counts) == 24
    assert set(counts.values()) == {8}
    assert sum(picture.path.stat().st_size for picture in pictures) <= 3_000_000
    for picture in pictures:
        with Image.open(picture.path) as image:
            assert (image.format, image.size) == ("JPEG", (64, 128))


def test_all_are_held_out_persons() -> None:
    pictures = [picture for split in SPLITS for picture in read_split(SAMPLE_PEOPLE / split)]
    assert all(801 <= picture.person_id <= 1000 for picture in pictures)


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
