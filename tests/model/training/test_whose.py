"""Labels know whose they are: teachers of other persons and other data are refused by name."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from dgnet.model.checkpoints import Metadata, load_teacher, read_metadata
from dgnet.model.config import ConfigError
from dgnet.model.data.fingerprint import Fingerprint, fingerprint_from
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.tensor_files import read_tensors, write_tensors
from dgnet.model.training.config import TeacherConfig
from dgnet.model.training.run import RunOptions, TrainingDiverged
from dgnet.model.training.state import STATE_JSON, STATE_TENSORS
from dgnet.model.training.teacher import train_teacher
from dgnet.model.training.training_run import TrainingRun, checkpoint_directory
from dgnet.model.training.whose import require_same_persons
from tests.model.data.trees import write_picture
from tests.model.tiny import HEIGHT, WIDTH, tiny_network

CONFIG = TeacherConfig(iterations=2, batch_size=2, seed=3)


def people(root: Path, *names: str, seed: int = 0, pictures: int = 3) -> TrainingPictures:
    for number, name in enumerate(names):
        for picture in range(pictures):
            color = (seed, 40 * number, 20 * picture)
            write_picture(root / name / f"{picture}.png", color)
    return TrainingPictures.load(root, HEIGHT, WIDTH)


def train(
    run: Path, pictures: TrainingPictures, name: str, *, resume: bool = False, iterations: int = 2
) -> Metadata:
    network = replace(tiny_network(), identities=len(pictures.persons))
    _, metadata = train_teacher(
        network,
        replace(CONFIG, iterations=iterations),
        TrainingRun(
            pictures=pictures,
            options=RunOptions(directory=run, checkpoint_every=1, resume=resume, progress=False),
            device=torch.device("cpu"),
            data={"name": name},
        ),
        imagenet=False,
    )
    return metadata


def compare(metadata: Metadata, pictures: TrainingPictures) -> list[str]:
    return require_same_persons("teacher runs/t", metadata, "data/b", pictures)


def test_a_teacher_of_other_persons_is_refused_with_both_named(tmp_path: Path) -> None:
    ours = people(tmp_path / "a", "Ada", "Bo")
    metadata = train(tmp_path / "run", ours, "set a")
    assert read_metadata(checkpoint_directory(tmp_path / "run")).fingerprint == metadata.fingerprint
    assert compare(metadata, ours) == []
    others = people(tmp_path / "b", "Cy", "Di")
    with pytest.raises(
        ConfigError, match=r"teacher runs/t, trained on set a, knows other persons than data/b"
    ):
        compare(metadata, others)
    (said,) = require_same_persons("t", metadata, "b", others, insisted=True)
    assert "knows other persons" in said


def test_the_same_numbers_of_other_people_are_refused(tmp_path: Path) -> None:
    """Sets of different people often use the same numbers, and even the same file names."""
    metadata = train(tmp_path / "run", people(tmp_path / "a", "0001", "0002"), "set a")
    others = people(tmp_path / "b", "0001", "0002", seed=9)
    with pytest.raises(ConfigError, match=r"set a.* same names as data/b, but not one picture"):
        compare(metadata, others)
    more = people(tmp_path / "a", "0001", "0002", pictures=9)
    assert compare(metadata, more) == [
        "teacher runs/t, trained on set a, saw other pictures of the persons of data/b"
    ]


def test_a_checkpoint_from_before_is_said_to_tell_nothing(tmp_path: Path) -> None:
    ours = people(tmp_path / "a", "Ada", "Bo")
    old = Metadata(config=tiny_network(), networks=("teacher",), data={"name": "old"})
    (said,) = require_same_persons("t", old, "data/a", ours)
    assert "t, trained on old, does not tell which persons it knows" in said


def test_the_order_of_persons_matters_and_the_spelling_of_numbers_does_not(tmp_path: Path) -> None:
    pictures = people(tmp_path, "Ada", "Bo").pictures
    first = Fingerprint.of(pictures, {1: "Ada", 2: "Bo"})
    assert first.persons != Fingerprint.of(pictures, {1: "Bo", 2: "Ada"}).persons
    assert Fingerprint.of(pictures, {1: "007", 2: "8"}).persons == (
        Fingerprint.of(pictures, {1: "7", 2: "0008"}).persons
    )
    assert fingerprint_from(json.loads(json.dumps(first.to_json()))) == first
    assert len(first.samples) == 6


def test_a_resumed_run_refuses_other_data_with_both_named(tmp_path: Path) -> None:
    run, root = tmp_path / "run", tmp_path / "a"
    train(run, people(root, "Ada", "Bo"), "set a")
    assert train(run, people(root, "Ada", "Bo"), "set a", resume=True, iterations=2).data
    shutil.rmtree(root)
    message = (
        r"was started with other training data: then set a \(6 pictures, digest \w+\), now set b "
        r"\(6 pictures, digest \w+\); resume with the same data"
    )
    with pytest.raises(ConfigError, match=message):
        train(run, people(root, "Ada", "Bo", seed=5), "set b", resume=True)


def test_a_run_from_before_goes_on_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, ours = tmp_path / "run", people(tmp_path / "a", "Ada", "Bo")
    train(run, ours, "set a")
    for path in (run / "state").glob("*/state.json"):
        values = json.loads(path.read_text())
        del values["data"]
        path.write_text(json.dumps(values))
    train(run, ours, "set a", resume=True)
    assert "does not tell which data it was started with" in capsys.readouterr().err


def test_weights_that_are_no_numbers_end_a_run_and_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The losses of an iteration are of the weights before it: these may be fine."""
    step = cast(Any, torch.optim.SGD).step

    def broken(self: torch.optim.SGD, *arguments: Any) -> Any:
        done = step(self, *arguments)
        self.param_groups[0]["params"][0].data.fill_(float("nan"))
        return done

    monkeypatch.setattr(torch.optim.SGD, "step", broken)
    ours = people(tmp_path / "a", "Ada", "Bo")
    with pytest.raises(
        TrainingDiverged, match=r"iteration 0: teacher\.\S+ is not made of finite numbers"
    ):
        train(tmp_path / "run", ours, "set a")
    assert not list((tmp_path / "run").glob("state/*/state.json"))
    assert not checkpoint_directory(tmp_path / "run").exists()


def test_a_saved_state_without_numbers_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, ours = tmp_path / "run", people(tmp_path / "a", "Ada", "Bo")
    first = train(run, ours, "set a")
    folder = run / "state" / "000002"
    tensors = read_tensors(folder / STATE_TENSORS)
    name = next(key for key in tensors if key.startswith("network.") and tensors[key].ndim == 4)
    tensors[name] = tensors[name] * float("nan")
    write_tensors(folder / STATE_TENSORS, tensors)
    values = json.loads((folder / STATE_JSON).read_text())
    values["sha256"] = hashlib.sha256((folder / STATE_TENSORS).read_bytes()).hexdigest()
    (folder / STATE_JSON).write_text(json.dumps(values))
    again = train(run, ours, "set a", resume=True)
    assert "going back to" in capsys.readouterr().err
    assert again.sha256 == first.sha256
    load_teacher(checkpoint_directory(run))
