"""Source pictures that break or are replaced while a job runs, and writers that come too late."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dgnet.generation import local_run
from dgnet.generation.local_run import conclude
from dgnet.generation.making.shard_maker import ShardMaker
from dgnet.generation.making.stages import StageClock
from dgnet.generation.output.folder import take_folder
from dgnet.generation.output.shards import ShardRange, open_shards, read_index, shard_folder
from dgnet.generation.upload.uploading import take_destination
from dgnet.jobs.generation.errors import GenerationError
from tests.generation.jobs import Row, contents, job_of, manifest, run
from tests.worker.bulk import Networks


def before_the_end(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """All shards are there, and `act` happens before the set is put together."""

    def first_act(*arguments: Any) -> Any:
        act()
        return conclude(*arguments)

    monkeypatch.setattr(local_run, "conclude", first_act)


def replace_picture(path: Path) -> None:
    """By another one of the same name and size in pixels."""
    with Image.open(path) as picture:
        pixels = 255 - np.asarray(picture.convert("RGB"))
    Image.fromarray(pixels).save(path)


def sources_of(rows: list[Row]) -> set[str]:
    return {row[f"{role}_path"] for row in rows for role in ("appearance", "structure")}


def test_a_source_that_broke_at_the_end_is_reported_and_left_out_of_the_sheet(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(job_of(people, networks), tmp_path / "whole")
    broken = people / manifest(tmp_path / "whole")[0]["appearance_path"]
    before_the_end(monkeypatch, lambda: broken.write_bytes(b"no picture"))
    done = run(job_of(people, networks), tmp_path / "out")
    whole, out = contents(tmp_path / "whole"), contents(tmp_path / "out")
    assert done.kept == 30
    assert set(done.unreadable) == {broken.name}
    assert f"{broken.name}: not a readable picture" in done.unreadable[broken.name]
    card = (tmp_path / "out" / "card.md").read_text()
    assert f"## Pictures that could not be read\n\n- `{broken.name}`: " in card
    changed = {name for name in whole if whole[name] != out[name]}
    assert changed == {"README.md", "card.md", "sheet.png"}
    with (
        Image.open(tmp_path / "whole/sheet.png") as all_rows,
        Image.open(tmp_path / "out/sheet.png") as fewer_rows,
    ):
        assert fewer_rows.height < all_rows.height


def test_a_set_whose_sources_all_broke_has_no_sheet(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_all() -> None:
        for path in people.iterdir():
            path.write_bytes(b"no picture")

    before_the_end(monkeypatch, break_all)
    done = run(job_of(people, networks), tmp_path / "out")
    assert done.kept == 30
    assert not (tmp_path / "out" / "sheet.png").exists()
    assert (tmp_path / "out" / "manifest.jsonl").exists()


def test_a_source_that_is_gone_at_the_end_stops_the_job_until_it_is_back(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(job_of(people, networks), tmp_path / "whole")
    job, aside = job_of(people, networks), tmp_path / "aside"
    with monkeypatch.context() as patch:
        before_the_end(patch, lambda: people.rename(aside))
        with pytest.raises(
            GenerationError, match=r"\.png cannot be reached.*bring the source back"
        ):
            run(job, tmp_path / "out")
    aside.rename(people)
    run(job_of(people, networks), tmp_path / "out", resume=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_the_card_says_which_sources_were_replaced_midway(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    made, out = job_of(people, networks), tmp_path / "out"
    run(made, tmp_path / "whole")
    rows = manifest(tmp_path / "whole")
    path = people / min(sources_of(rows[:16]) & sources_of(rows[16:]))
    replaced: list[Path] = []

    def after_two_shards(progress: local_run.Progress) -> None:
        if not replaced and (out / "shards/000001").exists():
            replace_picture(path)
            replaced.append(path)

    done = local_run.run_job(made, out, threads=2, report=after_two_shards)
    assert done.changed == {path.name}
    card = (tmp_path / "out" / "card.md").read_text()
    assert "## Pictures that changed meanwhile\n\n1 source pictures were replaced" in card
    assert f"- `{path.name}`\n" in card


def test_a_source_that_was_replaced_before_it_was_read_is_known_by_its_size(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    made = job_of(people, networks)
    made.identity()  # the job is opened
    (path,) = sorted(people.iterdir())[:1]
    path.write_bytes(path.read_bytes() + b"\0")
    out = tmp_path / "out"
    assert run(made, out).changed == {path.name}
    assert f"- `{path.name}`\n" in (out / "card.md").read_text()


def test_shards_know_what_they_read(people: Path, networks: Networks, tmp_path: Path) -> None:
    made, out = job_of(people, networks), tmp_path / "out"
    out.mkdir()
    open_shards(out)
    with ShardMaker.prepared(made, threads=1, clock=StageClock()) as maker:
        covers = ShardRange(number=0, window=(0, 30), first=0, last=8)
        maker.publish(covers, out, lambda more: None)
    index = read_index(shard_folder(out, 0))
    assert index is not None
    hashes = contents(people)
    assert index.sources
    assert all(index.sources[path] == [hashes[path]] for path in index.sources)


def test_pictures_of_other_sizes_are_another_source_and_of_other_times_the_same(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    run(job_of(people, networks), tmp_path / "out")
    copy = tmp_path / "copy"
    shutil.copytree(people, copy, copy_function=shutil.copyfile)  # now, not then
    run(job_of(copy, networks), tmp_path / "out", resume=True)
    changed = sorted(copy.iterdir())[0]
    changed.write_bytes(changed.read_bytes() + b"\0")
    with pytest.raises(
        GenerationError, match=r"sizes_sha256.*replaced by others of the same names"
    ):
        run(job_of(copy, networks), tmp_path / "out", resume=True)


def test_a_job_begun_by_an_older_release_is_carried_on(
    people: Path, networks: Networks, tmp_path: Path, memory: str
) -> None:
    """Its job.json knows neither sizes nor what made it, its shards no sources."""
    made, out = job_of(people, networks), tmp_path / "out"
    run(made, tmp_path / "new")
    older = made.identity()
    del older["sizes_sha256"], older["made_by"]
    out.mkdir()
    (out / "job.json").write_text(json.dumps(older, indent=2) + "\n")
    open_shards(out)
    with ShardMaker.prepared(made, threads=1, clock=StageClock()) as maker:
        covers = ShardRange(number=0, window=(0, 30), first=0, last=8)
        maker.publish(covers, out, lambda more: None)
    index = shard_folder(out, 0) / "shard.json"
    values = json.loads(index.read_text())
    del values["sources"]
    index.write_text(json.dumps(values))
    done = run(made, out, resume=True)
    assert done.made_before == 8
    new, old = contents(tmp_path / "new"), contents(out)
    assert {name for name in new if new[name] != old[name]} == {"job.json"}
    assert not take_destination(memory, older, resume=False)
    assert not take_destination(memory, made.identity(), resume=True)


def _another_card(device: torch.device) -> str:
    return "NVIDIA T4"


def test_a_job_is_not_carried_on_by_what_rounds_differently(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, out = job_of(people, networks), tmp_path / "out"
    out.mkdir()
    take_folder(out, made.identity(), resume=False)
    take_folder(out, made.identity(), resume=True)
    with monkeypatch.context() as patch:
        patch.setattr("dgnet.generation.job.kind_of", _another_card)
        with pytest.raises(
            GenerationError, match=r'made_by.device \("CPU .*" then, "NVIDIA T4" now'
        ):
            take_folder(out, made.identity(), resume=True)
    monkeypatch.setattr("torch.__version__", "2.11.0")
    with pytest.raises(GenerationError, match=r'made_by.torch \(".*" then, "2.11.0" now\)'):
        take_folder(out, made.identity(), resume=True)


def test_a_writer_that_comes_after_the_end_is_refused_before_its_first_file(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    made, out = job_of(people, networks), tmp_path / "out"
    run(made, out)
    before = contents(out)
    with ShardMaker.prepared(made, threads=1, clock=StageClock()) as maker:
        covers = ShardRange(number=0, window=(0, 30), first=0, last=8)
        with pytest.raises(GenerationError, match="takes no shards any more"):
            maker.publish(covers, out, lambda more: pytest.fail("it went to work"))
    assert contents(out) == before
    assert not (out / "shards").exists()


def test_a_writer_that_is_overtaken_by_the_end_leaves_nothing(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    """It is in the middle of a shard when somebody else completes the set."""
    made, out = job_of(people, networks), tmp_path / "out"
    out.mkdir()
    open_shards(out)
    (out / "job.json").write_text(json.dumps(made.identity(), indent=2) + "\n")
    ended: list[dict[str, str]] = []

    def end(more: int) -> None:
        if not ended:
            other = job_of(people, networks)
            with ShardMaker.prepared(other, threads=1, clock=StageClock()) as maker:
                for number in range(4):
                    first = number * 8
                    covers = ShardRange(
                        number=number, window=(0, 30), first=first, last=min(30, first + 8)
                    )
                    maker.publish(covers, out, lambda more: None)
            conclude(other, out, 4)
            ended.append(contents(out))

    with ShardMaker.prepared(made, threads=1, clock=StageClock()) as maker:
        covers = ShardRange(number=1, window=(0, 30), first=8, last=16)
        with pytest.raises(GenerationError, match="takes no shards any more"):
            maker.publish(covers, out, end)
    assert contents(out) == ended[0]
    assert {path.name for path in out.iterdir()} == {
        "README.md", "bounding_box_train", "card.md", "job.json", "manifest.jsonl",
        "manifest.parquet", "plots", "sheet.png",
    }  # fmt: skip
