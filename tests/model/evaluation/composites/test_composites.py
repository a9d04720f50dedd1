"""A whole evaluation with predictors whose scores are known beforehand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgnet.arrays import Embeddings, Pixels
from dgnet.model.data.market1501 import DatasetError, Picture
from dgnet.model.data.triples import read_triples
from dgnet.model.evaluation.composites.pairs import draw_pairs
from dgnet.model.evaluation.composites.report import (
    EvaluationConfig,
    EvaluationReport,
    evaluate_checkpoint,
)

HEIGHT, WIDTH = 32, 16
COLORS = {1: (180, 100, 60), 2: (60, 180, 100), 3: (100, 60, 180), 4: (170, 60, 110)}
CONFIG = EvaluationConfig(pairs=40, batch_size=16)


class Recoloring:
    """A perfect swap for these pictures: the clothes are one plain color upon a gray texture."""

    height, width = HEIGHT, WIDTH

    def swap(self, appearance_images: Pixels, structure_images: Pixels) -> Pixels:
        appearance, structure = _mean_color(appearance_images), _mean_color(structure_images)
        moved = structure_images + appearance - structure
        return moved.round().clip(0, 255).astype(np.uint8)

    def embed(self, images: Pixels) -> Embeddings:
        color = _mean_color(images).reshape(len(images), 3) - 110
        return (color / np.linalg.norm(color, axis=1, keepdims=True)).astype(np.float32)


class CopyingStructure(Recoloring):
    def swap(self, appearance_images: Pixels, structure_images: Pixels) -> Pixels:
        del appearance_images
        return structure_images


def _mean_color(images: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return images.mean(axis=(1, 2), keepdims=True, dtype=np.float64)


def picture(person: int, texture: int) -> Pixels:
    """The person's color plus a gray texture of mean zero that stands for the structure."""
    gray = np.random.default_rng(texture).uniform(-25, 25, (HEIGHT, WIDTH, 1))
    gray -= gray.mean()
    return (gray + np.array(COLORS[person])).round().astype(np.uint8)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    for split, cameras in (("query", (1,)), ("bounding_box_test", (2, 3))):
        (tmp_path / split).mkdir()
        for person in COLORS:
            for camera in cameras:
                name = f"{person:04d}_c{camera}s1_{person:06d}_00.png"
                image = Image.fromarray(picture(person, texture=10 * person + camera))
                image.save(tmp_path / split / name)
    return tmp_path


@pytest.fixture
def triples(tmp_path: Path) -> Path:
    directory = tmp_path / "truth"
    directory.mkdir()
    for number, (appearance, structure) in enumerate([(1, 2), (3, 1), (2, 4)]):
        shown = {
            "appearance": picture(appearance, texture=200 + number),
            "structure": picture(structure, texture=100 + number),
            "truth": picture(appearance, texture=100 + number),
        }
        for role, pixels in shown.items():
            # One corner is scenery that no swap changes.
            pixels[:4, :4] = 128
            Image.fromarray(pixels).save(directory / f"{number:04d}_{role}_0001.png")
    return directory


def test_a_predictor_that_swaps_scores_near_the_top(people: Path, triples: Path) -> None:
    report = evaluate_checkpoint(Recoloring(), people, triples, CONFIG)
    assert report.swaps.pairs == 40
    assert report.swaps.nearer_to_appearance == 1
    assert report.swaps.ssim_structure > 0.7
    assert report.swaps.ssim_margin > 0.5
    assert report.swaps.ssim_margin == pytest.approx(
        report.swaps.ssim_structure - report.swaps.ssim_other
    )
    assert report.truth is not None
    assert report.truth.triples == 3
    assert report.truth.composite.changed_ratio < 0.1
    assert report.retrieval.dgnet_convention.rank_1 == 1
    assert report.retrieval.torchreid_convention.mAP == pytest.approx(1)


def test_copying_the_structure_picture_is_told_apart(people: Path, triples: Path) -> None:
    report = evaluate_checkpoint(CopyingStructure(), people, triples, CONFIG)
    assert report.swaps.nearer_to_appearance == 0
    assert report.swaps.ssim_structure == pytest.approx(1)
    assert report.truth is not None
    assert report.truth.composite == report.truth.copy_of_structure
    assert report.truth.copy_of_structure.changed_ratio == 1
    assert report.truth.copy_of_structure.outside_error == 0
    # The appearance picture has the right color and the wrong texture.
    assert 0 < report.truth.copy_of_appearance.changed_ratio < 1


