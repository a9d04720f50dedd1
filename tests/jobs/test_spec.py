"""What a spec accepts, how files and options meet, and what its errors say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.spec import (
    TeacherTopK,
    merged,
    read_spec_file,
    spec_from,
)

SOURCE: dict[str, Any] = {"source": {"folder": "people"}}


def test_defaults_are_the_documented_ones() -> None:
    spec = spec_from({**SOURCE, "count": 10})
    assert (spec.pairing, spec.seed, spec.top_up) == ("cross_identity", 0, 0)
    assert spec.labels == ("appearance", "structure")
    assert (spec.output.layout, spec.output.picture_format) == ("market1501", "jpg")
    assert not spec.needs_teacher
    assert not spec.needs_discriminator


def test_a_spec_survives_json() -> None:
    spec = spec_from(
        {**SOURCE, "per_identity": 3, "labels": ["uniform", {"teacher_top_k": 5}], "top_up": 7}
    )
    assert spec_from(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_spec_without_a_scene_is_written_as_before_there_was_one() -> None:
    spec = spec_from({**SOURCE, "count": 10})
    assert spec.scene is None
    assert "scene" not in spec.to_json()
    for scene in ("keep", "generate"):
        spec = spec_from({**SOURCE, "count": 10, "scene": scene})
        assert spec.to_json()["scene"] == scene
        assert spec_from(spec.to_json()) == spec


@pytest.mark.parametrize("text", ["teacher_top_k=5", {"teacher_top_k": 5}])
def test_the_teachers_label_is_written_either_way(text: object) -> None:
    spec = spec_from({**SOURCE, "count": 1, "labels": ["appearance", text]})
    assert spec.labels == ("appearance", TeacherTopK(teacher_top_k=5))
    assert spec.top_k == 5
    assert spec.needs_teacher


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "neither of count and per_identity given"),
        ({"count": 1, "per_identity": 1}, "both of count and per_identity given"),
        ({"count": 0}, r"count: must be at least 1 \(got 0\)"),
        ({"count": 1, "pairng": "full_grid"}, "pairng: there is no such field"),
        ({"count": 1, "pairing": "all"}, r"pairing: .*'full_grid' \(got 'all'\)"),
        ({"count": 1, "scene": "blur"}, r"scene: .*'keep' or 'generate' \(got 'blur'\)"),
        ({"count": 1, "labels": ["uniform", "uniform"]}, "labels: uniform is named 2 times"),
        ({"count": 1, "labels": ["person"]}, r"labels.0: .*\(got 'person'\)"),
        ({"count": 1, "keep": {"minimum_realism_percentile": 101}}, "must be at most 100"),
    ],
    ids=str,
)
def test_errors_name_the_field_and_what_arrived(values: dict[str, Any], message: str) -> None:
    with pytest.raises(GenerationError, match=message):
        spec_from({**SOURCE, **values})


def test_yaml_and_json_files_say_the_same(tmp_path: Path) -> None:
    values = {**SOURCE, "count": 5, "labels": ["appearance", {"teacher_top_k": 2}]}
    (tmp_path / "spec.json").write_text(json.dumps(values))
    (tmp_path / "spec.yaml").write_text(
        "source: {folder: people}\ncount: 5\nlabels:\n  - appearance\n  - teacher_top_k: 2\n"
    )
    assert read_spec_file(tmp_path / "spec.json") == values
    assert read_spec_file(tmp_path / "spec.yaml") == values


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("spec.json", "{", "cannot be understood"),
        ("spec.yaml", "a: [", "cannot be understood"),
        ("spec.yaml", "- 1", "holds list; expected names and values"),
        ("gone.yaml", None, "cannot read the spec"),
    ],
)
def test_files_that_are_no_spec_say_so(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(GenerationError, match=message):
        read_spec_file(tmp_path / name)


def test_options_win_level_by_level() -> None:
    file = {"source": {"folder": "a", "split": "query"}, "count": 1, "keep": {"near_duplicates": 3}}
    options = {"source": {"folder": "b", "split": None}, "count": 2, "keep": {}}
    assert merged(file, options) == {
        "source": {"folder": "b", "split": "query"}, "count": 2, "keep": {"near_duplicates": 3},
    }  # fmt: skip
