"""Sets that are fetched: as they were pushed, carried on, and never trusted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dgnet.generation.upload.pulling import is_below, pull
from dgnet.generation.upload.store import Store
from dgnet.generation.upload.uploading import take_destination, upload
from dgnet.jobs.generation.errors import GenerationError, UploadError
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from tests.generation.hub_server import KEY, HubServer
from tests.generation.jobs import PERSONS, contents, job_of, manifest, run
from tests.model.tiny import write_people

LAYOUTS = ("market1501", "webdataset", "parquet")
HUB = "hf://datasets/somebody/set"

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # of the hub's


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, networks: tuple[Checkpoint, Predictor]
) -> Callable[[str], Path]:
    """A set of 12 composites in a layout, made once."""
    top = tmp_path_factory.mktemp("sets")
    people = write_people(top / "people", persons=PERSONS)

    def of(layout: str) -> Path:
        if not (top / layout).exists():
            output = {"layout": layout, "shard_size": 5}
            run(job_of(people, networks, count=12, output=output), top / layout)
        return top / layout

    return of


@pytest.fixture
def own(made: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Such a set that a test may change."""
    return lambda layout: shutil.copytree(made(layout), tmp_path / f"own-{layout}")


def put(folder: Path, url: str) -> None:
    """As `dgnet push` does it."""
    take_destination(url, json.loads((folder / "job.json").read_text()), resume=True)
    upload(folder, url)


def told(folder: Path) -> dict[str, str]:
    """What a set holds, without the notes of its uploads."""
    files = contents(folder)
    return {name: sha256 for name, sha256 in files.items() if not name.startswith(".delivered-")}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_set_comes_back_as_it_was_pushed(
    layout: str, made: Callable[[str], Path], memory: str, tmp_path: Path
) -> None:
    put(made(layout), memory)
    done = pull(memory, tmp_path / "there")
    assert done.fetched == done.files == (12 if layout == "market1501" else 3)
    assert contents(tmp_path / "there") == told(made(layout))
    again = pull(memory, tmp_path / "there")
    assert (again.done, again.fetched) == (done.files, 0)


