"""`dgnet generate --server` against front end and worker as processes, with Redis between them."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from dgnet.client import Client
from tests.commands.test_cli import exit_code
from tests.generation.jobs import BATCH, PERSONS, contents, save_tiny_checkpoint
from tests.model.tiny import write_people
from tests.processes import command, service, wait_until_ready
from tests.redis_server import RedisServer
from tests.service.archives import tar_gz_of

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class House:
    """A running installation and what it was started with."""

    url: str
    data_root: Path
    checkpoint: Path
    people: Path


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    folder = tmp_path_factory.mktemp("house")
    checkpoint = save_tiny_checkpoint(folder / "tiny")
    people = write_people(folder / "people", persons=PERSONS)
    write_people(folder / "data" / "sets" / "people", persons=PERSONS)
    settings = {
        "DGNET_DATA_ROOT": str(folder / "data"),
        "DGNET_GENERATION_BATCH": str(BATCH),
        "DGNET_MIN_FREE_BYTES": "0",
    }
    with RedisServer() as redis:
        queue = ("--redis-url", redis.url)
        networks = ("--checkpoint", str(checkpoint), "--device", "cpu")
        with (
            service(*queue, settings=settings) as (process, url),
            command("worker", *queue, *networks, settings=settings),
        ):
            wait_until_ready(process, url)
            yield House(url, folder / "data", checkpoint, people)


def generate(house: House, *arguments: str | Path) -> int | str | None:
    return exit_code("generate", *map(str, arguments), "--server", house.url)


@pytest.fixture(scope="module")
def local(house: House, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the same job makes on this machine."""
    out = tmp_path_factory.mktemp("local") / "out"
    code = exit_code(
        "generate", str(house.people), "--count", "30", "--shard-size", "8", "-o", str(out),
        "--checkpoint", str(house.checkpoint), "--device", "cpu", "--batch-size", str(BATCH),
    )  # fmt: skip
    assert code == 0
    return contents(out)


JOB = ("--count", "30", "--shard-size", "8")


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_set_from_a_server_equals_the_local_one(
    house: House,
    local: dict[str, str],
    tmp_path: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = house.people
    if kind == "archive":
        data = tmp_path / "people.tar.gz"
        files = (path for path in house.people.rglob("*") if path.is_file())
        data.write_bytes(
            tar_gz_of(
                {
                    f"people/{path.relative_to(house.people).as_posix()}": path.read_bytes()
                    for path in files
                }
            )
        )
    out = tmp_path / "out"
    assert generate(house, data, *JOB, "-o", out) == 0
    assert contents(out) == local
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    told = capsys.readouterr()
    assert re.search(r"data set ds_\w+ uploaded", told.err)
    assert f"30 of 30 composites kept, in {out}" in told.out


def test_a_job_may_be_left_alone_and_fetched_later(
    house: House, local: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"source": {"folder": "sets/people"}, "count": 30}))
    assert generate(house, spec, "--shard-size", "8", "--no-follow") == 0
    told = capsys.readouterr().out
    found = re.search(r"job (gen_\S+) at", told)
    assert found is not None
    assert f"--server {house.url} --job {found[1]} -o" in told
    out = tmp_path / "out"
    assert generate(house, "--job", found[1], "-o", out) == 0
    assert contents(out) == local
    capsys.readouterr()
    assert generate(house, "--job", found[1], "--no-follow") == 0
    assert f"{found[1]} is done: 30 of 30 composites kept" in capsys.readouterr().out


def test_a_data_set_of_the_server_is_named_by_its_id(
    house: House, local: dict[str, str], tmp_path: Path
) -> None:
    with Client(house.url) as client:
        dataset = client.datasets.register("sets/people")
    assert dataset.report
    assert dataset.report["splits"]
    out = tmp_path / "out"
    assert generate(house, "--dataset", dataset.id, *JOB, "-o", out) == 0
    assert contents(out) == local


def test_a_job_that_fails_says_why_and_how_to_carry_it_on(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    # Of a layout that is named, the check of the upload counted no pairs: the worker does.
    layout = ("--layout", "market1501")
    assert generate(house, house.people, "--count", "1000", *layout, "-o", out) == 1
    told = capsys.readouterr().err
    assert "has only 180 pairs" in told
    assert "--resume" in told
    assert str(house.data_root) not in told
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("DATA", "--count", "0", "-o", "OUT"), "count"),
        (("DATA", "-o", "OUT"), "neither of count and per_identity"),
        (("DATA", "--count", "1"), "no output"),
        (("DATA", "--count", "1", "-o", "FULL"), "is not empty"),
        (("DATA", "--count", "1", "-o", "OUT", "--no-follow"), "leave --output out"),
        (("DATA", "--count", "1", "-o", "s3://bucket/x"), "DGNET_JOB_DESTINATIONS"),
        (("FULL", "--count", "1", "-o", "OUT"), "no picture"),
        (("--dataset", "ds_none", "--count", "1", "-o", "OUT"), "No data set has the id"),
        (("--job", "gen_none", "-o", "OUT"), "No such job"),
        (("GONE", "--count", "1", "-o", "OUT"), "cannot read"),
    ],
)
def test_wrong_input_exits_2_and_says_why(
    house: House,
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "file.txt").touch()
    places = {
        "DATA": house.people,
        "OUT": tmp_path / "out",
        "FULL": full,
        "GONE": tmp_path / "gone",
    }
    assert generate(house, *(places.get(word, word) for word in arguments)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--dataset=ds_1", "--job=gen_1", "--no-follow"])
def test_options_of_a_server_need_one(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("generate", option, "--count", "1", "-o", "out") == 2
    assert "give --server" in capsys.readouterr().err


def test_who_stops_following_stops_nothing(house: House, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Popen(
        [
            sys.executable, "-m", "dgnet", "generate", str(house.people), "--count", "150",
            "--shard-size", "5", "--server", house.url, "-o", str(out),
        ],
        stdout=PIPE, stderr=PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("job "):
            lines.append(process.stdout.readline())
            assert lines[-1], process.communicate()
        # Not SIGINT, which whatever a shell started in the background inherits as ignored.
        process.terminate()
        _, complaints = process.communicate(timeout=PATIENCE_SECONDS)
    job_id = lines[-1].split()[1]
    assert process.returncode == 1
    assert f"no longer following {job_id}" in complaints
    assert f"--job {job_id} -o {out}" in complaints
    assert not out.exists()
    with Client(house.url) as client:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while (job := client.jobs.get(job_id)).state != "done":
            assert job.state not in ("failed", "cancelled"), job
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        assert job.kept == 150
