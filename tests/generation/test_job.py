"""A whole job on tiny networks: what it writes, and that interruptions change nothing."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from dgnet.generation import local_run
from dgnet.generation.making import shard_maker
from dgnet.generation.making.stages import StageClock
from dgnet.generation.output import assembly, shards
from dgnet.generation.output.publication import locked
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.manifest import MANIFEST
from dgnet.jobs.generation.manifest import Row as ManifestRow
from dgnet.jobs.generation.packed import read_packed
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.codes import StructureCode
from dgnet.model.data.fingerprint import persons_digest
from dgnet.model.data.layouts import read_dataset
from dgnet.model.data.transforms import decode_picture, normalize
from dgnet.model.predictor import Predictor
from tests.generation.jobs import Row, contents, job_of, load, manifest, run, table
from tests.model.tiny import HEIGHT, WIDTH, write_people

Networks = tuple[Checkpoint, Predictor]


def test_a_job_writes_what_its_manifest_says(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made = job_of(people, networks, output={"picture_format": "png"})
    done = run(made, out)
    rows = manifest(out)
    assert (done.planned, done.made, done.kept, len(rows)) == (30, 30, 30, 30)
    for row in rows:
        data = (out / row["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert len(data) == row["bytes"]
        assert row["labels"] == {
            "appearance": row["appearance_person"], "structure": row["structure_person"],
        }  # fmt: skip
        assert row["appearance_person"] != row["structure_person"]
    assert set(Counter(row["appearance_person"] for row in rows).values()) == {6}
    assert [row["position"] for row in rows] == list(range(30))
    assert {path.name for path in out.iterdir()} == {
        "README.md", "bounding_box_train", "card.md", "job.json", "manifest.jsonl",
        "manifest.parquet", "plots", "sheet.png",
    }  # fmt: skip


def test_composites_are_the_predictors_to_a_level(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    run(job_of(people, networks, output={"picture_format": "png"}), tmp_path / "out")
    predictor = networks[1]
    for row in manifest(tmp_path / "out")[:5]:
        appearance, structure = (
            np.stack([decode_picture(people / row[f"{role}_path"], HEIGHT, WIDTH)])
            for role in ("appearance", "structure")
        )
        expected = predictor.swap(appearance, structure)[0]
        with Image.open(tmp_path / "out" / row["file"]) as file:
            made = np.asarray(file)
        assert np.abs(made.astype(int) - expected).max() <= 1


def test_market_names_are_read_unchanged_and_clash_with_no_real_one(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(job_of(people, networks), out)
    rows = {row["file"]: row for row in manifest(out)}
    dataset = read_dataset(out)
    assert (dataset.layout, len(dataset.train)) == ("market1501", 30)
    for picture in dataset.train:
        row = rows[picture.path.relative_to(out).as_posix()]
        assert picture.person_id == row["appearance_person"]
        assert picture.camera_id == row["structure_camera"]
    row = next(iter(rows.values()))
    name = f"{row['appearance_person']:04d}_c{row['structure_camera']}s9_000000000_99.jpg"
    assert row["file"] == f"bounding_box_train/{name}"


def test_imagefolder_is_read_by_us_and_by_torchvision(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(job_of(people, networks, output={"layout": "imagefolder"}), out)
    dataset = read_dataset(out)
    assert (dataset.layout, len(dataset.train)) == ("imagefolder", 30)
    folder = ImageFolder(out / "train")
    assert folder.classes == ["0001", "0002", "0003", "0004", "0005"]
    by_path = {row["file"]: row["appearance_person"] for row in manifest(out)}
    for path, label in folder.samples:
        assert by_path[Path(path).relative_to(out).as_posix()] == label + 1


def test_persons_with_names_keep_them_as_folders(networks: Networks, tmp_path: Path) -> None:
    for name in ("Ada", "Bo"):
        for number in (1, 2):
            path = tmp_path / "named" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (48, 64), (50 * number, 100, 0)).save(path)
    made = job_of(tmp_path / "named", networks, count=8, output={"layout": "imagefolder"})
    run(made, tmp_path / "out")
    rows = manifest(tmp_path / "out")
    assert {row["file"].split("/")[1] for row in rows} == {"Ada", "Bo"}
    assert all(row["structure_camera"] is None for row in rows)
    assert all("_c0s9_" in row["file"] for row in rows)


def test_parquet_and_json_lines_are_the_same_manifest(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    wanted = ["appearance", "structure", "uniform", "two_labels", {"teacher_top_k": 2}]
    spec: Row = {"labels": wanted, "keep": {"minimum_teacher_confidence": 0}}
    run(job_of(people, networks, **spec), tmp_path / "out")
    rows = manifest(tmp_path / "out")
    assert table(tmp_path / "out") == rows
    row = rows[0]
    assert row["labels"]["uniform"] == 0.2
    best, second = row["labels"]["teacher_top_k"]
    assert best["probability"] >= second["probability"]
    assert row["scores"]["teacher_confidence"] == best["probability"]
    assert sum(row["labels"]["two_labels"].values()) == pytest.approx(1)


@pytest.mark.parametrize("layout", ["webdataset", "parquet"])
def test_packed_layouts_hold_the_pictures_and_their_rows(
    people: Path, networks: Networks, tmp_path: Path, layout: str
) -> None:
    run(job_of(people, networks, output={"layout": layout}), tmp_path / "out")
    run(job_of(people, networks, output={"layout": "market1501"}), tmp_path / "plain")
    packed, plain = manifest(tmp_path / "out"), manifest(tmp_path / "plain")
    assert [row["sha256"] for row in packed] == [row["sha256"] for row in plain]
    ending = {"webdataset": "tar", "parquet": "parquet"}[layout]
    files = sorted((tmp_path / "out").glob(f"composites-*.{ending}"))
    assert [file.stem for file in files] == [f"composites-00000{n}" for n in range(4)]
    for row in packed:
        data = read_packed(tmp_path / "out", row["file"])
        assert hashlib.sha256(data).hexdigest() == row["sha256"]


def test_the_same_spec_gives_the_same_bytes(
    people: Path, checkpoint: Path, networks: Networks, tmp_path: Path
) -> None:
    run(job_of(people, networks), tmp_path / "first")
    run(job_of(people, load(checkpoint)), tmp_path / "second")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_shards_of_another_size_hold_the_same_pairs(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    run(job_of(people, networks), tmp_path / "small")
    run(job_of(people, networks, output={"shard_size": 1000}), tmp_path / "large")
    small, large = manifest(tmp_path / "small"), manifest(tmp_path / "large")
    for name in ("position", "file", "appearance_path", "structure_path"):
        assert [row[name] for row in small] == [row[name] for row in large]


def test_an_unreadable_picture_is_reported_and_skipped(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    broken = sorted(people.iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:100])
    made = job_of(people, networks, count=180)
    done = run(made, tmp_path / "out")
    rows = manifest(tmp_path / "out")
    assert len(rows) == 180
    assert set(done.unreadable) == {broken.name}
    assert done.dropped == {"unreadable_appearance": 12, "unreadable_structure": 12}
    for row in rows:
        bad = broken.name in (row["appearance_path"], row["structure_path"])
        assert row["kept"] is not bad
        assert (row["file"] is None) is bad
    assert f"- `{broken.name}`: " in (tmp_path / "out" / "card.md").read_text()


def test_the_identity_score_of_every_composite_is_there_unless_switched_off(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    scored = run(job_of(people, networks, count=6), tmp_path / "scored")
    assert scored.dropped == {}
    for row in manifest(tmp_path / "scored"):
        assert -1 <= row["scores"]["identity_consistency"] <= 1
    assert set(manifest(tmp_path / "scored")[0]["scores"]) == {"identity_consistency"}
    more = ("realism_percentile", "identity_consistency")
    run(job_of(people, networks, count=6, scores=more), tmp_path / "more")
    first, then = manifest(tmp_path / "scored")[0], manifest(tmp_path / "more")[0]
    assert list(then["scores"]) == ["identity_consistency", "realism_percentile"]
    assert then["scores"]["identity_consistency"] == first["scores"]["identity_consistency"]
    assert (then["sha256"], then["dropped"]) == (first["sha256"], None)
    unscored = job_of(people, networks, count=6, scores="none")
    run(unscored, tmp_path / "unscored")
    assert [row["scores"] for row in manifest(tmp_path / "unscored")] == [{}] * 6
    # As a job of a release that knew no choice, and no other is carried on as one.
    assert "scores" not in unscored.identity()["spec"]
    with pytest.raises(GenerationError, match=r"differs .* in spec.scores"):
        run(job_of(people, networks, count=6), tmp_path / "unscored", resume=True)


def test_persons_who_are_left_with_nothing_are_named(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    run(job_of(people, networks, count=10), tmp_path / "all")
    best: dict[int, float] = {}
    for row in manifest(tmp_path / "all"):
        person, score = row["appearance_person"], row["scores"]["identity_consistency"]
        best[person] = max(score, best.get(person, -1))
    threshold = sorted(best.values())[2]
    keep = {"minimum_identity_consistency": threshold}
    done = run(job_of(people, networks, count=10, keep=keep), tmp_path / "out")
    left = [person for person, score in sorted(best.items()) if score < threshold]
    assert len(left) == 2
    assert len(done.persons_without) == 2
    card = (tmp_path / "out" / "card.md").read_text()
    assert f"**No composite was kept of 2 of them**: {', '.join(done.persons_without)}." in card
    # The histogram has a line where the filter cuts.
    plot = "plots/identity_consistency.png"
    assert (tmp_path / "out" / plot).read_bytes() != (tmp_path / "all" / plot).read_bytes()


def test_filters_drop_what_scores_too_low_and_top_up_makes_more(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    spec: Row = {"keep": {"minimum_realism_percentile": 0, "minimum_identity_consistency": -1}}
    run(job_of(people, networks, **spec), tmp_path / "all")
    scores = [row["scores"]["identity_consistency"] for row in manifest(tmp_path / "all")]
    middle = sorted(scores)[15]
    assert all(
        0 <= row["scores"]["realism_percentile"] <= 100 for row in manifest(tmp_path / "all")
    )
    spec = {"keep": {"minimum_identity_consistency": middle}}
    done = run(job_of(people, networks, **spec), tmp_path / "half")
    rows = manifest(tmp_path / "half")
    assert [row["kept"] for row in rows] == [score >= middle for score in scores]
    assert done.dropped == {"low_identity_consistency": 30 - done.kept}
    topped = run(job_of(people, networks, **spec, top_up=10), tmp_path / "topped")
    assert topped.made == 40 or topped.kept == 30
    assert topped.made <= 40
    assert manifest(tmp_path / "topped")[:30] == rows


def test_near_duplicates_of_a_person_are_dropped(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    done = run(job_of(people, networks, keep={"near_duplicates": 64}), tmp_path / "out")
    # Within 64 of 64 bits everything is near: one a person and shard stays.
    rows = manifest(tmp_path / "out")
    kept = Counter((row["position"] // 8, row["appearance_person"]) for row in rows if row["kept"])
    assert set(kept.values()) == {1}
    assert done.dropped == {"near_duplicate": 30 - len(kept)}


def test_without_a_teacher_the_primary_head_labels(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    checkpoint, predictor = networks
    bare = Checkpoint(metadata=checkpoint.metadata, networks=checkpoint.networks, teacher=None)
    output = {"picture_format": "png"}
    run(
        job_of(people, (bare, predictor), labels=["teacher_top_k=2"], output=output),
        tmp_path / "out",
    )
    row = manifest(tmp_path / "out")[0]
    with Image.open(tmp_path / "out" / row["file"]) as picture:
        pixels = torch.tensor(np.asarray(picture))[None]
    encoder = checkpoint.networks.appearance_encoder.eval()
    with torch.inference_mode():
        views = (normalize(pixels), normalize(pixels).flip(3))
        expected = torch.stack([encoder(view).primary.logits.softmax(1) for view in views]).mean(0)
    probabilities = expected[0].numpy()
    most = np.argsort(-probabilities)[:2]
    told = row["labels"]["teacher_top_k"]
    assert [one["class"] for one in told] == most.tolist()
    assert [one["probability"] for one in told] == pytest.approx(
        probabilities[most].tolist(), abs=1e-4
    )


def test_a_filter_without_its_network_is_an_error(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    checkpoint, _ = networks
    carried = tuple(name for name in checkpoint.metadata.networks if name != "discriminator")
    bare = replace(checkpoint, metadata=replace(checkpoint.metadata, networks=carried))
    keep = {"minimum_realism_percentile": 10}
    with pytest.raises(GenerationError, match="needs a discriminator"):
        run(
            job_of(people, (bare, Predictor(bare, device="cpu", precision="fp32")), keep=keep),
            tmp_path / "out",
        )


def test_labels_of_other_persons_than_the_teachers_are_an_error(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    shutil.rmtree(people)
    people.mkdir()
    for person in (1, 2):
        Image.new("RGB", (48, 64)).save(people / f"000{person}_c1s1_000001_00.png")
    with pytest.raises(GenerationError, match="it knows 5 and the pictures show 2"):
        run(job_of(people, networks, count=2, labels=["two_labels"]), tmp_path / "other")


def test_a_folder_with_something_in_it_is_refused(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    made = job_of(people, networks)
    with pytest.raises(GenerationError, match="is not empty"):
        run(made, people)
    run(made, tmp_path / "out")
    with pytest.raises(GenerationError, match="carry it on with --resume"):
        run(made, tmp_path / "out")


def test_another_spec_or_listing_is_not_resumed(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    run(job_of(people, networks), tmp_path / "out")
    with pytest.raises(GenerationError, match=r"spec.seed \(0 then, 1 now\)"):
        run(job_of(people, networks, seed=1), tmp_path / "out", resume=True)
    sorted(people.iterdir())[0].unlink()
    with pytest.raises(GenerationError, match="differs from this one in listing_sha256"):
        run(job_of(people, networks), tmp_path / "out", resume=True)


def test_resuming_a_complete_job_changes_nothing(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    made = job_of(people, networks)
    run(made, tmp_path / "out")
    before = contents(tmp_path / "out")
    done = run(made, tmp_path / "out", resume=True)
    assert (done.made, done.made_before, done.kept) == (30, 30, 30)
    assert contents(tmp_path / "out") == before


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, dict[str, str]]:
    """What a job that ran through holds, by layout; filled by the first test that needs it."""
    return {}


class Interrupted(Exception):
    pass


class Fuse:
    """Calls a function, but fails instead at the given call."""

    def __init__(self, function: Any, blows_at: int) -> None:
        self.function = function
        self.left = blows_at

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise Interrupted
        return self.function(*arguments, **named)


@pytest.mark.parametrize(
    ("module", "name", "blows_at", "layout"),
    [
        (shard_maker, "write_shard", 1, "market1501"),
        (shard_maker, "write_shard", 3, "market1501"),
        (shard_maker, "write_shard", 3, "webdataset"),
        (local_run, "assemble", 1, "market1501"),
        (assembly, "_move", 1, "market1501"),
        (assembly, "_move", 3, "market1501"),
        (assembly, "_move", 3, "webdataset"),
        (assembly, "sheet", 1, "market1501"),
        (assembly, "write_file", 2, "market1501"),
        (assembly, "remove_shards", 1, "market1501"),
    ],
)
def test_a_job_that_failed_anywhere_ends_with_the_same_files(
    people: Path,
    networks: Networks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    blows_at: int,
    layout: str,
    undisturbed: dict[str, dict[str, str]],
) -> None:
    made = job_of(people, networks, output={"layout": layout})
    if layout not in undisturbed:
        run(made, tmp_path / "undisturbed")
        undisturbed[layout] = contents(tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        patch.setattr(module, name, Fuse(getattr(module, name), blows_at))
        with pytest.raises(Interrupted):
            run(made, tmp_path / "out")
    run(made, tmp_path / "out", resume=True)
    assert contents(tmp_path / "out") == undisturbed[layout]


def test_a_damaged_shard_is_made_again(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, out = job_of(people, networks), tmp_path / "out"
    run(made, tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        patch.setattr(shard_maker, "write_shard", Fuse(shard_maker.write_shard, 4))
        with pytest.raises(Interrupted):
            run(made, out)
    pictures = sorted(shards.shard_folder(out, 1).rglob("*.jpg"))
    pictures[0].write_bytes(b"half")
    (shards.shard_folder(out, 2) / MANIFEST).unlink()
    done = run(made, out, resume=True)
    assert done.made_before == 8
    assert contents(out) == contents(tmp_path / "undisturbed")


def test_a_set_that_an_older_release_began_goes_on_and_says_what_it_does_not_know(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, out = job_of(people, networks), tmp_path / "out"
    to_json = ManifestRow.to_json

    def older(row: ManifestRow) -> dict[str, object]:
        columns = to_json(row)
        return {name: columns[name] for name in columns if name not in ("scene", "kept_share")}

    with monkeypatch.context() as patch:
        patch.setattr(ManifestRow, "to_json", older)
        patch.setattr(shard_maker, "write_shard", Fuse(shard_maker.write_shard, 3))
        with pytest.raises(Interrupted):
            run(made, out)
    done = run(made, out, resume=True)
    assert (done.made_before, done.kept) == (16, 30)
    for rows in (manifest(out), table(out)):
        assert [(row["scene"], row["kept_share"]) for row in rows] == (
            [(None, None)] * 16 + [("generate", 0.0)] * 14
        )
    text = (out / "card.md").read_text()
    assert "Generated in 14 composites" in text
    assert "Not noted for 16 composites" in text


def test_a_complete_set_of_an_older_release_is_counted(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    made, out = job_of(people, networks), tmp_path / "out"
    run(made, out)
    path = out / MANIFEST
    lines = path.read_text().replace('"scene": "generate", "kept_share": 0.0, ', "")
    assert "scene" not in lines
    path.write_text(lines)
    assert run(made, out, resume=True).kept == 30


def test_nobody_else_writes_into_the_same_folder_meanwhile(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out"), pytest.raises(GenerationError, match="another process"):
        run(job_of(people, networks), tmp_path / "out")


@pytest.mark.parametrize("layout", ["market1501", "parquet"])
def test_clothes_that_a_source_tells_are_columns_of_the_manifest(
    layout: str, networks: Networks, tmp_path: Path
) -> None:
    source = write_people(tmp_path / "people", persons=3)
    ltcc = tmp_path / "ltcc"
    ltcc.mkdir()
    for path in source.iterdir():
        person, camera = path.name.split("_")[0], path.name.split("_c")[1][0]
        path.rename(ltcc / f"{person}_{int(person) % 2 + 1}_c{camera}_{path.stem[-9:-3]}.png")
    out = tmp_path / "out"
    run(job_of(ltcc, networks, output={"layout": layout}, count=6), out)
    rows = manifest(out)
    for row in rows:
        for role in ("appearance", "structure"):
            assert row[f"{role}_clothes"] == row[f"{role}_path"].split("_")[1]
    assert [row["appearance_clothes"] for row in table(out)] == [
        row["appearance_clothes"] for row in rows
    ]
    assert list(table(out)[0])[4:12] == [
        "appearance_path", "appearance_person", "appearance_camera", "appearance_clothes",
        "structure_path", "structure_person", "structure_camera", "structure_clothes",
    ]  # fmt: skip


@pytest.mark.parametrize("label", ["two_labels", "teacher_top_k=2"])
def test_labels_of_persons_need_a_teacher_of_these_persons(
    people: Path, networks: Networks, label: str
) -> None:
    checkpoint, predictor = networks
    shown = read_dataset(people)
    persons = sorted({picture.person_id for picture in shown.train})

    def known(digest: str) -> Networks:
        fingerprint = {"persons": digest, "pictures": "", "samples": ""}
        other = copy(predictor)
        other.metadata = replace(predictor.metadata, fingerprint=fingerprint)
        return replace(checkpoint, metadata=other.metadata), other

    def prepared(found: Networks) -> None:
        made = job_of(people, found, labels=[label])
        shard_maker.ShardMaker.prepared(made, threads=1, clock=StageClock()).close()

    prepared(known(persons_digest(persons, {})))
    name = label.partition("=")[0]
    with pytest.raises(
        GenerationError, match=rf"{name} needs .* these very persons, .* knows others"
    ):
        prepared(known(persons_digest([7, 8, 9, 10, 11], {})))


def test_a_composite_that_is_no_picture_ends_the_job_by_name(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = networks[1]
    structure_codes = predictor.structure_codes

    def broken(images: Any) -> StructureCode:
        code = structure_codes(images)
        return replace(code, maps=code.maps * float("nan"))

    monkeypatch.setattr(predictor, "structure_codes", broken)
    with pytest.raises(GenerationError, match=r"composite of \S+\.png on \S+\.png .* no finite"):
        run(job_of(people, networks), tmp_path / "out")
