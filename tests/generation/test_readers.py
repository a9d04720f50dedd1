"""Readers that others wrote load what a job wrote: datasets, webdataset, torchreid.

torchvision's ImageFolder is in `test_job`. The libraries ship no types, hence `Any`.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgnet.jobs.generation.packed import read_packed
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from tests.generation.jobs import job_of, manifest, run
from tests.model.tiny import HEIGHT, WIDTH

Networks = tuple[Checkpoint, Predictor]


def same_picture(image: Image.Image, data: bytes, tmp_path: Path) -> bool:
    """Whether a reader decoded just these bytes."""
    path = tmp_path / "expected"
    path.write_bytes(data)
    with Image.open(path) as expected:
        return np.array_equal(np.asarray(image), np.asarray(expected))


def test_hugging_face_datasets_decodes_the_pictures_of_parquet(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Read when the library is first imported: nothing of it may leave the test's folder.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    out = tmp_path / "out"
    labels = ["appearance", {"teacher_top_k": 2}]
    run(job_of(people, networks, labels=labels, output={"layout": "parquet"}), out)
    datasets: Any = importlib.import_module("datasets")
    datasets.disable_progress_bars()
    # The folder as it is, in which manifest and plots lie, too: README.md says what is what.
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(loaded.features["image"], datasets.Image)
    rows = {row["file"]: row for row in manifest(out)}
    assert len(loaded) == len(rows) == 30
    for example in loaded:
        image = example.pop("image")
        assert image.size == (WIDTH, HEIGHT)
        assert same_picture(image, read_packed(out, example["file"]), tmp_path)
        assert example.pop("scores", {}) == rows[example["file"]].pop("scores")
        assert example == rows[example["file"]]


def test_hugging_face_datasets_takes_persons_of_an_imagefolder_set_for_classes(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    out = tmp_path / "out"
    run(job_of(people, networks, count=10, output={"layout": "imagefolder"}), out)
    datasets: Any = importlib.import_module("datasets")
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    names = loaded.features["label"].names
    assert names == sorted({f"{row['appearance_person']:04d}" for row in manifest(out)})
    read = sorted((names[example["label"]], example["image"].tobytes()) for example in loaded)
    written: list[tuple[str, bytes]] = []
    for row in manifest(out):
        with Image.open(out / row["file"]) as image:
            written.append((f"{row['appearance_person']:04d}", image.tobytes()))
    assert read == sorted(written)


@pytest.mark.filterwarnings("ignore")  # webdataset leaves its tars to be closed by the collector
def test_webdataset_reads_pictures_and_rows_of_tars(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(job_of(people, networks, output={"layout": "webdataset"}), out)
    webdataset: Any = importlib.import_module("webdataset")
    shards = [str(path) for path in sorted(out.glob("composites-*.tar"))]
    samples = list(
        webdataset.WebDataset(shards, shardshuffle=False)
        .decode("pil")
        .to_tuple("__key__", "jpg", "json")
    )
    rows = manifest(out)
    assert len(samples) == len(rows)
    for (key, image, row), expected in zip(samples, rows, strict=True):
        assert expected["file"].endswith(f"/{key}.jpg")
        assert row["position"] == expected["position"]
        assert row["appearance_person"] == expected["appearance_person"]
        assert same_picture(image, read_packed(out, expected["file"]), tmp_path)


@pytest.mark.filterwarnings("ignore")  # of torchreid's, about Cython and its own folders
def test_torchreids_market1501_reads_composites_beside_real_pictures(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    root = tmp_path / "market1501" / "Market-1501-v15.09.15"
    for folder in ("query", "bounding_box_test", "bounding_box_train"):
        (root / folder).mkdir(parents=True)
    for path in people.glob("*.png"):
        folder = "query" if "_c1" in path.name else "bounding_box_test"
        with Image.open(path) as image:
            for place in (folder, "bounding_box_train"):
                image.save(root / place / f"{path.stem}.jpg")
    run(job_of(people, networks), tmp_path / "out")
    shutil.copytree(
        tmp_path / "out" / "bounding_box_train", root / "bounding_box_train", dirs_exist_ok=True
    )
    market: Any = importlib.import_module("torchreid.reid.data.datasets.image.market1501")
    dataset = market.Market1501(root=str(tmp_path), verbose=False)
    rows = {Path(row["file"]).name: row for row in manifest(tmp_path / "out")}
    read = {Path(path).name: (label, camera) for path, label, camera, _ in dataset.train}
    assert len(read) == 15 + 30
    assert rows.keys() <= read.keys()
    # torchreid numbers persons as they come, cameras from 0.
    label_of = {int(name[:4]): label for name, (label, _) in read.items() if name not in rows}
    assert sorted(label_of.values()) == [0, 1, 2, 3, 4]
    for name, row in rows.items():
        assert read[name] == (label_of[row["appearance_person"]], row["structure_camera"] - 1)
