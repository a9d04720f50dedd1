"""What a generation job is to make: one frozen model, the same in files, Python and HTTP.

Impossible combinations fail here with the field's name; whether the data set allows the rest is
seen by the plan. Light: neither torch nor `model` is imported, so that the front end can validate a
spec.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from dgnet.jobs.contract import Scene
from dgnet.jobs.generation.errors import GenerationError, SpecError
from dgnet.jobs.generation.manifest import SCORES, Score
from dgnet.jobs.plain_words import in_words
from dgnet.layouts import LayoutName, SplitName

Pairing = Literal["cross_identity", "same_camera", "cross_camera", "full_grid"]
LabelName = Literal["appearance", "structure", "uniform", "two_labels"]
OutputLayout = Literal["market1501", "imagefolder", "webdataset", "parquet"]
PictureFormat = Literal["jpg", "png", "webp"]

MOST_PROBLEMS = 50
"""That are told of one spec."""

TOP_K_PREFIX = "teacher_top_k="


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("expected text; half of a surrogate pair is none") from error
    return text


Text = Annotated[str, AfterValidator(_encodable)]
"""Text that can be written down: a string of Python, JSON or YAML need not be."""


Told = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(_encodable),
]
"""What somebody says of a data set, in at most so many characters."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSpec(_Part):
    """The real pictures that appearance and structure are taken from: a folder, or a data set that
    was uploaded to a server. A server takes folders below its data root only.
    """

    folder: Path | None = None
    dataset: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    layout: LayoutName | None = None
    """Found out from folders and names if absent (docs/data.md)."""
    pattern: Text | None = None
    split: SplitName = "train"
    junk: tuple[Text, ...] | None = None
    """What the data set calls junk; -1 if absent, `none` for nobody."""
    distractors: tuple[Text, ...] | None = None
    """What the data set calls distractors; 0 if absent, `none` for nobody."""
    name: Told | None = None
    """What the pictures are called where they come from, for the card."""
    license: Told | None = None
    """Under which they were given, for the card: a name such as CC-BY-4.0, or a sentence."""

    @model_validator(mode="after")
    def _one_place(self) -> SourceSpec:
        if (self.folder is None) == (self.dataset is None):
            given = "neither" if self.folder is None else "both"
            raise ValueError(f"{given} of folder and dataset given; expected one of them")
        return self


class TeacherTopK(_Part):
    """The k most probable of the teacher's classes, with their probabilities."""

    teacher_top_k: int = Field(ge=1, le=1000)


def _label_from_text(value: object) -> object:
    """`teacher_top_k=5`, as a command line writes it."""
    if isinstance(value, str) and value.startswith(TOP_K_PREFIX):
        return {"teacher_top_k": value.removeprefix(TOP_K_PREFIX)}
    return value


Label = Annotated[LabelName | TeacherTopK, BeforeValidator(_label_from_text)]


def _minimum(score: Score) -> Any:
    lowest, highest = SCORES[score]
    return Field(default=None, ge=lowest, le=highest)


class KeepSpec(_Part):
    """Composites that fail any of these are dropped; without one, all are kept."""

    minimum_identity_consistency: float | None = _minimum("identity_consistency")
    """Cosine between the embeddings of the appearance picture and of the composite."""
    minimum_teacher_confidence: float | None = _minimum("teacher_confidence")
    """The largest probability that the teacher gives to anybody."""
    minimum_realism_percentile: float | None = _minimum("realism_percentile")
    """Share of the real pictures, in percent, whose discriminator score is not higher."""
    minimum_judge_similarity: float | None = _minimum("judge_similarity")
    """The same cosine by a judge that had no part in the training; whoever makes the composites
    names it, never the spec.
    """
    near_duplicates: int | None = Field(default=None, ge=0, le=64)
    """Drop where the 64-bit difference hash is within so many bits of a kept composite of the same
    person in the same shard.
    """

    @property
    def minimums(self) -> dict[Score, float]:
        """The scores that are asked for, and what of each is kept."""
        minimums: dict[Score, float | None] = {
            score: getattr(self, f"minimum_{score}") for score in SCORES
        }
        return {score: value for score, value in minimums.items() if value is not None}


