"""Composites as a set, with predictors whose figures are known beforehand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgnet.arrays import Embeddings, Pixels
from dgnet.model.data.layouts import read_dataset
from dgnet.model.data.picture import DatasetError
from dgnet.model.evaluation.generation.measuring import (
    OptionalMeasures,
    measure_generation,
    plan_composites,
)
from dgnet.model.evaluation.generation.pictures import pictured_people
from dgnet.model.evaluation.generation.report import GenerationConfig
from dgnet.model.evaluation.retrieval.preflight import PreflightError

HEIGHT, WIDTH = 24, 16
COLORS = {1: (180, 100, 60), 2: (60, 180, 100), 3: (100, 60, 180), 4: (170, 60, 110)}
CONFIG = GenerationConfig(composites=40, splits=8, batch_size=16)


class CopyingAppearance:
    """Composites that are real pictures of the right person."""

    height, width = HEIGHT, WIDTH

    def swap(self, appearance_images: Pixels, structure_images: Pixels) -> Pixels:
        del structure_images
        return appearance_images

    def embed(self, images: Pixels) -> Embeddings:
        color = images.mean(axis=(1, 2), dtype=np.float64) - 110
        return (color / np.linalg.norm(color, axis=1, keepdims=True)).astype(np.float32)


class CopyingStructure(CopyingAppearance):
    def swap(self, appearance_images: Pixels, structure_images: Pixels) -> Pixels:
        del appearance_images
        return structure_images


class Collapsed(CopyingAppearance):
    """Always the same picture, a bright one."""

    def swap(self, appearance_images: Pixels, structure_images: Pixels) -> Pixels:
        return np.full_like(appearance_images, 250)


def brightness(images: Pixels) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Stands for a discriminator."""
    return images.mean(axis=(1, 2, 3), dtype=np.float64)


