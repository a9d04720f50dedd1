"""`--scene` of every command that makes composites: kept, generated, or refused.

The mask of the tiny network keeps every pixel, so that a kept composite is its structure picture.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dgnet.arrays import Pixels
from dgnet.model.checkpoints import save_checkpoint
from dgnet.model.config import NetworkConfig
from dgnet.model.dgnet import DGNet
from tests.commands.test_cli import exit_code
from tests.generation.jobs import PERSONS, manifest
from tests.model.tiny import tiny_detail, tiny_network, write_people

NO_MASK = "the scene is to be kept, but the checkpoint"


@dataclass(frozen=True)
class Checkpoints:
    keeping: Path
    maskless: Path


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    folder = tmp_path_factory.mktemp("checkpoints")
    return Checkpoints(
        keeping=save(folder / "keeping", tiny_detail(identities=PERSONS)),
        maskless=save(folder / "maskless", tiny_network(identities=PERSONS)),
    )


def save(folder: Path, config: NetworkConfig) -> Path:
    torch.manual_seed(1904)  # pyright: ignore[reportUnknownMemberType]
    networks = DGNet(config)
    if networks.scene_mask is not None:
        last = networks.scene_mask.layers[1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.constant_(last.bias, -6.0)  # 1/404 of G's picture is less than a level
    save_checkpoint(folder, networks)
    return folder


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_people(tmp_path / "people", persons=PERSONS)


def pixels(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def swap(checkpoint: Path, people: Path, out: Path, *more: str) -> int | str | None:
    appearance, _, _, structure, *_ = sorted(people.iterdir())
    return exit_code(
        "swap", "--appearance", str(appearance), "--structure", str(structure), "-o", str(out),
        "--checkpoint", str(checkpoint), "--device", "cpu", *more,
    )  # fmt: skip


def structure_of(people: Path) -> Pixels:
    return pixels(sorted(people.iterdir())[3])


@pytest.mark.parametrize("options", [[], ["--scene", "keep"]])
def test_a_swap_keeps_the_scene_where_the_checkpoint_can(
    checkpoints: Checkpoints, people: Path, tmp_path: Path, options: list[str]
) -> None:
    assert swap(checkpoints.keeping, people, tmp_path / "out.png", *options) == 0
    assert np.array_equal(pixels(tmp_path / "out.png"), structure_of(people))


def test_a_swap_that_generates_passes_on_no_pixel(
    checkpoints: Checkpoints, people: Path, tmp_path: Path
) -> None:
    assert swap(checkpoints.keeping, people, tmp_path / "out.png", "--scene", "generate") == 0
    assert (pixels(tmp_path / "out.png") == structure_of(people)).all(axis=2).mean() < 0.01


def test_a_checkpoint_without_a_mask_generates(
    checkpoints: Checkpoints, people: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    assert swap(checkpoints.maskless, people, first) == 0
    assert swap(checkpoints.maskless, people, second, "--scene", "generate") == 0
    assert np.array_equal(pixels(first), pixels(second))


def test_mixtures_of_two_appearances_keep_the_scene_too(
    checkpoints: Checkpoints, people: Path, tmp_path: Path
) -> None:
    walk = ("--appearance", str(sorted(people.iterdir())[5]), "--interpolate", "3")
    kept, made = tmp_path / "kept.png", tmp_path / "made.png"
    assert swap(checkpoints.keeping, people, kept, "--scene", "keep", *walk) == 0
    assert swap(checkpoints.keeping, people, made, "--scene", "generate", *walk) == 0
    assert not np.array_equal(pixels(kept), pixels(made))


def test_a_scene_that_cannot_be_kept_is_wrong_input_of_every_command(
    checkpoints: Checkpoints, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    keep = ("--scene", "keep", "--checkpoint", str(checkpoints.maskless), "--device", "cpu")
    assert swap(checkpoints.maskless, people, out.with_suffix(".png"), "--scene", "keep") == 2
    assert NO_MASK in capsys.readouterr().err
    for command in (
        ("generate", str(people), "--count", "4", "-o", str(out)),
        ("evaluate", "composites", "--people", str(people)),
        ("evaluate", "generation", str(people)),
    ):
        assert exit_code(*command, *keep) == 2
        told = capsys.readouterr().err
        assert NO_MASK in told
        assert "use a checkpoint of the preset detail" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people"]


@pytest.mark.parametrize(
    ("options", "kept"), [((), True), (("--scene", "keep"), True), (("--scene", "generate"), False)]
)
def test_a_data_set_has_the_scene_that_was_asked_for(
    checkpoints: Checkpoints, people: Path, tmp_path: Path, options: tuple[str, ...], kept: bool
) -> None:
    out = tmp_path / "out"
    arguments = ("generate", str(people), "--count", "6", "--format", "png", "-o", str(out))
    assert exit_code(*arguments, "--checkpoint", str(checkpoints.keeping), *options) == 0
    for row in manifest(out):
        structure = pixels(people / row["structure_path"])
        assert np.array_equal(pixels(out / row["file"]), structure) == kept
        scene = "keep" if kept else "generate"
        assert (row["scene"], row["kept_share"]) == (scene, 1.0 if kept else 0.0)
    card = (out / "card.md").read_text()
    assert ("Kept in 6 composites" in card) == kept
    assert ("mean 100.0%, smallest 100.0%, largest 100.0%" in card) == kept
    assert ("Generated in 6 composites" in card) != kept


def test_a_set_is_not_carried_on_with_another_scene(
    checkpoints: Checkpoints, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ("generate", str(people), "--count", "4", "-o", str(out))
    command = (*command, "--checkpoint", str(checkpoints.keeping))
    assert exit_code(*command, "--scene", "keep") == 0
    assert exit_code(*command, "--scene", "keep", "--resume") == 0
    capsys.readouterr()
    assert exit_code(*command, "--scene", "generate", "--resume") == 2
    assert "spec" in capsys.readouterr().err


def test_an_evaluation_says_which_scene_its_composites_have(
    checkpoints: Checkpoints, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people"
    for split in ("query", "bounding_box_test"):
        write_people(people / split, persons=PERSONS)
    for options, scene in (((), "keep"), (("--scene", "generate"), "generate")):
        file = tmp_path / f"{scene}.json"
        command = ("evaluate", "composites", "--people", str(people), "--pairs", "4")
        where = ("--checkpoint", str(checkpoints.keeping), "--json", str(file))
        assert exit_code(*command, *where, *options) == 0
        assert f"scene: {scene}" in capsys.readouterr().out
        assert json.loads(file.read_text())["scene"] == scene


def test_composites_that_are_there_have_their_scene_already(
    checkpoints: Checkpoints, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = exit_code(
        "evaluate", "generation", str(people), "--generated", str(people), "--scene", "keep"
    )
    assert code == 2
    assert "give one of them" in capsys.readouterr().err