DEFAULT_SCORES: tuple[Score, ...] = ("identity_consistency",)
NO_SCORES = "none"


def _scores_from_text(value: object) -> object:
    """`none`, as a command line or YAML writes it, alone."""
    nothing = value == NO_SCORES or value in ([NO_SCORES], (NO_SCORES,))
    return [] if nothing else value


def _names(labels: tuple[Label, ...]) -> list[str]:
    return ["teacher_top_k" if isinstance(label, TeacherTopK) else label for label in labels]


def _size_from_text(value: object) -> object:
    """`256x128`, as a command line or YAML writes it."""
    if isinstance(value, str):
        if not (sides := re.fullmatch(r"(\d{1,6})x(\d{1,6})", value)):
            raise ValueError("expected HEIGHTxWIDTH in pixels, such as 256x128")
        return [int(side) for side in sides.groups()]
    return value


Side = Annotated[int, Field(ge=16, le=2048)]
PictureSize = Annotated[tuple[Side, Side], BeforeValidator(_size_from_text)]
"""Height and width in pixels."""


class OutputSpec(_Part):
    """How composites are laid out, and optionally where the complete set goes."""

    layout: OutputLayout = "market1501"
    picture_format: PictureFormat = "jpg"
    quality: int = Field(default=95, ge=1, le=100)
    """Of JPEG and WebP."""
    size: PictureSize | None = None
    """Of the pictures written; the network's own if absent."""
    shard_size: int = Field(default=1024, ge=1, le=65536)
    """Composites made and published together."""
    destination: Text | None = None
    """URL that the complete set is put to. It does not change a byte of any file, so it is no part
    of what tells two jobs apart: a set may be uploaded elsewhere than its job was begun for.
    """

    @field_validator("destination")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        if url is not None and (problem := url_problem(url)):
            raise ValueError(problem)
        return url


def url_problem(url: str) -> str | None:
    """What is wrong with a destination, without repeating it: it may hold a secret."""
    if not re.match(r"[a-z][a-z0-9+.-]*://.", url):
        return "expected a URL such as s3://bucket/prefix"
    if "::" in url or "?" in url:
        return "expected one plain URL without options, such as s3://bucket/prefix"
    user, at, _ = url.partition("://")[2].partition("@")
    if at and ":" in user:
        return (
            "it holds a password or key; expected none: credentials are taken from the environment "
            "or the store's own configuration"
        )
    return None


class GenerationSpec(_Part):
    """A generation job; `count` or `per_identity` says how much, everything else has a default."""

    name: Annotated[Text, Field(max_length=200)] | None = None
    """What people call the job; it decides nothing."""
    source: SourceSpec
    count: int | None = Field(default=None, ge=1)
    per_identity: int | None = Field(default=None, ge=1)
    """Composites for each person who gives the appearance."""
    pairing: Pairing = "cross_identity"
    scene: Scene | None = None
    """What no swap changes: the structure picture's own pixels, or generated ones. Kept if absent,
    where the networks can.
    """
    seed: int = Field(default=0, ge=0, lt=2**63)
    labels: tuple[Label, ...] = ("appearance", "structure")
    scores: Annotated[tuple[Score, ...], BeforeValidator(_scores_from_text)] = DEFAULT_SCORES
    """Of every composite, in the manifest; those that `keep` filters by come to them."""
    keep: KeepSpec = KeepSpec()
    top_up: int = Field(default=0, ge=0)
    """At most so many composites more, made for those that were dropped."""
    output: OutputSpec = OutputSpec()

    @model_validator(mode="after")
    def _one_amount(self) -> GenerationSpec:
        if (self.count is None) == (self.per_identity is None):
            given = "neither" if self.count is None else "both"
            raise ValueError(f"{given} of count and per_identity given; expected one of them")
        return self

    @field_validator("labels")
    @classmethod
    def _no_label_twice(cls, labels: tuple[Label, ...]) -> tuple[Label, ...]:
        kinds = _names(labels)
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise ValueError(f"{kind} is named {kinds.count(kind)} times; expected once")
        return labels

    @field_validator("scores")
    @classmethod
    def _each_score_once(cls, scores: tuple[Score, ...]) -> tuple[Score, ...]:
        return tuple(score for score in SCORES if score in scores)

    @property
    def label_names(self) -> list[str]:
        """As the manifest calls them."""
        return _names(self.labels)

    @property
    def top_k(self) -> int | None:
        """Of the teacher's label, where it is asked for."""
        return next((x.teacher_top_k for x in self.labels if isinstance(x, TeacherTopK)), None)

    @property
    def wanted_scores(self) -> list[Score]:
        """Those that are computed, in the order of `SCORES`."""
        return [score for score in SCORES if score in self.scores or score in self.keep.minimums]

    @property
    def needs_teacher(self) -> bool:
        return (
            self.top_k is not None
            or "two_labels" in self.labels
            or "teacher_confidence" in self.wanted_scores
        )

    @property
    def needs_discriminator(self) -> bool:
        return "realism_percentile" in self.wanted_scores

    @property
    def needs_judge(self) -> bool:
        return "judge_similarity" in self.wanted_scores

    def to_json(self) -> dict[str, Any]:
        """JSON-safe form, read back by `spec_from`."""
        values = self.model_dump(mode="json")
        if self.keep.minimum_judge_similarity is None:
            # A job that asks no judge is described, and carried on, as before there were any.
            del values["keep"]["minimum_judge_similarity"]
        if self.name is None:
            del values["name"]
        if self.scene is None:  # as before there was a choice
            del values["scene"]
        # The one place that was given: a job is described alike wherever its source comes from.
        del values["source"]["dataset" if self.source.dataset is None else "folder"]
        # As a spec was written before there were these fields.
        for name in ("junk", "distractors", "name", "license"):
            if values["source"][name] is None:
                del values["source"][name]
        return values