def mean_color(images: Pixels) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Stands for Inception."""
    return images.mean(axis=(1, 2), dtype=np.float64)


def write_picture(path: Path, person: int, texture: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(texture)
    gray = random.uniform(-25, 25, (HEIGHT, WIDTH, 1)) + random.uniform(-5, 5, 3)
    Image.fromarray((gray + np.array(COLORS[person])).round().astype(np.uint8)).save(path)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    for split, cameras in (("query", (1, 2)), ("bounding_box_test", (3, 4, 5, 6))):
        for person in COLORS:
            for camera in cameras:
                name = f"{person:04d}_c{camera}s1_{person:06d}_00.png"
                write_picture(folder / split / name, person, 10 * person + camera)
        for junk in ("-1_c1s1_000001_00.png", "0000_c1s1_000002_00.png"):
            write_picture(folder / split / junk, 1, 0)
    return folder


def test_real_pictures_in_the_place_of_composites_are_as_good_as_real(people: Path) -> None:
    report = measure_generation(
        read_dataset(people),
        CopyingAppearance(),
        CONFIG,
        optional=OptionalMeasures(realism=brightness, inception=mean_color),
    )
    data = report.data
    assert (data.persons, data.real, data.real_available, data.composites) == (4, 24, 24, 40)
    assert report.identity is not None
    assert report.identity.to_appearance.mean == pytest.approx(1)
    assert report.identity.to_appearance.count == 40
    assert report.identity.nearer_to_appearance == 1
    assert report.identity.real_same_person is not None
    assert report.identity.real_same_person.mean > 0.95
    assert report.identity.real_same_person.count == 4 * CONFIG.pairs_per_person
    assert report.realism is not None
    assert report.realism.above_real_p5 > 0.8
    assert report.realism.real.count == 24
    for found in (report.embedding_frechet, report.fid):
        assert found is not None
        assert (found.composites, found.real, found.size, found.dimensions) == (40, 24, 12, 3)
        assert found.composites_against_real.mean < 3 * found.floor.mean
        assert found.distance < found.composites_against_real.mean
    assert report.left_out == ()
    assert report.warnings == ()


def test_copies_of_the_structure_picture_have_the_wrong_identity(people: Path) -> None:
    report = measure_generation(read_dataset(people), CopyingStructure(), CONFIG)
    assert report.identity is not None
    assert report.identity.nearer_to_appearance == 0
    assert report.identity.to_structure.mean == pytest.approx(1)
    assert (report.fid, report.realism, report.lpips_diversity) == (None, None, None)


def test_composites_that_are_all_alike_have_no_diversity_and_a_large_distance(
    people: Path,
) -> None:
    report = measure_generation(
        read_dataset(people),
        Collapsed(),
        CONFIG,
        optional=OptionalMeasures(realism=brightness, perceptual=lambda one, _: brightness(one)),
    )
    made, real = report.ssim_diversity.composites, report.ssim_diversity.real
    assert made is not None
    assert real is not None
    assert made.persons.mean == pytest.approx(0)
    assert real.persons.mean > 0.5
    assert (real.pairs, real.persons.count) == (4 * CONFIG.pairs_per_person, 4)
    distance = report.embedding_frechet
    assert distance.composites_against_real.low > 2 * distance.floor.high
    # Brighter than every real picture: a discriminator can be fooled where other figures are not.
    assert report.realism is not None
    assert report.realism.above_real_p5 == 1
    assert report.lpips_diversity is not None
    assert report.lpips_diversity.composites is not None
    assert report.lpips_diversity.composites.persons.mean == 250


def test_the_share_above_the_fifth_percentile_is_counted_by_hand(people: Path) -> None:
    scores = iter([np.arange(24.0), np.repeat([0.0, 1.15, 1.2, 30.0], 10)])

    def by_hand(images: Pixels) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return next(scores)[: len(images)]

    report = measure_generation(
        read_dataset(people),
        CopyingAppearance(),
        replace(CONFIG, batch_size=64),
        optional=OptionalMeasures(realism=by_hand),
    )
    # The 5th percentile of 0..23 is 1.15; a composite must lie above it.
    assert report.realism is not None
    assert report.realism.real.p5 == pytest.approx(1.15)
    assert report.realism.above_real_p5 == pytest.approx(20 / 40)


def test_a_folder_of_composites_is_measured_without_its_sources(
    people: Path, tmp_path: Path
) -> None:
    for person in (1, 2):
        for camera in (1, 2, 3):
            name = f"{person:04d}_c{camera}s1_000001_00.png"
            write_picture(tmp_path / "made" / name, person, 1000 + 10 * person + camera)
    report = measure_generation(
        read_dataset(people),
        CopyingAppearance(),
        CONFIG,
        generated=read_dataset(tmp_path / "made"),
    )
    assert report.data.generated == "made"
    assert report.data.composites == 6
    assert report.identity is None
    assert report.left_out[0].startswith("identity consistency is left out")
    made = report.ssim_diversity.composites
    assert made is not None
    assert (made.pairs, made.persons.count) == (6, 2)


def test_a_report_repeats_and_does_not_depend_on_the_batch_size(people: Path) -> None:
    dataset = read_dataset(people)
    first = measure_generation(dataset, CopyingStructure(), CONFIG)
    other = measure_generation(dataset, CopyingStructure(), replace(CONFIG, batch_size=7))
    assert other == replace(first, config=other.config)
    drawn = measure_generation(dataset, CopyingStructure(), replace(CONFIG, seed=1))
    assert drawn.embedding_frechet != first.embedding_frechet


def test_real_pictures_are_at_most_twice_the_composites(people: Path) -> None:
    report = measure_generation(
        read_dataset(people), CopyingStructure(), replace(CONFIG, composites=8)
    )
    assert (report.data.real, report.data.real_available) == (16, 24)
    assert report.embedding_frechet.size == 8


def test_composites_of_one_person_are_planned_together_and_cross_identities(people: Path) -> None:
    pictures = pictured_people(read_dataset(people), None)
    persons = np.array([picture.person_id for picture in pictures])
    plan = plan_composites(pictures, CONFIG)
    whose = persons[plan.appearances]
    assert (np.diff(whose) >= 0).all()
    assert (whose != persons[plan.structures]).all()


def test_sets_smaller_than_the_embedding_are_warned_about(people: Path) -> None:
    report = measure_generation(
        read_dataset(people), CopyingStructure(), replace(CONFIG, composites=3)
    )
    (warning,) = report.warnings
    assert "equal sets of 3 pictures are not more than a feature's 3 values" in warning


def test_a_wrong_folder_of_triples_is_found_before_any_work(people: Path, tmp_path: Path) -> None:
    class Unable(CopyingStructure):
        def embed(self, images: Pixels) -> Embeddings:
            raise AssertionError("embedded although the triples are missing")

    with pytest.raises(DatasetError, match="expected a folder of true triples"):
        measure_generation(read_dataset(people), Unable(), CONFIG, truth_dir=tmp_path / "gone")


def test_broken_embeddings_of_composites_stop_the_report(people: Path) -> None:
    class Overflowing(Collapsed):
        def embed(self, images: Pixels) -> Embeddings:
            return np.where((images == 250).all(), np.nan, super().embed(images)).astype(np.float32)

    with pytest.raises(PreflightError, match="embeddings of some composites are not finite"):
        measure_generation(read_dataset(people), Overflowing(), CONFIG)


def test_a_data_set_without_test_pictures_says_which_option_takes_the_others(
    tmp_path: Path,
) -> None:
    for person in (1, 2):
        write_picture(tmp_path / f"bounding_box_train/{person:04d}_c1s1_000001_00.png", person, 1)
    dataset = read_dataset(tmp_path)
    with pytest.raises(DatasetError, match="only 2 for training: --split train measures on those"):
        measure_generation(dataset, CopyingStructure(), CONFIG)
    with pytest.raises(DatasetError, match="2 pictures of persons; expected at least 4"):
        measure_generation(dataset, CopyingStructure(), CONFIG, split="train")


def test_the_report_is_json_and_a_table_where_every_figure_has_its_samples(people: Path) -> None:
    report = measure_generation(
        read_dataset(people),
        CopyingAppearance(),
        CONFIG,
        optional=OptionalMeasures(realism=brightness),
    )
    loaded = json.loads(json.dumps(report.to_json()))
    assert loaded["fid"] is None
    assert loaded["embedding_frechet"]["floor"]["mean"] > 0
    assert loaded["identity"]["nearer_to_appearance"] == 1
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in report.to_table().split("\n")
    ]
    assert rows[0] == ["figure", "composites", "real pictures", "measured on"]
    assert all(any(letter.isdigit() for letter in row[3]) for row in rows[2:])
    names = [row[0] for row in rows[2:]]
    assert not any("FID" in name for name in names)
    assert names[0] == "Fréchet distance of embeddings, all pictures"
    assert rows[-1][0] == "above the real 5th percentile"


@pytest.mark.parametrize(
    "wrong",
    [{"composites": 1}, {"seed": -1}, {"splits": 0}, {"pairs_per_person": 0}, {"batch_size": 0}],
    ids=str,
)
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="start at"):
        GenerationConfig(**wrong)
