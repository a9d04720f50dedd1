"""Pictures in the size and format that the spec asks for, and what the data card shows."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgnet.generation.making.encoding import encode_composite
from dgnet.generation.output.summary import Histogram
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.manifest import SCORES
from dgnet.jobs.generation.spec import KeepSpec, OutputSpec, spec_from
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from tests.generation.jobs import contents, job_of, manifest, run
from tests.model.tiny import HEIGHT, WIDTH

Networks = tuple[Checkpoint, Predictor]


def decoded(pixels: np.ndarray[Any, np.dtype[np.uint8]], **output: Any) -> Image.Image:
    image = Image.open(io.BytesIO(encode_composite(pixels, OutputSpec(**output))))
    image.load()
    return image


def test_pictures_are_resampled_to_height_times_width() -> None:
    pixels = np.full((8, 4, 3), (200, 100, 50), dtype=np.uint8)
    image = decoded(pixels, size=(32, 20), picture_format="png")
    assert (image.height, image.width) == (32, 20)
    assert image.getextrema() == ((200, 200), (100, 100), (50, 50))


def test_resampling_averages_rather_than_skips() -> None:
    # Stripes of one pixel vanish into gray; a filter that skips pixels would keep black or white.
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    pixels[:, ::2] = 255
    shrunk = np.asarray(decoded(pixels, size=(16, 16), picture_format="png")).astype(int)
    assert np.abs(shrunk[4:-4, 4:-4] - 127).max() <= 4


@pytest.mark.parametrize(("picture_format", "kind"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_quality_decides_how_many_bytes_a_picture_takes(picture_format: str, kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    small, large = (
        encode_composite(
            pixels, OutputSpec.model_validate({"picture_format": picture_format, "quality": q})
        )
        for q in (10, 95)
    )
    assert Image.open(io.BytesIO(small)).format == kind
    assert len(small) < len(large) / 2


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("256", "expected HEIGHTxWIDTH in pixels, such as 256x128"),
        ("256x", "expected HEIGHTxWIDTH"),
        ("8x128", r"output\.size\.0: must be at least 16"),
        ([256, 4096], r"output\.size\.1: must be at most 2048"),
        ([256], r"output\.size"),
    ],
)
def test_impossible_sizes_are_named(size: object, message: str) -> None:
    with pytest.raises(GenerationError, match=message):
        spec_from({"source": {"folder": "x"}, "count": 1, "output": {"size": size}})


def test_sizes_are_read_back_as_written() -> None:
    spec = spec_from({"source": {"folder": "x"}, "count": 1, "output": {"size": "256x128"}})
    assert spec.output.size == (256, 128)
    assert spec_from(spec.to_json()) == spec


def test_a_destination_that_holds_a_key_is_refused_and_not_repeated() -> None:
    output = {"destination": "s3://KEYID:hush@bucket/set"}
    with pytest.raises(
        GenerationError, match=r"output\.destination: it holds a password"
    ) as caught:
        spec_from({"source": {"folder": "x"}, "count": 1, "output": output})
    assert "hush" not in str(caught.value)


def test_a_job_writes_the_size_it_is_told_and_says_so(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    output = {"size": "96x40", "picture_format": "webp", "quality": 80}
    run(job_of(people, networks, count=4, output=output), tmp_path / "out")
    for row in manifest(tmp_path / "out"):
        with Image.open(tmp_path / "out" / row["file"]) as image:
            assert (image.format, image.height, image.width) == ("WEBP", 96, 40)
    card = (tmp_path / "out" / "card.md").read_text()
    assert (
        f"webp, quality 80, 96 x 40 pixels (height x width), resampled (Lanczos) from "
        f"{HEIGHT} x {WIDTH}; layout market1501." in card
    )


def test_where_a_set_goes_changes_none_of_its_bytes(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    run(job_of(people, networks, count=4), tmp_path / "one")
    there = {"destination": "s3://bucket/set"}
    run(job_of(people, networks, count=4, output=there), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_card_shows_every_plot_there_is(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    keep = {"minimum_identity_consistency": -1, "minimum_realism_percentile": 0}
    run(job_of(people, networks, keep=keep), tmp_path / "out")
    card = (tmp_path / "out" / "card.md").read_text()
    shown = set(re.findall(r"!\[[^]]+\]\(([^)]+)\)", card))
    assert shown == {
        "plots/persons.png", "plots/cameras.png", "plots/identity_consistency.png",
        "plots/realism_percentile.png",
    }  # fmt: skip
    assert shown == {f"plots/{path.name}" for path in (tmp_path / "out" / "plots").iterdir()}
    for name in shown:
        with Image.open(tmp_path / "out" / name) as plot:
            assert (plot.format, plot.size) == ("PNG", (800, 300))
            assert len(plot.convert("RGB").getcolors(2**16) or ()) > 2  # not empty paper
            assert not plot.info.keys() & {"Software", "Creation Time"}


def test_a_set_of_which_nothing_was_kept_has_a_card_too(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    nothing = {"minimum_teacher_confidence": 1}
    assert run(job_of(people, networks, count=4, keep=nothing), tmp_path / "out").kept == 0
    assert "None: no composite was kept." in (tmp_path / "out" / "card.md").read_text()


def test_quantiles_are_right_to_within_a_bin() -> None:
    scores = Histogram(0, 1)
    values = np.random.default_rng(0).beta(2, 5, 5000)
    for value in values.tolist():
        scores.add(value)
    for share in (0.0, 0.05, 0.5, 0.95, 1.0):
        assert scores.quantile(share) == pytest.approx(np.quantile(values, share), abs=0.001)
    assert scores.mean == pytest.approx(values.mean())


def test_scores_that_rounding_put_beyond_their_range_are_counted() -> None:
    scores = Histogram(-1, 1)
    for value in (-1.0000001, 1.0, 1.0000001):
        scores.add(value)
    assert (scores.bins[0], scores.bins[-1], sum(scores.bins)) == (1, 2, 3)
    assert scores.quantile(0.5) <= scores.largest == 1.0000001


def test_every_filter_with_a_score_has_the_range_of_its_bounds() -> None:
    bounds = {
        name.removeprefix("minimum_"): tuple(
            next(getattr(limit, side) for limit in field.metadata if hasattr(limit, side))
            for side in ("ge", "le")
        )
        for name, field in KeepSpec.model_fields.items()
        if name.startswith("minimum_")
    }
    assert bounds == SCORES