def spec_from(values: dict[str, Any], *, where: str = "the spec") -> GenerationSpec:
    """Validate plain values; the error names every field that is wrong, one a line."""
    try:
        return GenerationSpec.model_validate(values)
    except ValidationError as error:
        problems = _problems(error)
        lines = [f"{field}: {message}" if field else message for field, message in problems]
        raise SpecError(f"{where} cannot be used: " + "; ".join(lines), problems) from error


def read_spec_file(path: Path) -> dict[str, Any]:
    """The plain values of a .yaml, .yml or .json file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GenerationError(f"cannot read the spec {path}: {error}") from error
    try:
        values = json.loads(text) if path.suffix.lower() == ".json" else _read_yaml(text)
    except ValueError as error:
        raise GenerationError(f"{path} cannot be understood: {error}") from error
    if not isinstance(values, dict):
        raise GenerationError(
            f"{path} holds {type(values).__name__}; expected names and values such as count: 1000 "
            "(docs/generation.md)"
        )
    return cast("dict[str, Any]", values)


def merged(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """`values` with those of `overrides` that are not None, level by level."""
    result = dict(values)
    for name, value in overrides.items():
        if isinstance(value, dict):
            below = result.get(name)
            inner = cast("dict[str, Any]", below) if isinstance(below, dict) else {}
            result[name] = merged(inner, cast("dict[str, Any]", value))
        elif value is not None:
            result[name] = value
    return result


def _read_yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _problems(error: ValidationError) -> tuple[tuple[str, str], ...]:
    """Name and message of each field that is wrong, of many the first ones; the name is empty for
    the whole spec.
    """
    problems: list[tuple[str, str]] = []
    for problem in error.errors(include_url=False)[:MOST_PROBLEMS]:
        # Members of unions appear as names of types: only what the user wrote is said.
        path = [str(part) for part in problem["loc"] if str(part) not in _UNION_MEMBERS]
        message = in_words(problem)
        arrived = problem["input"]
        # What is no plain URL may hold a key.
        if isinstance(arrived, str | int | float | bool) and path[-1:] != ["destination"]:
            message += f" (got {arrived!r})"
        problems.append((".".join(path), message))
    if (more := error.error_count() - MOST_PROBLEMS) > 0:
        problems.append(("", f"and {more} more"))
    return tuple(problems)


_UNION_MEMBERS = frozenset(
    {
        "TeacherTopK",
        "literal['appearance','structure','uniform','two_labels']",
        "function-before[_label_from_text(), union[literal['appearance','structure','uniform',"
        "'two_labels'],TeacherTopK]]",
    }
)
