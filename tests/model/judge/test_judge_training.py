"""A judge from nothing: its losses by hand, tiny networks, what is kept on disk."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dgnet.model.data.market1501 import Picture, read_split
from dgnet.model.data.picture import DatasetError
from dgnet.model.data.transforms import denormalize
from dgnet.model.evaluation.composites.report import EvaluationConfig, score_retrieval
from dgnet.model.judge import training
from dgnet.model.judge.augmentation import augmented
from dgnet.model.judge.checkpoint import (
    SHIPPED_JUDGE,
    TrainedJudge,
    save_judge,
    update_judge_metrics,
)
from dgnet.model.judge.judge import JudgeError, resized
from dgnet.model.judge.network import JudgeConfig, JudgeNetwork
from dgnet.model.judge.training import (
    JudgeTrainingConfig,
    hardest_triplets,
    learning_rate,
    train_judge,
)
from dgnet.model.training.run import RunOptions

TINY = JudgeConfig(height=32, width=16, channels=(4, 8), blocks=(1, 1))
SHORT = JudgeTrainingConfig(
    iterations=40,
    coarse_iterations=0,
    persons=3,
    pictures=2,
    learning_rate=0.02,
    warmup_iterations=5,
    seed=3,
)


def pixels(count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 16, 3), dtype=np.uint8)


@pytest.fixture
def people(tmp_path: Path) -> list[Picture]:
    """Four persons of one color each, four pictures of each, a little apart."""
    folder = tmp_path / "people"
    folder.mkdir()
    colors = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40)]
    draws = np.random.default_rng(1)
    for person, color in enumerate(colors, start=1):
        for camera in range(1, 5):
            shown = np.array(color) + draws.integers(-20, 21, (32, 16, 3))
            file = folder / f"{person:04d}_c{camera}s1_000001_00.png"
            Image.fromarray(shown.clip(0, 255).astype(np.uint8)).save(file)
    return read_split(folder)


def test_the_triplet_loss_takes_the_hardest_of_each_picture() -> None:
    # On a line: persons A at 0 and 3, B at 4 and 6.
    features = torch.tensor([[0.0], [3.0], [4.0], [6.0]])
    labels = torch.tensor([0, 0, 1, 1])
    # Farthest of the same person minus nearest of another: 3 - 4, 3 - 1, 2 - 1, 2 - 3.
    margins = torch.tensor([-1.0, 2.0, 1.0, -1.0])
    expected = torch.log(1 + torch.exp(margins)).mean()
    assert float(hardest_triplets(features, labels)) == pytest.approx(float(expected))


def options(folder: Path, **changes: Any) -> RunOptions:
    return RunOptions(directory=folder, progress=False, **changes)


def test_training_tells_people_apart(people: list[Picture], tmp_path: Path) -> None:
    judge = train_judge(TINY, SHORT, people, options(tmp_path / "run"))
    assert judge.classifier is None
    assert not judge.training
    trained = TrainedJudge(judge, name="tiny", version="0", device="cpu")
    query = [picture for picture in people if picture.camera_id == 1]
    gallery = [picture for picture in people if picture.camera_id != 1]
    found = score_retrieval(trained, query, gallery, EvaluationConfig())
    assert found.dgnet_convention.rank_1 == 1


def test_an_interrupted_training_ends_with_the_same_weights(
    people: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_judge(TINY, SHORT, people, options(tmp_path / "whole"))
    with monkeypatch.context() as patch:
        calls = iter(range(1000))

        def dies(features: Tensor, labels: Tensor) -> Tensor:
            if next(calls) == 25:
                raise KeyboardInterrupt
            return hardest_triplets(features, labels)

        patch.setattr(training, "hardest_triplets", dies)
        with pytest.raises(KeyboardInterrupt):
            train_judge(TINY, SHORT, people, options(tmp_path / "cut", checkpoint_every=10))
    resumed = train_judge(TINY, SHORT, people, options(tmp_path / "cut", resume=True))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_the_learning_rate_warms_up_and_ends_near_nothing() -> None:
    config = JudgeTrainingConfig(iterations=100, warmup_iterations=4, learning_rate=0.1)
    # A quarter of the way up, where the cosine is still at its top; then half of the cosine.
    assert learning_rate(config, 0) == pytest.approx(0.1 / 4)
    assert learning_rate(config, 50) == pytest.approx(0.1 / 2)
    assert 0 < learning_rate(config, 99) < 0.1 / 1000


def test_too_few_people_are_refused(people: list[Picture], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"4 persons to learn from; .* at least the 12 of a"):
        train_judge(TINY, JudgeTrainingConfig(), people, options(tmp_path / "run"))


@pytest.mark.parametrize(
    "wrong", [{"iterations": 0}, {"persons": 1}, {"pictures": 1}, {"seed": -1}]
)
def test_impossible_schedules_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="iterations start at 1"):
        JudgeTrainingConfig(**wrong)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"height": 7}, "at least 8x8 pixels"),
        ({"channels": (4, 1)}, "at least 2 channels"),
        ({"blocks": (1,)}, r"\(1,\) of 2 stages; expected one number for each stage"),
        ({"blocks": (1, 0)}, "at least 1"),
    ],
)
def test_impossible_networks_are_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(TINY, **wrong)


def test_augmentation_changes_pictures_and_repeats() -> None:
    shown = pixels(4)
    one, again = (augmented(shown, np.random.default_rng(5)) for _ in range(2))
    assert one.shape == (4, 3, 32, 16)
    assert torch.equal(one, again)
    assert torch.isfinite(one).all()
    assert not torch.equal(one, augmented(shown, np.random.default_rng(6)))
    assert augmented(shown, np.random.default_rng(5), coarse=True).shape == (4, 3, 16, 8)
    levels = denormalize(one).numpy().reshape(4, -1)
    assert not (levels == shown.reshape(4, -1)).all(axis=1).any()


def test_pictures_of_another_size_are_resized_and_others_untouched() -> None:
    shown = pixels(2)
    assert resized(shown, 32, 16) is shown
    flat = np.full((1, 8, 8, 3), 77, np.uint8)
    assert (resized(flat, 32, 16) == 77).all()
    assert resized(flat, 32, 16).shape == (1, 32, 16, 3)
    with pytest.raises(JudgeError, match=r"float64 \(1, 8, 8, 3\); expected uint8"):
        resized(flat.astype(np.float64), 32, 16)  # pyright: ignore[reportArgumentType]


def saved(folder: Path, **card: Any) -> tuple[JudgeNetwork, str]:
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    network = JudgeNetwork(TINY).eval()
    return network, save_judge(folder, network, card=card)


def test_a_judge_comes_back_from_disk(tmp_path: Path) -> None:
    network, version = saved(tmp_path / "judge", data={"license": "CC0"})
    loaded = TrainedJudge.load(tmp_path / "judge", device="cpu")
    assert (loaded.name, loaded.version) == ("judge", version)
    assert (loaded.height, loaded.width) == (32, 16)
    embedded = loaded.embed(pixels(3))
    assert embedded.shape == (3, 8)
    assert np.linalg.norm(embedded, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    before = TrainedJudge(network, name="", version="", device="cpu").embed(pixels(3))
    assert embedded == pytest.approx(before, abs=5e-3)  # half precision
    # A mirrored picture is the same picture.
    assert loaded.embed(pixels(3)[:, :, ::-1]) == pytest.approx(embedded, abs=1e-5)
    card = json.loads((tmp_path / "judge" / "judge.json").read_text())
    assert card["data"] == {"license": "CC0"}


def test_rows_do_not_depend_on_their_batch(tmp_path: Path) -> None:
    saved(tmp_path / "judge")
    loaded = TrainedJudge.load(tmp_path / "judge", device="cpu")
    many = loaded.embed(pixels(70))
    assert many[66:67] == pytest.approx(loaded.embed(pixels(70)[66:67]), abs=1e-6)


def test_figures_are_added_to_the_card(tmp_path: Path) -> None:
    _, version = saved(tmp_path / "judge", metrics={"retrieval": {"a": 1}, "other": 2})
    update_judge_metrics(tmp_path / "judge", {"retrieval": {"b": 3}})
    card = json.loads((tmp_path / "judge" / "judge.json").read_text())
    assert card["metrics"] == {"retrieval": {"b": 3}, "other": 2}
    assert TrainedJudge.load(tmp_path / "judge", device="cpu").version == version


def test_what_is_no_judge_is_named(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match=r"is no judge: it has no judge\.json"):
        TrainedJudge.load(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(JudgeError, match="a checkpoint of DG-Net, whose own opinion"):
        TrainedJudge.load(tmp_path)


def test_a_damaged_judge_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "judge"
    saved(folder)
    card = json.loads((folder / "judge.json").read_text())
    for damage, complaint in (
        ({**card, "format": 2}, "has format 2"),
        ({**card, "network": {**card["network"], "channels": [4, 16]}}, "is damaged"),
        ({"format": 1}, "is damaged"),
    ):
        (folder / "judge.json").write_text(json.dumps(damage))
        with pytest.raises(JudgeError, match=complaint):
            TrainedJudge.load(folder)
    (folder / "judge.json").write_text(json.dumps(card))
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(JudgeError, match="not the file that judge"):
        TrainedJudge.load(folder)


def test_the_judge_that_ships_is_whole_and_small() -> None:
    judge = TrainedJudge.load(SHIPPED_JUDGE, device="cpu")
    assert (judge.height, judge.width) == (128, 64)
    assert sum(file.stat().st_size for file in SHIPPED_JUDGE.iterdir()) < 8 * 2**20
