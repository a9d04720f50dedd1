"""What a judge says, worked out by hand: it sees one plain color a picture, as an angle."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgnet.arrays import Embeddings, Pixels
from dgnet.model.data.market1501 import Picture
from dgnet.model.evaluation.composites.judged import (
    FoundPeople,
    JudgedGallery,
    PairJudging,
    TripleJudging,
)
from dgnet.model.evaluation.composites.report import EvaluationConfig, evaluate_checkpoint
from tests.model.evaluation.composites.test_composites import (
    CONFIG,
    CopyingStructure,
    Recoloring,
    picture,
)

HEIGHT, WIDTH = 8, 4


class AngleJudge:
    """Embeds a picture as (cos, sin) of its red level in degrees."""

    name, version = "angles", "0123456789ab"
    height, width = HEIGHT, WIDTH

    def embed(self, images: Pixels) -> Embeddings:
        angles = np.deg2rad(images[:, 0, 0, 0].astype(np.float64))
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def plain(*degrees: int) -> Pixels:
    """(B, H, W, 3)."""
    pixels = np.zeros((len(degrees), HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0] = np.array(degrees)[:, None, None]
    return pixels


def gallery_of(folder: Path, *shown: tuple[int, int, int]) -> list[Picture]:
    """Pictures of (person, camera, degrees)."""
    found: list[Picture] = []
    for number, (person, camera, degrees) in enumerate(shown):
        path = folder / f"{number}.png"
        Image.fromarray(plain(degrees)[0]).save(path)
        found.append(Picture(path=path, person_id=person, camera_id=camera))
    return found


@pytest.fixture
def gallery(tmp_path: Path) -> JudgedGallery:
    pictures = gallery_of(tmp_path, (1, 1, 0), (1, 2, 40), (2, 1, 90), (3, 1, 20), (-1, 1, 41))
    return JudgedGallery(AngleJudge(), pictures, AngleJudge())


def test_triples_stand_beside_the_truth_and_both_copies(gallery: JudgedGallery) -> None:
    judging = TripleJudging(AngleJudge())
    # In degrees. The first composite is on its way from the structure (90) to the appearance (0),
    # the second stayed with the structure; the second truth, too, is nearer to the structure.
    judging.add(plain(35), plain(0), plain(90), plain(5))
    judging.add(plain(80), plain(0), plain(90), plain(60))
    found = judging.judged([1, 2], gallery)
    assert found.triples == 2
    assert found.nearer_to_appearance == 0.5
    assert found.truth_nearer_to_appearance == 0.5

    def mean_cosine(*angles: int) -> float:
        return float(np.cos(np.deg2rad(angles)).mean())

    assert found.cosine_to_truth == pytest.approx(mean_cosine(30, 20), abs=1e-6)
    assert found.structure_cosine == pytest.approx(mean_cosine(85, 30), abs=1e-6)
    assert found.appearance_cosine == pytest.approx(mean_cosine(5, 60), abs=1e-6)
    # 35 is nearest to 40, person 1, and 80 to 90, person 2.
    assert found.found == FoundPeople(queries=2, rank_1=1, median_rank=1)
    # 5 is nearest to 0, person 1; 60 to 40, person 1, and then to 90, person 2 (41 is nobody).
    assert found.truth_found == FoundPeople(queries=2, rank_1=0.5, median_rank=1.5)


def test_ranks_leave_junk_and_the_appearances_own_camera_out(gallery: JudgedGallery) -> None:
    judge = AngleJudge()
    # Person 1 under camera 1, at 25 degrees: its picture at 0 is under the same camera, 41 is
    # nobody; so 20 (person 3) and then 40 (person 1).
    queries = judge.embed(plain(25, 88))
    found = gallery.find(queries, np.array([1, 2]), np.array([1, 7]))
    assert found == FoundPeople(queries=2, rank_1=0.5, median_rank=1.5)


def test_people_who_are_not_in_the_gallery_are_no_queries(gallery: JudgedGallery) -> None:
    judge = AngleJudge()
    found = gallery.find(judge.embed(plain(25, 88)), np.array([9, 2]), np.array([1, 7]))
    assert found == FoundPeople(queries=1, rank_1=1, median_rank=1)
    assert gallery.find(judge.embed(plain(25)), np.array([9]), np.array([1])) is None


def test_pairs_stand_beside_their_appearance_pictures(
    gallery: JudgedGallery, tmp_path: Path
) -> None:
    judging = PairJudging(AngleJudge())
    judging.add(plain(34), plain(0), plain(90))
    judging.add(plain(35), plain(20), plain(38))
    pictures = [
        Picture(path=tmp_path / "a", person_id=1, camera_id=1),
        Picture(path=tmp_path / "b", person_id=3, camera_id=2),
    ]
    found = judging.judged(pictures, gallery)
    assert (found.pairs, found.nearer_to_appearance) == (2, 0.5)
    # 34: 40, person 1, is first. 35: 40, then 20, person 3.
    assert found.found == FoundPeople(queries=2, rank_1=0.5, median_rank=1.5)
    # 0, without its own camera's picture: 20, then 40. 20: itself, under another camera.
    assert found.appearance_found == FoundPeople(queries=2, rank_1=0.5, median_rank=1.5)


class ColorJudge(Recoloring):
    """A judge that knows these people by their mean color, at another size."""

    name, version = "colors", "0123456789ab"
    height, width = 16, 8


def people_of(folder: Path) -> Path:
    for split, cameras in (("query", (1,)), ("bounding_box_test", (2, 3))):
        (folder / split).mkdir(parents=True)
        for person in (1, 2, 3, 4):
            for camera in cameras:
                shown = Image.fromarray(picture(person, texture=10 * person + camera))
                shown.save(folder / split / f"{person:04d}_c{camera}s1_{person:06d}_00.png")
    return folder


def triples_of(folder: Path) -> Path:
    folder.mkdir()
    for number, (appearance, structure) in enumerate([(1, 2), (3, 1), (2, 4)]):
        shown = {
            "appearance": (appearance, 200),
            "structure": (structure, 100),
            "truth": (appearance, 100),
        }
        for role, (person, texture) in shown.items():
            pixels = picture(person, texture=texture + number)
            pixels[:4, :4] = 128
            wearer = structure if role == "structure" else appearance
            Image.fromarray(pixels).save(folder / f"{number:04d}_{role}_{wearer:04d}.png")
    return folder


def test_a_report_with_a_judge_tells_a_swap_from_a_copy(tmp_path: Path) -> None:
    people, triples = people_of(tmp_path / "people"), triples_of(tmp_path / "triples")
    swapped, copied = (
        evaluate_checkpoint(predictor, people, triples, CONFIG, judge=ColorJudge())
        for predictor in (Recoloring(), CopyingStructure())
    )
    assert swapped.judge is not None
    assert copied.judge is not None
    assert swapped.judge.triples is not None
    assert copied.judge.triples is not None
    assert (swapped.judge.name, swapped.judge.version) == ("colors", "0123456789ab")
    assert swapped.judge.retrieval.dgnet_convention.rank_1 == 1
    assert swapped.judge.pairs.nearer_to_appearance == 1
    assert swapped.judge.pairs.found.rank_1 == swapped.judge.pairs.appearance_found.rank_1 == 1
    assert swapped.judge.triples.nearer_to_appearance == 1
    assert swapped.judge.triples.truth_nearer_to_appearance == 1
    assert swapped.judge.triples.cosine_to_truth == pytest.approx(1, abs=0.01)
    assert copied.judge.pairs.nearer_to_appearance == 0
    assert copied.judge.pairs.found.rank_1 == 0
    assert copied.judge.triples.nearer_to_appearance == 0
    assert copied.judge.triples.cosine_to_truth == copied.judge.triples.structure_cosine
    # All else is as without a judge.
    plain_report = evaluate_checkpoint(Recoloring(), people, triples, CONFIG)
    assert (plain_report.swaps, plain_report.truth) == (swapped.swaps, swapped.truth)
    assert plain_report.judge is None


def test_a_report_with_a_judge_repeats_whatever_the_batches(tmp_path: Path) -> None:
    people, triples = people_of(tmp_path / "people"), triples_of(tmp_path / "triples")
    one, other = (
        evaluate_checkpoint(
            Recoloring(),
            people,
            triples,
            EvaluationConfig(pairs=20, batch_size=size),
            judge=ColorJudge(),
        )
        for size in (16, 7)
    )
    assert one.judge == other.judge


def test_the_judges_figures_are_in_table_and_json(tmp_path: Path) -> None:
    people, triples = people_of(tmp_path / "people"), triples_of(tmp_path / "triples")
    report = evaluate_checkpoint(Recoloring(), people, triples, CONFIG, judge=ColorJudge())
    values = json.loads(json.dumps(report.to_json()))
    assert values["judge"]["triples"]["truth_nearer_to_appearance"] == 1
    assert values["truth"]["sharpness"]["inside"] > 0
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in report.to_table().split("\n")
    ]
    assert len({len(row) for row in report.to_table().split("\n")}) == 1
    figures = {measure: (figure, beside) for measure, figure, beside in rows}
    assert figures["(f) judge colors (0123456789ab): its own rank-1 / mAP"] == (
        "100.0% / 100.0%",
        "rank-1 ≥ 85%",
    )
    assert figures["(f) judge: nearer to the appearance picture, 3 triples"] == (
        "100.0%",
        "true pictures 100.0%",
    )
    assert report.judge is not None
    assert report.judge.doubt() is None


class BlindJudge(ColorJudge):
    def embed(self, images: Pixels) -> Embeddings:
        return np.tile(np.array([1, 0], np.float32), (len(images), 1))


def test_a_judge_that_knows_nobody_is_doubted(tmp_path: Path) -> None:
    people = people_of(tmp_path / "people")
    report = evaluate_checkpoint(Recoloring(), people, None, CONFIG, judge=BlindJudge())
    assert report.judge is not None
    assert report.judge.triples is None
    doubt = report.judge.doubt()
    assert doubt is not None
    assert "the judge colors itself finds 25.0% of these people" in doubt
    assert "expected at least 85%" in doubt
