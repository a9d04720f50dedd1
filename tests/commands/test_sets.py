"""`dgnet push` and `dgnet pull`: exit codes, words, and a real S3 server between them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dgnet.files import file_sha256
from dgnet.generation.upload.store import Store
from dgnet.jobs.generation.manifest import Origin, Row, Written
from tests.commands.test_cli import exit_code
from tests.s3_server import BUCKET, SECRET, S3Server

URL = f"s3://{BUCKET}/sets/one"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A set of three pictures."""
    folder = tmp_path / "made"
    (folder / "train").mkdir(parents=True)
    (folder / "job.json").write_text('{"format": 1}')
    origin = Origin(path="a.jpg", person=1, camera=None)
    lines: list[str] = []
    for number in range(3):
        path = folder / "train" / f"{number}.jpg"
        path.write_bytes(bytes([number]) * 100)
        row = Row(
            position=number, written=Written(f"train/{number}.jpg", file_sha256(path), 100),
            appearance=origin, structure=origin, labels={}, scores={}, dropped=None,
        )  # fmt: skip
        lines.append(row.to_line())
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder


def test_a_set_goes_to_s3_and_comes_back(
    s3: S3Server, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("push", str(made), URL) == 0
    assert f"5 files at {URL}, 5 of them sent now" in capsys.readouterr().out
    assert exit_code("push", str(made), URL) == 0
    assert f"5 files at {URL}, 0 of them sent now" in capsys.readouterr().out
    assert exit_code("pull", URL, str(tmp_path / "there")) == 0
    assert "3 files with pictures in" in capsys.readouterr().out
    for path in (tmp_path / "there").rglob("*.*"):
        assert path.read_bytes() == (made / path.relative_to(tmp_path / "there")).read_bytes()
    Store(URL).write("train/1.jpg", b"x" * 100)
    assert exit_code("pull", URL, str(tmp_path / "elsewhere")) == 1
    assert "train/1.jpg is not what the manifest says" in capsys.readouterr().err


def test_what_cannot_be_pushed_or_pulled_is_wrong_input(
    s3: S3Server, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: str) -> str:
        assert exit_code(*arguments) == 2
        return capsys.readouterr().err

    assert "holds no complete set" in told("push", str(tmp_path), URL)
    assert "expected a URL such as" in told("push", str(made), "nowhere")
    assert "holds a password" in told("pull", f"s3://me:{SECRET}@x/y", str(tmp_path / "there"))
    assert "holds no set of dgnet" in told("pull", URL, str(tmp_path / "there"))
    assert exit_code("push", str(made), URL) == 0
    (made / "job.json").write_text(json.dumps({"format": 2}))
    assert "holds another generation job" in told("push", str(made), URL)
    (made / "job.json").write_text("{")
    assert "job.json cannot be read" in told("push", str(made), URL)