def test_a_pull_that_was_killed_fetches_what_is_missing(
    made: Callable[[str], Path], memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(made("market1501"), memory)
    fetch, fetched = Store.fetch, list[str]()

    def fetch_some(store: Store, name: str, path: Path, *, most_bytes: int | None = None) -> int:
        if len([name for name in fetched if name.endswith(".jpg")]) == 4:
            raise KeyboardInterrupt
        fetched.append(name)
        return fetch(store, name, path, most_bytes=most_bytes)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "fetch", fetch_some)
        with pytest.raises(KeyboardInterrupt):
            pull(memory, tmp_path / "there", threads=1)
    assert not (tmp_path / "there" / "manifest.jsonl").exists()
    done = pull(memory, tmp_path / "there")
    assert (done.done, done.fetched) == (12, 8)
    assert contents(tmp_path / "there") == told(made("market1501"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_not_what_the_manifest_says_is_refused(
    layout: str, made: Callable[[str], Path], memory: str, tmp_path: Path
) -> None:
    put(made(layout), memory)
    file = manifest(made(layout))[7]["file"]
    name = file if layout == "market1501" else file.partition("/")[0]
    picture = (made(layout) / name).read_bytes()
    middle = len(picture) // 2
    changed = picture[:middle] + bytes([picture[middle] ^ 255]) + picture[middle + 1 :]
    if layout == "parquet":  # whose middle may hold anything: another file of the set
        changed = (made(layout) / "composites-000002.parquet").read_bytes()
    Store(memory).write(name, changed)
    with pytest.raises(UploadError, match="is not what the manifest says"):
        pull(memory, tmp_path / "there")
    assert not (tmp_path / "there" / name).exists()
    assert not (tmp_path / "there" / "manifest.jsonl").exists()
    Store(memory).write(name, picture)  # and it is mended
    pull(memory, tmp_path / "there")
    assert contents(tmp_path / "there") == told(made(layout))


def test_a_picture_that_does_not_end_is_not_written_out(
    made: Callable[[str], Path], memory: str, tmp_path: Path
) -> None:
    put(made("market1501"), memory)
    row = manifest(made("market1501"))[0]
    Store(memory).write(row["file"], b"x" * (row["bytes"] + 1))
    with pytest.raises(UploadError, match=f"larger than the {row['bytes']} bytes"):
        pull(memory, tmp_path / "there")


def test_files_that_were_lost_or_changed_here_are_mended(
    made: Callable[[str], Path], memory: str, tmp_path: Path
) -> None:
    put(made("parquet"), memory)
    there = tmp_path / "there"
    pull(memory, there)
    (there / "composites-000001.parquet").write_bytes(b"PAR1")
    (there / "card.md").unlink()
    assert pull(memory, there).fetched == 1
    assert contents(there) == told(made("parquet"))


@pytest.mark.parametrize(
    "name",
    ["../out.jpg", "/tmp/out.jpg", "a/../../out.jpg", "a//out.jpg", ".ssh/keys", "a/.b/c.jpg",
     "", "..", "a\\..\\out.jpg", "a\0.jpg", "job.json", "manifest.jsonl", "card.md",
     "plots/x.png", "shards/0/x", "x" * 1001],
    ids=repr,
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(
    name: str, own: Callable[[str], Path], memory: str, tmp_path: Path
) -> None:
    assert not is_below(name)
    folder = own("market1501")
    put(folder, memory)
    rows: list[dict[str, Any]] = manifest(folder)
    rows[3]["file"] = name
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    Store(memory).write("manifest.jsonl", lines.encode())
    before = set(tmp_path.rglob("*"))
    with pytest.raises(GenerationError, match=r"line 4 of the manifest\.jsonl .* no picture of a"):
        pull(memory, tmp_path / "inside" / "there")
    there = tmp_path / "inside" / "there"
    assert set(tmp_path.rglob("*")) - before == {there.parent, there, there / "job.json"}


def test_every_name_that_a_set_has_is_taken(made: Callable[[str], Path]) -> None:
    for layout in LAYOUTS:
        assert all(is_below(row["file"]) for row in manifest(made(layout)))
    assert is_below("train/Ada Å. (2)/0001_c1s9_000000000_99.jpg")


@pytest.mark.parametrize(
    "line", [b"\xff", b"[]", b"{}", b"7", b'{"kept": true, "file": "a.jpg"}', b" " * (2**20 + 1)]
)
def test_a_manifest_that_is_none_is_refused(
    line: bytes, made: Callable[[str], Path], memory: str, tmp_path: Path
) -> None:
    put(made("market1501"), memory)
    Store(memory).write("manifest.jsonl", line + b"\n")
    with pytest.raises(GenerationError, match=r"line 1 of the manifest\.jsonl"):
        pull(memory, tmp_path / "there")


def test_a_link_that_leads_out_of_the_folder_is_not_followed(
    made: Callable[[str], Path], memory: str, tmp_path: Path
) -> None:
    put(made("market1501"), memory)
    there = tmp_path / "there"
    (tmp_path / "elsewhere").mkdir()
    there.mkdir()
    shutil.copy(made("market1501") / "job.json", there)
    (there / "bounding_box_train").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GenerationError, match="leads out of"):
        pull(memory, there)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_place_that_has_no_whole_set_is_told(
    made: Callable[[str], Path], memory: str, tmp_path: Path
) -> None:
    with pytest.raises(GenerationError, match=r"holds no set of dgnet: it has no job\.json"):
        pull(memory, tmp_path / "there")
    take_destination(memory, {"format": 1}, resume=False)
    with pytest.raises(GenerationError, match="is not complete"):
        pull(memory, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_folder_that_holds_something_else_is_refused(
    made: Callable[[str], Path], memory: str, tmp_path: Path
) -> None:
    put(made("market1501"), memory)
    there = tmp_path / "there"
    there.mkdir()
    (there / "mine.txt").write_text("mine")
    with pytest.raises(GenerationError, match=r"is not empty \(it has mine\.txt\)"):
        pull(memory, there)
    (there / "job.json").write_text('{"format": 2}')
    with pytest.raises(GenerationError, match="holds another set"):
        pull(memory, there)
    shutil.copy(made("market1501") / "job.json", there)
    (there / "shards").mkdir()
    with pytest.raises(GenerationError, match="while it is being made"):
        pull(memory, there)
    assert (there / "mine.txt").read_text() == "mine"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """The hub, for everybody in this process who has its key."""
    from huggingface_hub import constants

    with HubServer() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the stand-in has git-lfs
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", KEY)
        yield server


@pytest.mark.parametrize("url", [HUB, f"{HUB}/below/here"])
def test_the_hub_takes_a_set_in_few_commits_and_gives_it_back(
    url: str, hub: HubServer, made: Callable[[str], Path], tmp_path: Path
) -> None:
    put(made("market1501"), url)
    assert (hub.repository, hub.private) == ("somebody/set", True)
    below = url.removeprefix(HUB).strip("/")
    start = f"{below}/" if below else ""
    pushed = {f"{start}{name}" for name in told(made("market1501"))}
    assert hub.files.keys() == pushed | {".gitattributes"}
    first, most, last = hub.commits  # job.json takes the place, and the manifest comes last
    assert (first, last) == ([f"{start}job.json"], [f"{start}manifest.jsonl"])
    assert sorted([*most, *first, *last]) == sorted(pushed)
    put(made("market1501"), url)
    assert len(hub.commits) == 3
    assert len(hub.cards) == (0 if below else 1)  # the hub was asked whether it takes the card
    pull(url, tmp_path / "there")
    assert contents(tmp_path / "there") == told(made("market1501"))


def test_a_push_to_the_hub_that_was_killed_sends_what_is_missing(
    hub: HubServer, made: Callable[[str], Path]
) -> None:
    put(made("parquet"), HUB)
    for name in ("manifest.jsonl", "composites-000001.parquet"):
        del hub.files[name]
    hub.files["card.md"] += b"x"
    hub.commits.clear()
    put(made("parquet"), HUB)
    assert [sorted(names) for names in hub.commits] == [
        ["card.md", "composites-000001.parquet"],
        ["manifest.jsonl"],
    ]


def test_what_the_hub_did_not_keep_whole_is_told(
    hub: HubServer, made: Callable[[str], Path]
) -> None:
    hub.damages.add("composites-000001.parquet")
    with pytest.raises(UploadError, match=r"composites-000001\.parquet is not what was sent"):
        put(made("parquet"), HUB)
    assert "manifest.jsonl" not in hub.files


def test_who_has_no_key_of_the_hub_is_told_so(
    hub: HubServer, made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_key_of_somebody")
    with pytest.raises(UploadError, match="not permitted; check the credentials") as caught:
        put(made("parquet"), HUB)
    assert "hf_wrong" not in str(caught.value)


def test_a_data_set_of_the_hub_that_holds_something_else_is_refused(
    hub: HubServer, made: Callable[[str], Path]
) -> None:
    hub.repository, hub.files = "somebody/set", {".gitattributes": b"", "train.csv": b"1,2"}
    with pytest.raises(GenerationError, match="is not empty"):
        put(made("parquet"), HUB)
    assert hub.commits == []


@pytest.mark.parametrize(
    "url", ["hf://somebody/set", "hf://datasets/set", f"{HUB}@main", f"{HUB}/../other"]
)
def test_urls_that_are_no_data_set_of_the_hub_are_refused(url: str) -> None:
    with pytest.raises(GenerationError, match="expected hf://datasets/OWNER/NAME"):
        take_destination(url, {}, resume=True)
