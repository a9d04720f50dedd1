"""Complete sets are put to URLs: a real S3 server, fsspec's memory, and a folder as file://."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dgnet.generation.upload import store, uploading
from dgnet.generation.upload.store import Store, explained, told_md5
from dgnet.generation.upload.uploading import take_destination, upload
from dgnet.jobs.generation.errors import GenerationError, UploadError
from dgnet.jobs.generation.manifest import Origin, Row, Written
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from tests.generation.jobs import contents, job_of, run
from tests.s3_server import BUCKET, KEY_ID, SECRET, S3Server

IDENTITY: dict[str, Any] = {"format": 1}


@pytest.fixture
def complete(tmp_path: Path) -> Path:
    """A folder that looks like a complete job."""
    folder = tmp_path / "made"
    (folder / "shards").mkdir(parents=True)
    (folder / "shards" / "left-over").write_text("not a part of the set")
    (folder / "job.json").write_bytes(b'{"format": 1}')
    (folder / "manifest.jsonl").write_text(row_of(None).to_line())
    for number in range(6):
        make(folder, f"train/0001/{number}.jpg", bytes([number]) * 1000)
    return folder


def make(folder: Path, name: str, data: bytes) -> None:
    """One picture more."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    with (folder / "manifest.jsonl").open("a") as manifest:
        manifest.write(row_of(Written(name, "", len(data))).to_line())


def row_of(written: Written | None) -> Row:
    origin = Origin(path="0001.jpg", person=1, camera=1)
    return Row(
        position=0, written=written, appearance=origin, structure=origin, labels={}, scores={},
        dropped=None if written else "near_duplicate",
    )  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    """What is to arrive."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.parent.name != "shards"
    }


class Puts:
    """Counts what a store is sent; at the given number it fails instead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails_at: int | None = None) -> None:
        self.names: list[str] = []
        put = Store.put

        def counted(a_store: Store, path: Path, name: str) -> None:
            if len(self.names) == fails_at:
                raise KeyboardInterrupt
            self.names.append(name)
            put(a_store, path, name)

        monkeypatch.setattr(store.Store, "put", counted)


