"""`dgnet filter`: what is counted, what is written, what is refused. Pictures, card and job are
those of a set that was generated; its scores are written by hand.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dgnet.files import file_sha256
from dgnet.generation.upload.pulling import pull
from tests.commands.test_cli import exit_code
from tests.generation.jobs import (
    PERSONS,
    Row,
    contents,
    manifest,
    save_tiny_checkpoint,
    table,
)
from tests.model.tiny import write_people

IDENTITY = (0.9, 0.5, 0.49, 0.1, 0.7, 0.2, 0.3, 0.4, -0.5, 1.0)
"""Of two composites of each of five persons, one after the other."""
JUDGE = (0.1, 0.6, 0.1, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.2)
AT_HALF = ("--minimum-identity-consistency", "0.5")


def write_rows(folder: Path, rows: list[Row]) -> None:
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten composites."""
    top = tmp_path_factory.mktemp("filter")
    people = write_people(top / "people", persons=PERSONS)
    checkpoint = save_tiny_checkpoint(top / "tiny")
    made = top / "made"
    options = ("--per-identity", "2", "--source-license", "CC0", "--device", "cpu")
    networks = ("--checkpoint", str(checkpoint), "--batch-size", "4", "--score", "none")
    assert exit_code("generate", str(people), "-o", str(made), *options, *networks) == 0
    rows = manifest(made)
    # A plan goes person by person, in an order that the seed draws.
    rows.sort(key=lambda row: (row["appearance_person"], row["position"]))
    for row, identity, judge in zip(rows, IDENTITY, JUDGE, strict=True):
        row["scores"] = {"identity_consistency": identity, "judge_similarity": judge}
    write_rows(made, rows)
    job = json.loads((made / "job.json").read_text())
    job["spec"]["scores"] = ["identity_consistency", "judge_similarity"]
    (made / "job.json").write_text(json.dumps(job))
    assert [row["appearance_person"] for row in rows] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    return made


@pytest.fixture
def made(generated: Path, tmp_path: Path) -> Path:
    """One's own."""
    return Path(shutil.copytree(generated, tmp_path / "made"))


def filtered(*arguments: str | Path) -> int | str | None:
    return exit_code("filter", *map(str, arguments))


