"""`dgnet data check`: its answer, its exit codes, and the layouts that training takes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from dgnet.model.checkpoints import read_metadata
from tests.commands.test_cli import exit_code
from tests.commands.test_training_commands import ON_CPU, SHORT, TINY
from tests.model.data.trees import MARKET, write_pictures


@pytest.fixture
def market(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "market", *MARKET)


def test_a_sound_data_set_is_a_table_and_a_success(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("data", "check", str(market)) == 0
    printed = capsys.readouterr()
    assert "| all         |        9 |      3 |       4 |    1 |           1 |" in printed.out
    assert "nothing suspicious was found" in printed.out
    assert printed.err == ""


def test_errors_in_the_data_exit_1_and_name_file_and_rule(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (market / MARKET[4]).write_bytes(b"")
    assert exit_code("data", "check", str(market)) == 1
    printed = capsys.readouterr()
    assert f"error: unreadable-file (1)\n  {MARKET[4]}: cannot be read" in printed.out
    assert printed.err.startswith(f"dgnet: {market}: the check found errors (1)")


def test_warnings_alone_are_a_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pictures(tmp_path, "0001_c7_f0106449.jpg", "0001_c6_f0106449.jpg")
    assert exit_code("data", "check", str(tmp_path)) == 0
    assert "DukeMTMC-reID was withdrawn by its authors" in capsys.readouterr().out


def test_json_goes_to_a_file_beside_the_table_or_alone_to_stdout(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (market / MARKET[4]).write_bytes(b"")
    file = tmp_path / "reports" / "market.json"
    assert exit_code("data", "check", str(market), "--json", str(file)) == 1
    assert "read as market1501" in capsys.readouterr().out
    assert exit_code("data", "check", str(market), "--json", "-") == 1
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(file.read_text())
    assert report["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert report["findings"][0]["rule"] == "unreadable-file"
    assert report["findings"][0]["subject"] == MARKET[4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["."], "no layout that is known here"),
        ([".", "--layout", "veri776"], "expected image_train, image_query, image_test"),
        ([".", "--layout", "lfw"], "lfw"),
        ([".", "--pattern", "("], "is no regular expression"),
        ([".", "--pattern", "(?P<who>.*)"], "lacks the group person"),
    ],
)
def test_wrong_input_exits_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code("data", "check", *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_wrong_name_exits_2_and_states_the_rule(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(market, "query/portrait.jpg")
    assert exit_code("data", "check", str(market)) == 2
    assert "portrait.jpg: the name does not follow Market-1501" in capsys.readouterr().err


def test_a_pattern_makes_any_folder_a_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path, "a/cam1.jpg", "a/cam2.jpg", "b/cam1.jpg", "b/cam2.jpg")
    pattern = r"(?P<person>\w+)/cam(?P<camera>\d+)"
    assert exit_code("data", "check", str(tmp_path), "--pattern", pattern, "--json", "-") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["layout"] == "pattern"
    assert (report["total"]["people"], report["total"]["cameras"]) == (2, 2)


def test_training_takes_a_folder_a_person_and_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_pictures(tmp_path / "faces", "Ada/1.jpg", "Ada/2.jpg", "Bo/1.jpg")
    sizes = ("--height", "64", "--width", "48")
    run = ("-o", str(tmp_path / "run"), *sizes, *SHORT, *TINY, *ON_CPU)
    assert exit_code("train", "teacher", str(data), *run) == 0
    assert "the cameras are not known" in capsys.readouterr().err
    metadata = read_metadata(tmp_path / "run" / "checkpoint")
    assert metadata.config.identities == 2
    assert metadata.data["pictures"] == 3
    wrong = ("train", "teacher", str(data), "-o", str(tmp_path / "other"), *sizes)
    assert exit_code(*wrong, "--layout", "duke", *SHORT, *TINY, *ON_CPU) == 2
    assert "no folder of a DukeMTMC-reID data set" in capsys.readouterr().err


def test_what_was_skipped_guessed_or_passed_over_is_in_the_report(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(
        market,
        "bounding_box_train/1488_c1s6_023021_00.jpg.jpg",
        "bounding_box_train/portrait.jpg",
        "bounding_box_train/0000_c1s1_000001_00.jpg",
        "more/1.jpg",
    )
    (market / "readme.txt").write_text("")
    latin_1 = os.fsdecode(os.fsencode(market / "query") + b"/0009_c1s1_00\xff\xfe_00.jpg")
    shutil.copy(market / MARKET[4], latin_1)
    assert exit_code("data", "check", str(market), "--json", "-") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["splits"]["train"]["pictures"] == 6
    found = [finding["message"] for finding in report["findings"] if finding["rule"] == "data-set"]
    assert [message.split(":")[0].split(",")[0] for message in found] == [
        "1 picture is left out",
        "1 train pictures of person 0 count as distractors",
        "1 names are not UTF-8 and are not read",
        "1 pictures are not read",
    ]
    assert r"query/0009_c1s1_00\xff\xfe_00.jpg" in found[2]
    (note,) = (finding for finding in report["findings"] if finding["rule"] == "reading")
    assert note["severity"] == "note"
    assert "readme.txt" in note["message"]


def test_options_of_junk_and_distractors_reach_the_reader(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--junk", "none", "--distractors", "-1")
    assert exit_code("data", "check", str(market), *options) == 0
    assert "| all         |        9 |      4 |       4 |    0 |           1 |" in (
        capsys.readouterr().out
    )
    assert exit_code("data", "check", str(market), "--junk", "0") == 2
    assert "is to be junk and distractors" in capsys.readouterr().err