def test_a_whole_job_arrives_on_s3_with_the_manifest_last(
    s3: S3Server, people: Path, networks: tuple[Checkpoint, Predictor], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    url = f"s3://{BUCKET}/sets/one"
    job = job_of(people, networks, count=8, output={"destination": url})
    assert not take_destination(url, job.identity(), resume=False)
    run(job, tmp_path / "out")
    puts = Puts(monkeypatch)
    done = upload(tmp_path / "out", f"{url}/", threads=4)
    assert s3.objects("sets/one/") == files(tmp_path / "out")
    assert done.files == done.sent == len(puts.names)
    assert puts.names[-1] == "manifest.jsonl"
    assert take_destination(url, job.identity(), resume=True)


def test_memory_and_file_urls_work_alike(complete: Path, memory: str, tmp_path: Path) -> None:
    for url in (memory, f"file://{tmp_path}/there/sub"):
        assert not take_destination(url, IDENTITY, resume=False)
        assert upload(complete, url).sent == 8
        assert take_destination(url, IDENTITY, resume=True)
    assert files(tmp_path / "there" / "sub") == files(complete)
    assert contents(tmp_path / "there" / "sub").keys() == files(complete).keys()


def test_an_interrupted_upload_sends_only_what_is_missing(
    s3: S3Server, complete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://{BUCKET}/sets/one"
    with monkeypatch.context() as patch:
        Puts(patch, fails_at=5)
        with pytest.raises(KeyboardInterrupt):
            upload(complete, url, threads=1)
    assert "manifest.jsonl" not in s3.names("sets/one/")
    # A line that a power cut left unfinished counts as not written.
    (log,) = complete.glob(".delivered-*")
    log.write_text(log.read_text()[:-20])
    puts = Puts(monkeypatch)
    done = upload(complete, url, threads=1)
    assert (done.files, done.sent) == (8, 4)
    assert len(puts.names) == 4
    assert s3.objects("sets/one/") == files(complete)
    assert upload(complete, url).sent == 0


def test_what_was_damaged_or_lost_at_the_store_is_sent_again(s3: S3Server, complete: Path) -> None:
    url = f"s3://{BUCKET}/set"
    upload(complete, url)
    for name, data in (("0.jpg", b"\1" * 1000), ("1.jpg", b"short")):
        s3.client.put_object(Bucket=BUCKET, Key=f"set/train/0001/{name}", Body=data)
    s3.client.delete_object(Bucket=BUCKET, Key="set/train/0001/2.jpg")
    assert upload(complete, url).sent == 3
    assert s3.objects("set/") == files(complete)


def test_what_arrives_damaged_is_an_error(
    complete: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(a_store: Store, path: Path, name: str) -> None:
        a_store.write(name, path.read_bytes().replace(b"\2", b"\3"))

    monkeypatch.setattr(store.Store, "put", put)
    with pytest.raises(UploadError, match=r"0001/2\.jpg is not what was sent"):
        upload(complete, memory)
    assert not Store(memory).has("manifest.jsonl")


def test_a_missing_bucket_is_seen_before_anything_is_made(s3: S3Server) -> None:
    with pytest.raises(UploadError, match=r"there is no such bucket.* \(NoSuchBucket\)$"):
        take_destination("s3://nothing-there/set", IDENTITY, resume=False)


def test_who_is_not_let_in_is_told_so_and_no_key_is_shown(s3: S3Server, complete: Path) -> None:
    s3.let_nobody_in()
    url = f"s3://{BUCKET}/set"
    for attempt in (
        partial(take_destination, url, IDENTITY, resume=False),
        partial(upload, complete, url),
    ):
        with pytest.raises(UploadError, match="not permitted; check the credentials") as caught:
            attempt()
        assert KEY_ID not in str(caught.value)
        assert SECRET not in str(caught.value)


def test_a_store_that_is_gone_midway_is_told_and_the_rest_follows_later(
    s3: S3Server, complete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://{BUCKET}/set"
    put = Store.put

    def put_then_stop(a_store: Store, path: Path, name: str) -> None:
        put(a_store, path, name)
        if name.endswith("3.jpg"):
            s3.stop()

    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "put", put_then_stop)
        # The store cannot even be asked whether the file arrived.
        with pytest.raises(UploadError, match=r"cannot check .*3\.jpg: the store does not answer"):
            upload(complete, url, threads=1)
    with S3Server() as another:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", another.url)
        upload(complete, url, threads=1)
        assert another.objects("set/") == files(complete)


def test_a_place_that_holds_something_else_is_refused(memory: str) -> None:
    Store(memory).write("notes.txt", b"mine")
    with pytest.raises(GenerationError, match="is not empty and holds no generation job"):
        take_destination(memory, IDENTITY, resume=True)
    for held in (b'{"format": 2}', b"not json"):
        Store(memory).write("job.json", held)
        with pytest.raises(GenerationError, match="holds another generation job"):
            take_destination(memory, IDENTITY, resume=True)
    Store(memory).write("job.json", b'{"format":1}')
    with pytest.raises(GenerationError, match="carry it on with --resume"):
        take_destination(memory, IDENTITY, resume=False)
    assert not take_destination(memory, IDENTITY, resume=True)


def test_a_folder_that_is_not_complete_is_not_uploaded(complete: Path, memory: str) -> None:
    (complete / "manifest.jsonl").unlink()
    with pytest.raises(GenerationError, match="holds no complete set"):
        upload(complete, memory)


def test_a_set_of_which_a_picture_is_gone_is_not_uploaded(complete: Path, memory: str) -> None:
    (complete / "train" / "0001" / "3.jpg").unlink()
    with pytest.raises(GenerationError, match=r"0001/3\.jpg is gone"):
        upload(complete, memory)
    assert not Store(memory).has("manifest.jsonl")


def test_a_log_of_other_files_counts_for_nothing(
    complete: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(complete, memory, threads=1)
    (log,) = complete.glob(".delivered-*")
    lines = log.read_bytes().splitlines(keepends=True)
    for damaged in (b"5\n", b"[1, 2, 3]\n", b'["other.jpg", "0"]\n', b"\xff\n", b"\n"):
        log.write_bytes(b"".join([*lines[:3], damaged, *lines[3:]]))
        with monkeypatch.context() as patch:
            puts = Puts(patch)
            upload(complete, memory, threads=1)
        assert len(puts.names) == len(lines) - 3
        assert log.read_bytes() == b"".join(lines)


def test_each_url_has_a_log_of_its_own(complete: Path, memory: str) -> None:
    assert upload(complete, memory).sent == 8
    assert upload(complete, f"{memory}-again").sent == 8
    assert len(list(complete.glob(".delivered-*"))) == 2


def test_a_full_disk_is_told_in_the_systems_words(
    complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device", "/secret/name")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(UploadError, match=r"manifest|jpg|json: No space left on device$"):
        upload(complete, f"file://{tmp_path}/there", threads=1)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nowhere://set", "no store that fsspec knows"),
        ("set", "expected a URL such as s3://bucket/prefix"),
        (f"s3://{KEY_ID}:{SECRET}@bucket/set", "holds a password or key"),
        ("s3://bucket/set?token=abc", "one plain URL"),
        ("simplecache::s3://bucket/set", "expected a URL"),
        ("gs://bucket/set", "needs a package that is not installed here"),
    ],
)
def test_urls_that_cannot_be_used_are_not_repeated(url: str, message: str) -> None:
    with pytest.raises(GenerationError, match=message) as caught:
        Store(url)
    assert SECRET not in str(caught.value)
    assert "abc" not in str(caught.value)


def test_checksums_are_taken_where_stores_tell_them() -> None:
    md5 = "0cc175b9c0f1b6a831c399e269772661"
    assert told_md5({"ETag": f'"{md5}"'}) == md5
    assert told_md5({"ETag": f'"{md5}-3"'}) is None
    assert told_md5({"md5Hash": "DMF1ucDxtqgxw5niaXcmYQ=="}) == md5
    assert told_md5({"md5Hash": "?"}) is None
    assert told_md5({}) is None


def test_what_a_store_says_itself_is_not_repeated() -> None:
    assert explained(RuntimeError(f"signed with {SECRET}")) == "RuntimeError"
    assert "not permitted" in explained(PermissionError(SECRET))
    assert SECRET not in explained(PermissionError(SECRET))


def test_many_files_go_through_few_hands(complete: Path, memory: str) -> None:
    for number in range(3 * uploading.FILES_AHEAD):
        make(complete, f"train/{number}.jpg", b"x")
    seen: list[int] = []
    done = upload(complete, memory, threads=1, report=lambda now: seen.append(now.done))
    assert seen == list(range(1, done.files + 1))
    assert done.files == 8 + 3 * uploading.FILES_AHEAD