def test_a_report_repeats_and_does_not_depend_on_the_batch_size(
    people: Path, triples: Path
) -> None:
    first = evaluate_checkpoint(Recoloring(), people, triples, CONFIG)
    other = evaluate_checkpoint(Recoloring(), people, triples, replace(CONFIG, batch_size=7))
    assert other == replace(first, config=other.config)


def test_a_report_is_json_and_a_table_that_names_figures_and_goals(
    people: Path, triples: Path
) -> None:
    report: EvaluationReport = evaluate_checkpoint(Recoloring(), people, triples, CONFIG)
    loaded = json.loads(json.dumps(report.to_json()))
    assert loaded["swaps"]["nearer_to_appearance"] == 1
    assert loaded["truth"]["copy_of_structure"]["changed_ratio"] == 1
    table = report.to_table().splitlines()
    assert len({len(row) for row in table}) == 1
    assert [row.split("|")[2].strip() for row in table[:3]] == [
        "figure",
        "-" * (len(table[0].split("|")[2])),
        "100.0%",
    ]


def test_people_without_true_triples_are_measured_all_the_same(people: Path) -> None:
    report = evaluate_checkpoint(Recoloring(), people, None, CONFIG)
    assert report.truth is None
    assert report.to_json()["truth"] is None
    assert "(c)" not in report.to_table()
    assert "(d) rank-1" in report.to_table()


def test_pairs_cross_identities_and_the_other_structure_shows_somebody_else() -> None:
    pictures = [
        Picture(path=Path(f"{person}-{shot}"), person_id=person, camera_id=1)
        for person in (1, 2, 3)
        for shot in range(4)
    ]
    persons = np.array([picture.person_id for picture in pictures])
    appearances, structures, others = draw_pairs(pictures, 300, seed=0)
    assert (persons[appearances] != persons[structures]).all()
    assert (persons[structures] != persons[others]).all()
    assert set(appearances.tolist()) == set(structures.tolist()) == set(range(12))
    again = draw_pairs(pictures, 300, seed=0)
    assert all(
        np.array_equal(a, b) for a, b in zip(again, (appearances, structures, others), strict=True)
    )
    assert not np.array_equal(draw_pairs(pictures, 300, seed=1)[0], appearances)


def test_one_person_gives_no_pair() -> None:
    with pytest.raises(DatasetError, match="at least 2 persons, got 1"):
        draw_pairs([Picture(path=Path("x"), person_id=1, camera_id=1)] * 3, 5, seed=0)


def test_an_incomplete_triple_is_named(triples: Path) -> None:
    (triples / "0001_truth_0001.png").unlink()
    with pytest.raises(DatasetError, match="triple 0001 lacks its truth picture"):
        read_triples(triples)


def test_masks_of_changes_are_read_where_all_triples_have_them(triples: Path) -> None:
    assert {triple.changed for triple in read_triples(triples)} == {None}
    for number in range(3):
        Image.new("L", (4, 4)).save(triples / f"{number:04d}_changed_0001.png")
    names = [triple.changed and triple.changed.name for triple in read_triples(triples)]
    assert names == ["0000_changed_0001.png", "0001_changed_0001.png", "0002_changed_0001.png"]
    (triples / "0002_changed_0001.png").unlink()
    with pytest.raises(DatasetError, match="triple 0002 lacks its changed picture"):
        read_triples(triples)


def test_a_stray_picture_among_triples_is_named(triples: Path) -> None:
    Image.new("RGB", (4, 4)).save(triples / "cover.png")
    with pytest.raises(DatasetError, match=r"cover\.png: expected NNNN_appearance_PPPP"):
        read_triples(triples)


def test_triples_are_read_in_order(triples: Path) -> None:
    names = [triple.truth.name for triple in read_triples(triples)]
    assert names == ["0000_truth_0001.png", "0001_truth_0001.png", "0002_truth_0001.png"]


@pytest.mark.parametrize("wrong", [{"pairs": 0}, {"batch_size": 0}, {"seed": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="start at 1"):
        EvaluationConfig(**wrong)
