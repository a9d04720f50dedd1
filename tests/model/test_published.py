"""Published checkpoints in: every key has its place, and whatever does not fit is named.

The files here have the names and shapes of the release; every tensor repeats one value, so they
are small; the golden tests compare what the networks then compute.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from dgnet.model.checkpoints import load_checkpoint, read_metadata
from dgnet.model.config import preset
from dgnet.model.dgnet import DGNet
from dgnet.model.predictor import Predictor
from dgnet.model.published import (
    UNUSED,
    PublishedCheckpointError,
    load_appearance_encoder,
    load_discriminator,
    load_generator,
    load_teacher,
)
from dgnet.model.published_files import PublishedFiles, import_published, read_published
from dgnet.model.teacher import Teacher
from tests.model.golden import FOLDER, IDENTITIES

PARTS = {"generator": "gen", "appearance": "id", "discriminator": "dis", "teacher": "teacher"}


@cache
def shapes() -> dict[str, dict[str, list[int]]]:
    text = (FOLDER / "published_checkpoint_keys.json").read_text()
    return cast("dict[str, dict[str, list[int]]]", json.loads(text))


def published(part: str) -> dict[str, Tensor]:
    """Tensors of one file; the value of each tells its name."""
    return {name: _filled(name, shape) for name, shape in shapes()[PARTS[part]].items()}


def value_of(name: str) -> float:
    """A value that half precision holds exactly and few names share."""
    return 0.5 + zlib.crc32(name.encode()) % 1024 / 2048


def _filled(name: str, shape: list[int]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    return torch.tensor(value_of(name)).expand(shape)


def on_meta() -> tuple[DGNet, Teacher]:
    """Networks that have shapes and no values: enough to find what does not fit."""
    config = preset("paper", identities=IDENTITIES)
    with torch.device("meta"):
        return DGNet(config), Teacher(config)


def load(part: str, tensors: Mapping[str, Tensor]) -> None:
    networks, teacher = on_meta()
    match part:
        case "generator":
            load_generator(networks, tensors)
        case "appearance":
            load_appearance_encoder(networks.appearance_encoder, tensors)
        case "discriminator":
            load_discriminator(networks.discriminator, tensors)
        case _:
            load_teacher(teacher, tensors)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> PublishedFiles:
    """Once in each form that the release or its users write."""
    folder = tmp_path_factory.mktemp("published")
    contents: dict[str, Any] = {
        "generator": {"a": published("generator")},
        "appearance": {"a": published("appearance"), "iterations": 100_000},
        "discriminator": {"state_dict": published("discriminator")},
        "teacher": published("teacher"),
    }
    for part, content in contents.items():
        torch.save(content, folder / f"{part}.pt", _use_new_zipfile_serialization=part != "teacher")
    return PublishedFiles(
        generator=folder / "generator.pt",
        appearance=folder / "appearance.pt",
        discriminator=folder / "discriminator.pt",
        teacher=folder / "teacher.pt",
    )


@pytest.fixture(scope="module")
def imported(files: PublishedFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported") / "checkpoint"
    import_published(files, folder, data={"license": "research only"})
    return folder


def test_every_published_tensor_has_its_place(imported: Path) -> None:
    checkpoint = load_checkpoint(imported)
    assert checkpoint.teacher is not None
    loaded = [*checkpoint.networks.state_dict().values(), *checkpoint.teacher.state_dict().values()]
    found = sorted(float(tensor.flatten()[0]) for tensor in loaded)
    expected = sorted(
        7.0 if name.endswith("num_batches_tracked") else value_of(name)
        for part in PARTS
        for name in shapes()[PARTS[part]]
        if not UNUSED.fullmatch(name)
    )
    assert found == pytest.approx(expected)
    for tensor in loaded:
        assert bool((tensor == tensor.flatten()[0]).all())


def test_named_tensors_land_where_they_belong(imported: Path) -> None:
    networks = load_checkpoint(imported).networks
    for ours, theirs in {
        "appearance_encoder.backbone.stages.layer4.2.conv3.weight": "model.layer4.2.conv3.weight",
        "appearance_encoder.fine.classifier.bias": "classifier2.classifier.0.bias",
        "structure_encoder.layers.8.fuse.convolution.convolution.weight": (
            "enc_content.model.5.fuse.conv.weight"
        ),
        "style_mlps.shifts.3.4.weight": "mlp_b4.model.2.fc.weight",
        "decoder.refine.2.bias": "dec.model.8.conv.bias",
        "discriminator.scales.2.layers.9.weight": "cnns.2.9.weight",
    }.items():
        assert float(networks.state_dict()[ours].flatten()[0]) == value_of(theirs), ours


def test_what_is_known_of_the_files_is_kept(imported: Path, files: PublishedFiles) -> None:
    metadata = read_metadata(imported)
    assert metadata.config == preset("paper", identities=IDENTITIES)
    assert metadata.data == {"license": "research only"}
    assert metadata.training["imported_from"]["generator"] == Path(files.generator).name
    assert metadata.networks[-2:] == ("discriminator", "teacher")


def test_only_what_nothing_uses_is_left_out() -> None:
    unused = [name for part in PARTS for name in shapes()[PARTS[part]] if UNUSED.fullmatch(name)]
    assert sum(name.startswith("model.fc.") for name in unused) == 2
    # Eight AdaIN layers with a mean and a variance that they never use.
    assert len(unused) == 2 + 16


def test_generator_and_appearance_encoder_are_enough_for_composites(
    files: PublishedFiles, tmp_path: Path
) -> None:
    few = PublishedFiles(generator=files.generator, appearance=files.appearance)
    metadata = import_published(few, tmp_path / "checkpoint")
    assert metadata.networks == (
        "appearance_encoder",
        "structure_encoder",
        "style_mlps",
        "decoder",
    )
    assert Predictor.load(tmp_path / "checkpoint", device="cpu").height == 256


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("generator", "dec.model.3.norm.gamma"),
        ("appearance", "classifier2.add_block.1.running_var"),
        ("discriminator", "cnns.1.9.bias"),
        ("teacher", "model.layer4.0.downsample.0.weight"),
    ],
)
def test_missing_extra_and_misshaped_tensors_are_named(part: str, name: str) -> None:
    whole = published(part)
    missing = {key: tensor for key, tensor in whole.items() if key != name}
    with pytest.raises(PublishedCheckpointError, match=f"^{name} is missing; expected "):
        load(part, missing)
    with pytest.raises(
        PublishedCheckpointError, match=r"^extra\.weight is no part of this network"
    ):
        load(part, {**whole, "extra.weight": torch.zeros(1)})
    with pytest.raises(PublishedCheckpointError, match=f"^{name} has shape 2x3; expected "):
        load(part, {**whole, name: torch.zeros(2, 3)})


def test_another_part_of_the_release_is_told_apart(files: PublishedFiles, tmp_path: Path) -> None:
    swapped = PublishedFiles(generator=files.appearance, appearance=files.generator)
    with pytest.raises(PublishedCheckpointError, match=r"classifier1\.classifier\.0\.weight"):
        import_published(swapped, tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint").exists()


def test_a_tensor_that_does_not_fit_names_its_file(files: PublishedFiles, tmp_path: Path) -> None:
    tensors = published("generator")
    del tensors["dec.model.8.conv.bias"]
    torch.save(tensors, tmp_path / "gen.pt")
    cut = PublishedFiles(generator=tmp_path / "gen.pt", appearance=files.appearance)
    with pytest.raises(
        PublishedCheckpointError, match=r"gen\.pt: dec\.model\.8\.conv\.bias is miss"
    ):
        import_published(cut, tmp_path / "checkpoint")


def test_heads_that_disagree_on_identities_are_refused(
    files: PublishedFiles, tmp_path: Path
) -> None:
    tensors = published("appearance") | {"classifier2.classifier.0.weight": torch.zeros(18, 512)}
    torch.save(tensors, tmp_path / "id.pt")
    with pytest.raises(PublishedCheckpointError, match=r"has 17 rows, .* has 18 rows"):
        import_published(
            PublishedFiles(generator=files.generator, appearance=tmp_path / "id.pt"),
            tmp_path / "checkpoint",
        )


def test_a_teacher_of_other_people_is_refused(files: PublishedFiles, tmp_path: Path) -> None:
    tensors = published("teacher") | {
        "classifier.classifier.0.weight": torch.zeros(18, 512),
        "classifier.classifier.0.bias": torch.zeros(18),
    }
    torch.save(tensors, tmp_path / "net.pth")
    with pytest.raises(PublishedCheckpointError, match=r"knows 18 identities, .* knows 17"):
        import_published(
            PublishedFiles(
                generator=files.generator,
                appearance=files.appearance,
                teacher=tmp_path / "net.pth",
            ),
            tmp_path / "checkpoint",
        )


class Custom:
    """Anything that only unpickling could bring back."""


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_files_that_need_unpickling_are_refused_and_say_why(tmp_path: Path, zipped: bool) -> None:
    torch.save({"a": Custom()}, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(PublishedCheckpointError, match=r"is refused: .*runs whatever code"):
        read_published(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": {"x": torch.zeros(1)}, "b": {"y": torch.zeros(1)}}, "{'a': 1 tensors, 'b': 1 ten"),
        ({"epoch": 3}, "{'epoch': int}"),
        ([torch.zeros(1)], "holds list; expected one mapping"),
        ({}, "holds dict; expected one mapping"),
    ],
    ids=["two state dicts", "no tensors", "a list", "nothing"],
)
def test_other_contents_say_what_was_found(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(PublishedCheckpointError, match=message):
        read_published(tmp_path / "net.pt")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_file_cut_short_is_told_apart(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "net.pt"
    torch.save({"x": torch.zeros(9)}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(PublishedCheckpointError, match=r"is not a whole file|cut short"):
        read_published(path)


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x80\x04."], ids=repr)
def test_a_file_of_another_kind_is_told_apart(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(PublishedCheckpointError, match=r"is not a whole file of torch\.save"):
        read_published(tmp_path / "net.pt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PublishedCheckpointError, match=r"gone\.pt: no such file"):
        read_published(tmp_path / "gone.pt")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_names_of_wrapped_networks_are_unwrapped(prefix: str, tmp_path: Path) -> None:
    """DataParallel and compilation put something before every name."""
    tensors = published("teacher")
    path = tmp_path / "net_last.pth"
    torch.save({prefix + name: tensor for name, tensor in tensors.items()}, path)
    read = read_published(path)
    assert read.keys() == tensors.keys()
    load_teacher(Teacher(preset("paper", identities=IDENTITIES)), read)


def test_a_file_with_wrapped_and_plain_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net_last.pth"
    torch.save({"module.a": torch.zeros(1), "a": torch.zeros(1)}, path)
    with pytest.raises(PublishedCheckpointError, match="holds tensors twice"):
        read_published(path)


def test_files_from_before_batches_were_counted_are_taken() -> None:
    config = preset("paper", identities=IDENTITIES)
    teacher = Teacher(config)
    tensors = {
        name: tensor
        for name, tensor in published("teacher").items()
        if not name.endswith("num_batches_tracked")
    }
    load_teacher(teacher, tensors)
    counts = [
        int(tensor)
        for name, tensor in teacher.state_dict().items()
        if name.endswith("num_batches_tracked")
    ]
    assert len(counts) == 54  # a ResNet-50's 53 and the head's
    assert set(counts) == {0}


def test_published_weights_that_are_no_numbers_are_refused_by_name() -> None:
    config = preset("paper", identities=IDENTITIES)
    tensors = published("teacher")
    name = "classifier.add_block.1.running_mean"
    tensors[name] = tensors[name].clone()
    tensors[name][3] = float("nan")
    with pytest.raises(PublishedCheckpointError, match=f"{name} has values that are no finite"):
        load_teacher(Teacher(config), tensors)
