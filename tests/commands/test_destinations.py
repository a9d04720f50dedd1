"""`dgnet generate -o URL`: made in a work folder, put to a store, and carried on after a kill."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from dgnet.generation.upload.work import work_folder
from tests.commands.test_cli import exit_code
from tests.generation.jobs import PERSONS, noted, save_tiny_checkpoint
from tests.model.tiny import write_people
from tests.s3_server import BUCKET, SECRET, S3Server

PATIENCE_SECONDS = 300.0
URL = f"s3://{BUCKET}/sets/one"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_people(tmp_path / "people", persons=PERSONS)


@pytest.fixture
def s3(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return s3


def arguments(checkpoint: Path, *more: str | Path) -> list[str]:
    options = ("--checkpoint", checkpoint, "--device", "cpu", "--batch-size", "4")
    return ["generate", *map(str, (*more, *options))]


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_a_set_arrives_whole_and_the_work_folder_goes(
    s3: S3Server, people: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = ("--count", "12", "--size", "32x16")
    assert exit_code(*arguments(checkpoint, people, *made, "-o", tmp_path / "local")) == 0
    assert exit_code(*arguments(checkpoint, people, *made, "-o", URL)) == 0
    assert f"at {URL}, " in capsys.readouterr().out
    assert s3.objects("sets/one/") == files(tmp_path / "local")
    assert not work_folder(URL).exists()
    # Asked again, it makes nothing again.
    assert exit_code(*arguments(checkpoint, people, *made, "-o", URL, "--resume")) == 0
    assert f"{URL} holds the complete set already" in capsys.readouterr().out
    assert exit_code(*arguments(checkpoint, people, *made, "-o", URL)) == 2
    assert "carry it on with --resume" in capsys.readouterr().err


def test_the_spec_may_name_the_destination_and_the_work_folder_may_stay(
    s3: S3Server, people: Path, checkpoint: Path, tmp_path: Path
) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"count: 4\noutput: {{destination: '{URL}'}}\n")
    kept = ("--work", tmp_path / "work", "--keep-work")
    assert exit_code(*arguments(checkpoint, spec, people, *kept)) == 0
    assert s3.objects("sets/one/") == files(tmp_path / "work")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "no output: give --output, or output.destination in the spec"),
        (["-o", "out", "--keep-work"], "for an output that is a URL"),
        (["-o", f"s3://me:{SECRET}@bucket/set"], "it holds a password or key"),
        (["-o", "nowhere://set"], "no store that fsspec knows"),
        (["-o", "out", "--size", "huge"], "output.size: expected HEIGHTxWIDTH"),
    ],
    ids=str,
)
def test_wrong_outputs_exit_2_and_say_why(
    people: Path, checkpoint: Path, more: list[str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert exit_code(*arguments(checkpoint, people, "--count", "4", *more)) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert SECRET not in complaint


def test_a_missing_bucket_ends_the_command_before_it_makes_anything(
    s3: S3Server, people: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = "s3://no-such-bucket/set"
    assert exit_code(*arguments(checkpoint, people, "--count", "4", "-o", nowhere)) == 1
    complaint = capsys.readouterr().err
    assert f"cannot write {nowhere}/job.json: there is no such bucket" in complaint
    assert not work_folder(nowhere).exists()


@pytest.mark.slow
def test_an_upload_that_is_killed_is_carried_on(
    s3: S3Server, people: Path, checkpoint: Path, tmp_path: Path
) -> None:
    made = ("--count", "60", "-o", URL)
    command = [sys.executable, "-m", "dgnet", *arguments(checkpoint, people, *made)]
    with Popen(command, stdout=PIPE, stderr=PIPE, text=True, env=dict(os.environ)) as process:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not noted(work_folder(URL)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up_at
            time.sleep(0.01)
        process.kill()
    arrived = s3.names("sets/one/")
    assert "manifest.jsonl" not in arrived
    assert (work_folder(URL) / "manifest.jsonl").exists()
    with Popen([*command, "--resume"], stdout=PIPE, stderr=PIPE, text=True) as process:
        told, complaints = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, complaints
    local = tmp_path / "local"
    assert exit_code(*arguments(checkpoint, people, "--count", "60", "-o", local)) == 0
    assert s3.objects("sets/one/") == files(local)
    # What had arrived and been verified was not sent again; some were on their way.
    sent = int(told.partition(", ")[2].partition(" of them sent now")[0].rpartition(" ")[2])
    assert sent < len(files(local))
    assert not work_folder(URL).exists()


def test_work_folders_follow_from_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    folder = work_folder("s3://bucket/a/set")
    assert folder.parent == Path("/cache/dgnet/generate")
    assert folder == work_folder("s3://bucket/a/set/")
    assert folder != work_folder("s3://bucket/a-set")
