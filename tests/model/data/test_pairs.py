"""Training batches: who is in them, and that a position alone decides."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgnet.model.data.market1501 import DatasetError
from dgnet.model.data.pairs import PairBatch, TrainingPictures
from dgnet.model.data.transforms import denormalize

HEIGHT, WIDTH = 32, 16
PICTURES_OF = {3: 3, 5: 1, 9: 4}  # person id: number of pictures


def color(person_id: int, shot: int) -> tuple[int, int, int]:
    """Every picture is one plain color, so that augmentation keeps it recognizable."""
    return (20 * person_id, 50 * shot, 100)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    shots = [(person, shot) for person, count in PICTURES_OF.items() for shot in range(count)]
    for person, shot in [*shots, (0, 0)]:
        picture = Image.new("RGB", (WIDTH, HEIGHT), color(person, shot))
        picture.save(tmp_path / f"{person:04d}_c1s1_{shot:06d}_00.png")
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "-1_c1s1_000000_00.png")
    return tmp_path


@pytest.fixture
def pictures(directory: Path) -> TrainingPictures:
    return TrainingPictures.load(directory, HEIGHT, WIDTH)


def shown(images: torch.Tensor) -> list[tuple[int, int]]:
    """(person id, shot) of each image, read off its color."""
    pixels = denormalize(images)[:, 0, 0]
    return [(int(red) // 20, int(green) // 50) for red, green, _ in pixels]


def batches(pictures: TrainingPictures, count: int = 50) -> Iterator[PairBatch]:
    return (pictures.pair_batch(position, 4, seed=7) for position in range(count))


def test_junk_and_distractors_are_not_trained_on(pictures: TrainingPictures) -> None:
    assert len(pictures) == 8
    assert pictures.persons.person_ids == (3, 5, 9)


def test_images_are_normalized_batches_with_the_labels_of_their_persons(
    pictures: TrainingPictures,
) -> None:
    batch = pictures.pair_batch(0, 4, seed=7)
    assert batch.images_a.shape == (4, 3, HEIGHT, WIDTH)
    assert batch.images_a.dtype == torch.float32
    assert batch.labels_a.dtype == torch.int64
    for images, labels in (
        (batch.images_a, batch.labels_a),
        (batch.images_b, batch.labels_b),
        (batch.positives_a, batch.labels_a),
        (batch.positives_b, batch.labels_b),
    ):
        persons = [person for person, _ in shown(images)]
        assert [pictures.persons.label(person) for person in persons] == [
            int(label) for label in labels
        ]


def test_rows_of_a_and_b_show_different_persons(pictures: TrainingPictures) -> None:
    for batch in batches(pictures):
        assert (batch.labels_a != batch.labels_b).all()


def test_a_positive_is_another_picture_of_the_person_or_itself_if_there_is_none(
    pictures: TrainingPictures,
) -> None:
    met: set[tuple[tuple[int, int], tuple[int, int]]] = set()
    for batch in batches(pictures):
        met.update(zip(shown(batch.images_a), shown(batch.positives_a), strict=True))
        met.update(zip(shown(batch.images_b), shown(batch.positives_b), strict=True))
    expected = {
        ((person, shot), (person, other))
        for person, count in PICTURES_OF.items()
        for shot in range(count)
        for other in range(count)
        if other != shot or count == 1
    }
    assert met == expected


def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own(
    pictures: TrainingPictures,
) -> None:
    epochs = [
        [shot for k in (0, 1) for shot in shown(pictures.picture_batch(2 * e + k, 4, 7).images)]
        for e in range(3)
    ]
    everything = [(person, shot) for person, n in PICTURES_OF.items() for shot in range(n)]
    assert [sorted(epoch) for epoch in epochs] == [everything] * 3
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_batch_may_span_epochs(pictures: TrainingPictures) -> None:
    assert pictures.picture_batch(0, 20, seed=7).images.shape[0] == 20


def test_a_batch_depends_on_position_and_seed_alone(directory: Path) -> None:
    ahead = TrainingPictures.load(directory, HEIGHT, WIDTH)
    for position in range(5):
        ahead.pair_batch(position, 4, seed=7)
    resumed = TrainingPictures.load(directory, HEIGHT, WIDTH)
    expected, actual = ahead.pair_batch(5, 4, seed=7), resumed.pair_batch(5, 4, seed=7)
    for field in ("images_a", "images_b", "positives_a", "positives_b", "labels_a", "labels_b"):
        assert torch.equal(getattr(actual, field), getattr(expected, field))
    other_seed = resumed.pair_batch(5, 4, seed=8)
    assert not torch.equal(other_seed.images_a, expected.images_a)


def test_augmentation_varies_with_the_position(tmp_path: Path) -> None:
    # One picture a person: the images of one person differ only by flips and crops.
    ramp = np.linspace(0, 255, 256 * 128 * 3).reshape(256, 128, 3).astype(np.uint8)
    for person in (1, 2):
        Image.fromarray(ramp // person).save(tmp_path / f"000{person}_c1s1_000000_00.png")
    pictures = TrainingPictures.load(tmp_path, 256, 128)
    first, second = (pictures.picture_batch(position, 2, seed=0) for position in (0, 1))
    order = [first.labels.argsort(), second.labels.argsort()]
    assert not torch.equal(first.images[order[0]], second.images[order[1]])


def test_pictures_beyond_the_memory_limit_are_decoded_on_demand(
    directory: Path, pictures: TrainingPictures
) -> None:
    frugal = TrainingPictures.load(directory, HEIGHT, WIDTH, memory_limit_bytes=1)
    assert torch.equal(
        frugal.pair_batch(3, 4, seed=7).images_a, pictures.pair_batch(3, 4, seed=7).images_a
    )


def test_pictures_of_another_size_are_resized(directory: Path) -> None:
    smaller = TrainingPictures.load(directory, 16, 8)
    assert smaller.picture_batch(0, 2, seed=7).images.shape == (2, 3, 16, 8)


def test_one_person_alone_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "0001_c1s1_000000_00.png")
    with pytest.raises(DatasetError, match="at least 2 persons, got 1 in 1 pictures"):
        TrainingPictures.load(tmp_path, HEIGHT, WIDTH)
