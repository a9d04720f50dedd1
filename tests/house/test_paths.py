"""Where our Python takes a path, a `str` is as good as a `Path`."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any

import pytest

from dgnet.client.datasets import AsyncDatasets
from dgnet.client.jobs import AsyncJobs
from dgnet.generation import local_run
from dgnet.generation.output.assembly import read_manifest
from dgnet.generation.upload.uploading import upload
from dgnet.model import checkpoints, published_files
from dgnet.model.data.check.files import inspect_file
from dgnet.model.data.layouts import detect_layout, read_dataset
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.triples import read_triples
from dgnet.model.data.truth_batches import TruthTriples
from dgnet.model.evaluation.composites.report import evaluate_checkpoint
from dgnet.model.evaluation.generation.inception import InceptionFeatures
from dgnet.model.evaluation.generation.measuring import measure_generation
from dgnet.model.evaluation.generation.perceptual import PerceptualDistance
from dgnet.model.evaluation.retrieval.embedding_cache import EmbeddingCache
from dgnet.model.evaluation.sheets.composites import evaluation_sheet
from dgnet.model.judge.checkpoint import TrainedJudge, save_judge, update_judge_metrics
from dgnet.model.judge.onnx import OnnxJudge
from dgnet.model.predictor import Predictor
from dgnet.model.training.run import RunOptions
from dgnet.model.training.state import TrainingState, saved_iterations
from dgnet.paths import local_path
from dgnet.people.assets import load_assets
from dgnet.people.writing.run import render_set
from dgnet.pictures import open_file, read_file

ROOT = Path(__file__).parents[2]
PEOPLE = ROOT / "dgnet" / "samples" / "people"
SMALL = ROOT / "model" / "weights" / "small"

DOORS: list[Callable[..., Any]] = [
    Predictor.load,
    checkpoints.save_checkpoint,
    checkpoints.pack_checkpoint,
    checkpoints.update_metrics,
    checkpoints.read_metadata,
    checkpoints.load_checkpoint,
    checkpoints.load_teacher,
    published_files.PublishedFiles,
    published_files.import_published,
    published_files.read_published,
    read_dataset,
    detect_layout,
    inspect_file,
    read_triples,
    TrainingPictures.load,
    TruthTriples,
    RunOptions,
    TrainingState,
    saved_iterations,
    evaluate_checkpoint,
    evaluation_sheet,
    measure_generation,
    InceptionFeatures.load,
    PerceptualDistance.load,
    save_judge,
    update_judge_metrics,
    TrainedJudge.load,
    OnnxJudge,
    EmbeddingCache,
    EmbeddingCache.embeddings,
    local_run.run_job,
    local_run.is_complete,
    local_run.count_complete,
    read_manifest,
    upload,
    load_assets,
    render_set,
    open_file,
    read_file,
    *(
        method
        for kind in (AsyncDatasets, AsyncJobs)
        for _, method in inspect.getmembers(kind, callable)
    ),
]


def parts(annotation: Any) -> set[Any]:
    """The members of a union, or the one type."""
    is_union = typing.get_origin(annotation) in (typing.Union, UnionType)
    return set(typing.get_args(annotation)) if is_union else {annotation}


def paths_of(door: Callable[..., Any]) -> dict[str, set[Any]]:
    function = door.__init__ if inspect.isclass(door) else door
    hints = typing.get_type_hints(function)
    hints.pop("return", None)
    return {name: parts(hint) for name, hint in hints.items() if Path in parts(hint)}


@pytest.mark.parametrize(
    "door",
    [door for door in DOORS if not door.__name__.startswith("_")],
    ids=lambda door: door.__qualname__,
)
def test_a_path_is_a_str_as_well(door: Callable[..., Any]) -> None:
    assert {name for name, kinds in paths_of(door).items() if str not in kinds} == set()


def test_the_doors_take_paths_at_all() -> None:
    assert sum(bool(paths_of(door)) for door in DOORS if not door.__name__.startswith("_")) > 30


def test_a_str_gives_what_a_path_gives(tmp_path: Path) -> None:
    people, small = str(PEOPLE), str(SMALL)
    assert read_dataset(people) == read_dataset(PEOPLE)
    assert detect_layout(people) == "market1501"
    assert checkpoints.read_metadata(small) == checkpoints.read_metadata(SMALL)
    picture = sorted((PEOPLE / "query").iterdir())[0]
    assert read_file(str(picture)) == read_file(picture)
    assert inspect_file(str(picture)) == inspect_file(picture)
    packed = str(tmp_path / "packed")
    checkpoints.pack_checkpoint(small, packed)
    assert checkpoints.update_metrics(packed, {"rank1": 0.5}).metrics["rank1"] == 0.5
    loaded = Predictor.load(packed, device="cpu", precision="fp32")
    assert loaded.model_id == checkpoints.read_metadata(SMALL).config.preset


@pytest.mark.parametrize("url", ["s3://bucket/set", "file:///tmp/set", Path("s3://bucket/set")])
def test_a_url_is_no_folder_of_that_name(url: str | Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a URL; expected the path of a local file or folder"):
        local_path(url)
    with pytest.raises(ValueError, match="is a URL"):
        Predictor.load(url)


def test_an_empty_text_is_not_the_folder_one_is_in() -> None:
    with pytest.raises(ValueError, match="an empty path was given"):
        read_dataset("")


@pytest.mark.parametrize("given", ["a", "./a:b/c", "~/a", "C:/a", "/a:/b", "a b"])
def test_other_texts_are_taken_as_they_stand(given: str) -> None:
    assert local_path(given) == Path(given)


def test_no_path_is_a_mistake_and_not_the_current_folder() -> None:
    with pytest.raises(TypeError):
        local_path(None)  # pyright: ignore[reportArgumentType]