def test_a_threshold_keeps_what_reaches_it(
    generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    before = contents(generated)
    assert filtered(generated, *AT_HALF, "-o", out) == 0
    told = capsys.readouterr()
    assert f"4 of 10 composites kept, in {out}" in told.out
    assert "dropped, identity_consistency below 0.5: 6 (6 are below it)" in told.out
    assert "smallest 0, largest 2, of 5 persons" in told.out
    assert "every composite of 2 persons is dropped: 2, 4" in told.err
    assert contents(generated) == before
    rows, old = manifest(out), manifest(generated)
    assert [row["kept"] for row in rows] == [score >= 0.5 for score in IDENTITY]
    for row, was in zip(rows, old, strict=True):
        if row["kept"]:
            assert row == was
            assert file_sha256(out / row["file"]) == row["sha256"]
            assert (out / row["file"]).samefile(generated / row["file"])
        else:
            gone = {"file": None, "sha256": None, "bytes": None}
            assert row == {**was, **gone, "kept": False, "dropped": "low_identity_consistency"}
    assert [row["scores"] for row in table(out)] == [row["scores"] for row in rows]
    assert len(list((out / "bounding_box_train").iterdir())) == 4
    assert sorted(entry.name for entry in out.iterdir()) == [
        "README.md", "bounding_box_train", "card.md", "job.json", "manifest.jsonl",
        "manifest.parquet", "plots", "sheet.png",
    ]  # fmt: skip
    assert [entry.name for entry in out.parent.iterdir()] == ["out"]


def test_card_and_readme_tell_what_was_filtered(generated: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    thresholds = (*AT_HALF, "--minimum-judge-similarity", "0.3")
    assert filtered(generated, *thresholds, "-o", out, "-q") == 0
    card = (out / "card.md").read_text()
    # Reach 0.5: 1, 1, 3, 5. Of these 0.1 and 0.2 are below 0.3; so is a third, which fails both.
    assert "2 of 10 composites were kept of a set" in card
    assert file_sha256(generated / "manifest.jsonl") in card
    assert "| identity_consistency at least 0.5 | 6 | 6 |" in card
    assert "| judge_similarity at least 0.3 | 3 | 2 |" in card
    assert "**3 persons are left with nothing by this**: 2, 4, 5." in card
    assert "| dropped: low_judge_similarity | 2 |" in card
    assert "5 persons; smallest 0, median 0, largest 1 composites a person." in card
    assert "![judge_similarity](plots/judge_similarity.png)" in card
    old = (generated / "card.md").read_text()
    for heading in ("## Made of", "## Made with", "## Spec", "## License", "## Privacy"):
        section = old[old.index(heading) :].split("\n## ")[0].rstrip()
        assert section in card
    readme = (out / "README.md").read_text()
    assert readme.endswith(card)
    assert yaml.safe_load(readme.split("---\n")[1])["license"] == "cc0-1.0"


def test_histograms_have_a_line_where_it_cuts(generated: Path, tmp_path: Path) -> None:
    for least in ("0.5", "0.6"):
        options = ("--minimum-identity-consistency", least, "-o", tmp_path / least)
        assert filtered(generated, *options) == 0
    one, other = (contents(tmp_path / least / "plots") for least in ("0.5", "0.6"))
    # The same scores of all that were made, cut elsewhere.
    assert one["identity_consistency.png"] != other["identity_consistency.png"]
    assert one["judge_similarity.png"] == other["judge_similarity.png"]


def test_a_dry_run_only_counts(
    generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--minimum-judge-similarity", "0.3", "--dry-run", "--json", "-o", tmp_path / "out")
    assert filtered(generated, *asked) == 0
    assert json.loads(capsys.readouterr().out) == {
        "output": None,
        "minimums": {"judge_similarity": 0.3},
        "before": 10,
        "kept": 7,
        "below": {"judge_similarity": 3},
        "dropped": {"judge_similarity": 3},
        "persons": {
            str(person): {"before": 2, "kept": kept}
            for person, kept in zip(range(1, 6), (1, 1, 2, 2, 1), strict=True)
        },
        "persons_emptied": [],
    }
    assert list(tmp_path.iterdir()) == []


def test_a_filtered_set_is_filtered_pushed_and_pulled(generated: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert filtered(generated, "--minimum-judge-similarity", "0.3", "-o", first) == 0
    assert filtered(first, *AT_HALF, "-o", second) == 0
    assert [row["dropped"] for row in manifest(second)][:3] == [
        "low_judge_similarity", None, "low_judge_similarity",
    ]  # fmt: skip
    card = (second / "card.md").read_text()
    assert card.count("## Filtered") == 1
    assert "7 of 10 composites were kept" in card
    assert "2 of 7 composites were kept" in card
    steps: list[dict[str, Any]] = json.loads((second / "job.json").read_text())["filtered"]
    assert [step["of"] for step in steps] == [
        file_sha256(folder / "manifest.jsonl") for folder in (generated, first)
    ]
    assert [step["minimums"] for step in steps] == [
        {"judge_similarity": 0.3}, {"identity_consistency": 0.5},
    ]  # fmt: skip
    whole = contents(second)
    url = (tmp_path / "store").as_uri()
    assert exit_code("push", str(second), url) == 0
    assert pull(url, tmp_path / "there").files == 2
    assert contents(tmp_path / "there") == whole


def test_what_cannot_be_filtered_is_refused_and_writes_nothing(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    def told(*arguments: str | Path, folder: Path = made) -> str:
        assert filtered(folder, *arguments) == 2
        assert not out.exists()
        return capsys.readouterr().err

    assert "no threshold" in told("-o", out)
    assert "no output" in told(*AT_HALF)
    assert "is a URL" in told(*AT_HALF, "-o", "s3://bucket/set")
    assert "must be at most 1" in told("--minimum-identity-consistency", "1.5", "-o", out)
    assert "minimum_identity" in told("--minimum-identity-consistency", "nan", "-o", out)
    assert "none of 10 composites" in told(*AT_HALF, "--minimum-judge-similarity", "1", "-o", out)
    for dry in ([], ["--dry-run"]):
        message = told("--minimum-teacher-confidence", "0.1", "-o", out, *dry)
        assert "has no score teacher_confidence" in message
        assert "--score teacher_confidence" in message
    assert "holds no complete set" in told(*AT_HALF, "-o", out, folder=tmp_path)
    assert "lies in the set" in told(*AT_HALF, "-o", made / "better")
    assert "is there already" in told(*AT_HALF, "-o", made)

    rows = manifest(made)
    picture = made / rows[0]["file"]
    data = picture.read_bytes()
    picture.write_bytes(data + b"x")
    assert f"{picture} is not what the manifest says" in told(*AT_HALF, "-o", out)
    picture.unlink()
    assert f"{picture} is gone" in told(*AT_HALF, "-o", out)
    picture.write_bytes(data)
    write_rows(made, [{**rows[0], "file": "../people/0001_c1s1_000001_00.png"}, *rows[1:]])
    assert "no picture of a set" in told(*AT_HALF, "-o", out)
    write_rows(made, [rows[0], {"position": 1}])
    assert "line 2 of" in told(*AT_HALF, "-o", out)
    write_rows(made, rows)

    job = json.loads((made / "job.json").read_text())
    job["spec"]["output"]["layout"] = "parquet"
    (made / "job.json").write_text(json.dumps(job))
    assert "has the layout parquet" in told(*AT_HALF, "-o", out)
    assert filtered(made, *AT_HALF, "--dry-run") == 0
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["made"]


def test_an_empty_folder_is_taken_and_no_other(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert filtered(generated, *AT_HALF, "-o", tmp_path) == 0
    copied = manifest(tmp_path)[0]["file"]
    assert (tmp_path / copied).read_bytes() == (generated / copied).read_bytes()
    before = contents(tmp_path)
    assert filtered(generated, *AT_HALF, "-o", tmp_path) == 2
    assert contents(tmp_path) == before
