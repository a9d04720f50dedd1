"""A training step on a card: losses as on the CPU, the same twice, compiled as plain."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.devices import placed
from dgnet.model.dgnet import DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import JointConfig, LossWeights
from dgnet.model.training.draws import draw
from dgnet.model.training.execution import Execution
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.step import JointStep
from tests.model.tiny import HEIGHT, WIDTH, tiny_network, write_people

# Warnings of whichever torch is there are no failures of ours.
pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]

STEPS = 2


def losses(
    folder: Path,
    device: str,
    *,
    autocast: torch.dtype | None = None,
    backend: str | None = None,
    **config: object,
) -> dict[str, float]:
    """Of the last of a few steps, from the same weights."""
    torch.manual_seed(1)  # pyright: ignore[reportUnknownMemberType]
    network, settings = tiny_network(), JointConfig(batch_size=2, **config)  # pyright: ignore[reportArgumentType]
    networks, teacher = DGNet(network), Teacher(network)
    for layer in [*networks.modules(), *teacher.modules()]:
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0  # drawn on the device, so another draw on each
    there = torch.device(device)
    networks, teacher = placed(networks, there), placed(teacher, there)
    optimizers = joint_optimizers(networks, settings)
    step = JointStep(networks, teacher, optimizers, settings, autocast=autocast)
    execution = Execution(compile_backend=backend)
    execution.compile(step.compilable())
    pictures = TrainingPictures.load(folder, HEIGHT, WIDTH, device=there)
    taken: dict[str, torch.Tensor] = {}
    for iteration in range(STEPS):
        batch = pictures.pair_batch(iteration, 2, 0)
        taken = step(batch, LossWeights(), draw(0, iteration))
    return {name: float(loss) for name, loss in taken.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_people(tmp_path / "people")


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_losses_are_those_of_the_cpu(folder: Path, device: str, optimizer: str) -> None:
    here = losses(folder, "cpu", generator_optimizer=optimizer)
    there = losses(folder, device, generator_optimizer=optimizer)
    assert there == pytest.approx(here, rel=0.02)


def test_bf16_is_near(folder: Path, device: str) -> None:
    plain, coarse = losses(folder, device), losses(folder, device, autocast=torch.bfloat16)
    assert coarse == pytest.approx(plain, rel=0.2, abs=0.02)


def test_compiled_networks_learn_as_plain_ones(folder: Path, device: str) -> None:
    backend = "eager" if device == "cpu" else "inductor"
    compiled = losses(folder, device, backend=backend)
    assert compiled == pytest.approx(losses(folder, device), rel=0.02)


def test_pictures_are_kept_on_the_card(folder: Path, card: torch.device) -> None:
    pictures = TrainingPictures.load(folder, HEIGHT, WIDTH, device=card)
    assert pictures.pair_batch(0, 2, 0).images_a.device.type == "cuda"
