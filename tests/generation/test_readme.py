"""A set's README.md: what Hugging Face's hub reads of it, and whose words are quoted there."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from dgnet.generation.output.readme import front_matter, readme
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.spec import GenerationSpec, spec_from
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from tests.generation.jobs import job_of, run


def spec_of(**source: Any) -> GenerationSpec:
    return spec_from({"source": {"folder": "people", **source}, "count": 5})


def read_front(text: str) -> dict[str, Any]:
    yaml: Any = importlib.import_module("yaml")
    _, front, _ = text.split("---\n", 2)
    return yaml.safe_load(front)


def test_a_set_says_what_it_is_made_of_and_under_which_license(
    people: Path, networks: tuple[Checkpoint, Predictor], tmp_path: Path
) -> None:
    source = {"name": "Market-1501", "license": "CC BY 4.0"}
    run(job_of(people, networks, count=5, source=source), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    card = (tmp_path / "out" / "card.md").read_text()
    front = read_front(text)
    assert text.endswith(f"---\n\n{card}")
    assert front["license"] == "cc-by-4.0"
    assert front["source_datasets"] == ["Market-1501"]
    assert front["size_categories"] == ["n<1K"]
    (split,) = front["configs"][0]["data_files"]
    assert split == {"split": "train", "path": "bounding_box_train/*.jpg"}
    assert "Market-1501: 15 pictures of 5 persons" in card
    assert "no more: they have CC BY 4.0." in card


def test_what_was_not_told_is_not_made_up() -> None:
    front = front_matter(spec_of(), 1000)
    assert front["license"] == "unknown"
    assert front["size_categories"] == ["1K<n<10K"]
    assert "source_datasets" not in front


def test_a_license_that_the_hub_does_not_know_is_named() -> None:
    front = front_matter(spec_of(license="Research only (2015)"), 1)
    assert (front["license"], front["license_name"]) == ("other", "research-only-2015")
    assert front_matter(spec_of(license="CC0"), 1)["license"] == "cc0-1.0"


HOSTILE = '---\nconfigs: [] # "x" ![a](http://b) <script> \u2028 \U0001f600 & *c'


def test_whatever_a_source_is_called_is_text() -> None:
    text = readme(spec_of(name=HOSTILE, license=HOSTILE), 3, "# card\n")
    front = read_front(text)
    assert front["configs"][0]["data_files"][0]["split"] == "train"
    assert front["source_datasets"] == [
        '---\\nconfigs: [] # "x" ![a](http://b) <script> \\u2028 \U0001f600 & *c'
    ]
    assert text.splitlines().count("---") == 2


def test_a_hostile_name_is_no_markup_of_the_card(
    people: Path, networks: tuple[Checkpoint, Predictor], tmp_path: Path
) -> None:
    source = {"name": HOSTILE, "license": HOSTILE}
    run(job_of(people, networks, count=1, source=source), tmp_path / "out")
    card = (tmp_path / "out" / "card.md").read_text()
    before_the_spec = card.partition("```json")[0]
    assert "\\!\\[a\\](http\\://b) \\<script\\>" in before_the_spec
    assert "<script>" not in before_the_spec.replace("\\<", "")


def test_a_set_without_a_composite_has_nothing_to_load() -> None:
    assert "configs" not in front_matter(spec_of(), 0)


@pytest.mark.parametrize("name", ["", "  ", "x" * 501, "\ud800"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(GenerationError, match=r"source\.name"):
        spec_of(name=name)


def test_a_spec_that_tells_nothing_is_written_as_before() -> None:
    assert not spec_of().to_json()["source"].keys() & {"name", "license"}
    told = spec_of(name="A", license="B")
    assert spec_from(told.to_json()) == told
