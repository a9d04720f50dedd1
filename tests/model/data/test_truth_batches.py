"""Batches of true composites: what belongs together stays together, and draws repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dgnet.model.data.market1501 import DatasetError
from dgnet.model.data.persons import PersonIndex
from dgnet.model.data.truth_batches import TruthTriples
from tests.model.tiny import HEIGHT, WIDTH, write_triples


def _triples(folder: Path) -> TruthTriples:
    return TruthTriples(folder, PersonIndex(tuple(range(6))), height=HEIGHT, width=WIDTH)


def test_structure_and_truth_are_flipped_and_cropped_alike_and_the_appearance_is_not(
    tmp_path: Path,
) -> None:
    # The same noise in all three roles: where the augmentation is shared the pictures stay equal.
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for number in range(4):
        for role in ("appearance", "structure", "truth"):
            Image.fromarray(noise).save(tmp_path / f"{number:04d}_{role}_0001.png")
    batch = _triples(tmp_path).batch(0, 8, seed=0)
    assert torch.equal(batch.structures, batch.truths)
    same = (batch.appearances == batch.structures).flatten(1).all(dim=1)
    assert not bool(same.all())


def test_rows_are_triples_and_an_epoch_shows_each_once(tmp_path: Path) -> None:
    # Plain pictures: gray level 30 * triple + role, untouched by flips and crops.
    for number in range(6):
        for role, name in enumerate(("appearance", "structure", "truth")):
            level = 30 * number + role
            picture = Image.new("RGB", (WIDTH, HEIGHT), (level, level, level))
            picture.save(tmp_path / f"{number:04d}_{name}_{number:04d}.png")
    triples = _triples(tmp_path)
    assert len(triples) == 6
    seen: list[int] = []
    for position in range(3):
        batch = triples.batch(position, 2, seed=1)
        appearances, structures, truths = (
            _levels(images) for images in (batch.appearances, batch.structures, batch.truths)
        )
        assert [level % 30 for level in appearances] == [0, 0]
        assert [one + 1 for one in appearances] == structures
        assert [one + 2 for one in appearances] == truths
        seen += [level // 30 for level in appearances]
    assert sorted(seen) == [0, 1, 2, 3, 4, 5]


def _levels(images: Tensor) -> list[int]:
    """Gray levels of plain red channels, by undoing the ImageNet normalization."""
    levels = ((images[:, 0, 0, 0] * 0.229 + 0.485) * 255).round()
    return [int(level) for level in levels]


def test_a_batch_is_a_function_of_its_position_and_the_seed(tmp_path: Path) -> None:
    write_triples(tmp_path / "truth")
    first, again = (_triples(tmp_path / "truth").batch(3, 4, seed=5) for _ in range(2))
    assert torch.equal(first.truths, again.truths)
    assert torch.equal(first.appearances, again.appearances)
    assert not torch.equal(first.truths, _triples(tmp_path / "truth").batch(3, 4, seed=6).truths)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        _triples(tmp_path / "nowhere")


def test_labels_tell_whose_clothes_and_whose_body_a_truth_shows(tmp_path: Path) -> None:
    for role, person in (("appearance", 2), ("structure", 5), ("truth", 2)):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"0000_{role}_{person:04d}.png")
    batch = _triples(tmp_path).batch(0, 2, seed=0)
    assert torch.equal(batch.appearance_labels, torch.tensor([2, 2]))
    assert torch.equal(batch.structure_labels, torch.tensor([5, 5]))


def test_triples_of_people_outside_of_the_training_set_are_refused(tmp_path: Path) -> None:
    for role, person in (("appearance", 2), ("structure", 9), ("truth", 2)):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"0000_{role}_{person:04d}.png")
    with pytest.raises(DatasetError, match="person 9 is none of the 6 persons") as caught:
        _triples(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/0000_structure_0009.png: ")
    assert "--splits train" in str(caught.value)
