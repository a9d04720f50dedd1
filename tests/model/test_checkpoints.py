"""Checkpoints: whole or not at all, no pickle, and every damage named."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dgnet.files import replaced_directory, write_json
from dgnet.model.checkpoints import (
    METADATA_FILE,
    TENSORS_FILE,
    CheckpointError,
    load_checkpoint,
    load_teacher,
    pack_checkpoint,
    read_metadata,
    save_checkpoint,
    update_metrics,
)
from dgnet.model.config import ConfigError
from dgnet.model.dgnet import DGNet
from dgnet.model.predictor import Predictor
from dgnet.model.teacher import Teacher
from dgnet.model.tensor_files import read_tensors, write_tensors
from tests.model.tiny import tiny_network

CONFIG = tiny_network()


@pytest.fixture(scope="module")
def networks() -> DGNet:
    return DGNet(CONFIG)


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(CONFIG, last_stride=1)


@pytest.fixture
def folder(tmp_path: Path, networks: DGNet) -> Path:
    save_checkpoint(tmp_path / "checkpoint", networks)
    return tmp_path / "checkpoint"


def rewrite_tensors(folder: Path, **changed: torch.Tensor | None) -> None:
    """Change (or, with None, drop) tensors and let the hash agree: damage that it cannot see."""
    tensors: dict[str, Any] = {**read_tensors(folder / TENSORS_FILE), **changed}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    write_tensors(folder / TENSORS_FILE, kept)
    digest = hashlib.sha256((folder / TENSORS_FILE).read_bytes()).hexdigest()
    card = json.loads((folder / METADATA_FILE).read_text())
    write_json(folder / METADATA_FILE, {**card, "sha256": digest})


def test_everything_saved_comes_back(tmp_path: Path, networks: DGNet, teacher: Teacher) -> None:
    saved = save_checkpoint(
        tmp_path / "all",
        networks,
        teacher=teacher,
        training={"seed": 1},
        data={"license": "CC0"},
        metrics={"rank_1": 0.5},
    )
    loaded = load_checkpoint(tmp_path / "all")
    assert loaded.metadata == saved == read_metadata(tmp_path / "all")
    assert saved.model_version == saved.sha256[:12]
    assert (saved.training, saved.data, saved.metrics) == (
        {"seed": 1},
        {"license": "CC0"},
        {"rank_1": 0.5},
    )
    for name, tensor in networks.state_dict().items():
        assert torch.equal(loaded.networks.state_dict()[name], tensor), name
    assert loaded.teacher is not None
    assert loaded.teacher.last_stride == 1
    for name, tensor in teacher.state_dict().items():
        assert torch.equal(loaded.teacher.state_dict()[name], tensor), name


def test_a_checkpoint_is_two_files_without_pickle(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [METADATA_FILE, TENSORS_FILE]
    header_size = int.from_bytes((folder / TENSORS_FILE).read_bytes()[:8], "little")
    header = json.loads((folder / TENSORS_FILE).read_bytes()[8 : 8 + header_size])
    assert "decoder.refine.2.bias" in header
    assert json.loads((folder / METADATA_FILE).read_text())["format"] == 1


def test_networks_left_out_are_absent_and_inference_works_without_them(
    tmp_path: Path, networks: DGNet
) -> None:
    parts = ("appearance_encoder", "structure_encoder", "style_mlps", "decoder")
    metadata = save_checkpoint(tmp_path / "some", networks, parts=parts)
    assert metadata.networks == parts
    stored = read_tensors(tmp_path / "some" / TENSORS_FILE)
    assert {name.partition(".")[0] for name in stored} == set(parts)
    predictor = Predictor.load(tmp_path / "some", device="cpu", precision="fp32")
    assert predictor.model_version == metadata.model_version


def test_an_unknown_part_is_named(tmp_path: Path, networks: DGNet) -> None:
    with pytest.raises(CheckpointError, match="'encoder' is none of the networks"):
        save_checkpoint(tmp_path / "some", networks, parts=["decoder", "encoder"])


def test_a_teacher_alone_is_a_checkpoint_but_none_for_inference(
    tmp_path: Path, teacher: Teacher
) -> None:
    save_checkpoint(tmp_path / "teacher", None, teacher=teacher)
    metadata, loaded = load_teacher(tmp_path / "teacher")
    assert metadata.networks == ("teacher",)
    assert loaded.last_stride == 1
    with pytest.raises(CheckpointError, match="carries teacher, but no appearance_encoder"):
        load_checkpoint(tmp_path / "teacher")


def test_a_checkpoint_without_teacher_says_so(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="carries no teacher"):
        load_teacher(folder)


def test_a_teacher_of_other_sizes_is_never_saved_beside_networks(
    tmp_path: Path, networks: DGNet
) -> None:
    other = Teacher(replace(CONFIG, head_features=16))
    with pytest.raises(ConfigError, match="teacher's head_features is 16, the networks' is 8"):
        save_checkpoint(tmp_path / "mixed", networks, teacher=other)


def test_nothing_to_save_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing to save"):
        save_checkpoint(tmp_path / "none", None)


def test_half_precision_keeps_running_statistics_and_counters(
    folder: Path, tmp_path: Path, networks: DGNet
) -> None:
    metadata = pack_checkpoint(folder, tmp_path / "packed")
    stored = read_tensors(tmp_path / "packed" / TENSORS_FILE)
    kinds = {
        "running": {tensor.dtype for name, tensor in stored.items() if "running_" in name},
        "counter": {tensor.dtype for name, tensor in stored.items() if "num_batches" in name},
        "weight": {tensor.dtype for name, tensor in stored.items() if name.endswith("weight")},
    }
    assert kinds == {
        "running": {torch.float32},
        "counter": {torch.int64},
        "weight": {torch.float16},
    }
    assert (tmp_path / "packed" / TENSORS_FILE).stat().st_size < 0.6 * (
        folder / TENSORS_FILE
    ).stat().st_size
    before = read_metadata(folder)
    assert metadata == replace(before, sha256=metadata.sha256)
    assert metadata.sha256 != before.sha256
    loaded = load_checkpoint(tmp_path / "packed").networks
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(loaded.state_dict(), networks.state_dict(), rtol=1e-3, atol=1e-4)


def test_weights_that_half_precision_cannot_hold_are_named(folder: Path, tmp_path: Path) -> None:
    rewrite_tensors(folder, **{"decoder.refine.2.bias": torch.tensor([0, 1e6, 0])})
    with pytest.raises(CheckpointError, match=r"decoder\.refine\.2\.bias has values up to 1e\+06"):
        pack_checkpoint(folder, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_figures_are_added_without_touching_the_weights(folder: Path) -> None:
    before = read_metadata(folder)
    update_metrics(folder, {"composites": {"pairs": 3}})
    update_metrics(folder, {"retrieval": {"rank_1": 1}})
    after = read_metadata(folder)
    assert after.metrics == {"composites": {"pairs": 3}, "retrieval": {"rank_1": 1}}
    assert after.sha256 == before.sha256
    assert load_checkpoint(folder).metadata == after


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"decoder.refine.2.bias": None}, r"decoder\.refine\.2\.bias is missing"),
        (
            {"decoder.refine.2.bias": torch.zeros(4)},
            r"decoder\.refine\.2\.bias has shape \(4,\); expected \(3,\)",
        ),
        ({"decoder.tail.bias": torch.zeros(4)}, r"decoder\.tail\.bias is no part of this network"),
        ({"painter.bias": torch.zeros(4)}, r"holds painter\.bias, which belongs to none"),
    ],
    ids=["missing", "mis-shaped", "extra", "of no network"],
)
def test_a_tensor_that_does_not_fit_is_named(
    folder: Path, changed: dict[str, torch.Tensor | None], message: str
) -> None:
    rewrite_tensors(folder, **changed)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


def test_one_changed_byte_is_noticed(folder: Path) -> None:
    content = bytearray((folder / TENSORS_FILE).read_bytes())
    content[-1] ^= 1
    (folder / TENSORS_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match="was changed or cut short"):
        load_checkpoint(folder)


def test_a_file_of_another_kind_is_named(folder: Path) -> None:
    (folder / TENSORS_FILE).write_bytes(b"no tensors here")
    card = json.loads((folder / METADATA_FILE).read_text())
    digest = hashlib.sha256(b"no tensors here").hexdigest()
    write_json(folder / METADATA_FILE, {**card, "sha256": digest})
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"format": 1}', "is damaged: KeyError"),
        ('{"format": 2}', "has format 2; this version reads format 1"),
    ],
)
def test_metadata_that_cannot_be_read_is_named(folder: Path, text: str, message: str) -> None:
    (folder / METADATA_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_metadata(folder)


def test_a_folder_of_something_else_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"is not a checkpoint: it has no {METADATA_FILE}"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_without_its_tensors_is_not_whole(folder: Path) -> None:
    (folder / TENSORS_FILE).unlink()
    with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
        load_checkpoint(folder)


def test_a_failed_write_leaves_what_was_there(folder: Path) -> None:
    before = read_metadata(folder)

    class DiskFullError(Exception):
        """Stands for whatever goes wrong while writing."""

    def write() -> None:
        with replaced_directory(folder) as part:
            (part / TENSORS_FILE).write_bytes(b"half a file")
            raise DiskFullError

    with pytest.raises(DiskFullError):
        write()
    assert load_checkpoint(folder).metadata == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_the_old_folder_stands_until_the_new_one_is_whole(folder: Path, networks: DGNet) -> None:
    before = read_metadata(folder)
    with replaced_directory(folder) as part:
        (part / "note.txt").write_text("new")
        assert read_metadata(folder) == before
    assert [path.name for path in folder.iterdir()] == ["note.txt"]
    save_checkpoint(folder, networks)
    assert read_metadata(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(
    folder: Path, tmp_path: Path, value: float
) -> None:
    name = next(
        key for key, tensor in read_tensors(folder / TENSORS_FILE).items() if tensor.ndim == 4
    )
    broken = read_tensors(folder / TENSORS_FILE)[name].clone()
    broken.view(-1)[-1] = value
    rewrite_tensors(folder, **{name: broken})
    message = f"model.safetensors: {name} has values that are no finite numbers"
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)
    with pytest.raises(CheckpointError, match=message):
        pack_checkpoint(folder, tmp_path / "packed")


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    networks = DGNet(CONFIG)
    weight = next(networks.decoder.parameters())
    with torch.no_grad():
        weight.view(-1)[0] = float("nan")
    with pytest.raises(CheckpointError, match=r"is not written: decoder\..* no finite numbers"):
        save_checkpoint(tmp_path / "checkpoint", networks)
    assert not (tmp_path / "checkpoint").exists()
