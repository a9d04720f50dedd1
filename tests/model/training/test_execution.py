"""Compiled networks: the same losses, and a clear word where they cannot be compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo import (
    register_backend,  # pyright: ignore[reportUnknownVariableType]
    reset,
)

from dgnet.model.config import ConfigError
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.dgnet import DGNet
from dgnet.model.discriminator import Discriminator
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import JointConfig, TeacherConfig
from dgnet.model.training.discriminator_losses import DiscriminatorLosses
from dgnet.model.training.draws import draw
from dgnet.model.training.execution import CompilationError, Execution
from dgnet.model.training.micro_batches import Losses
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.run import RunOptions
from dgnet.model.training.step import JointStep
from dgnet.model.training.teacher import train_teacher
from dgnet.model.training.training_run import TrainingRun
from tests.model.tiny import HEIGHT, WIDTH, tiny_network, write_people

compiled_graphs: list[int] = []


@register_backend
def counting(graph: Any, inputs: Any) -> Callable[..., Any]:
    """Runs what it is given as it is."""
    compiled_graphs.append(len(inputs))
    return graph.forward


@register_backend
def refusing(graph: Any, inputs: Any) -> Callable[..., Any]:
    """Stands for a machine without a compiler."""
    raise RuntimeError("no compiler here")


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    reset()
    compiled_graphs.clear()


@pytest.fixture
def pictures(tmp_path: Path) -> TrainingPictures:
    return TrainingPictures.load(write_people(tmp_path / "people"), HEIGHT, WIDTH)


def a_step(pictures: TrainingPictures, execution: Execution) -> Losses:
    torch.manual_seed(1)  # pyright: ignore[reportUnknownMemberType]
    networks = DGNet(tiny_network(backbone="resnet18"))
    config = JointConfig(batch_size=2, merge_batches=True)  # fewer shapes to compile for
    step = JointStep(networks, Teacher(networks.config), joint_optimizers(networks, config), config)
    execution.compile(step.compilable())
    return step(pictures.pair_batch(0, 2, 5), config.final_weights, draw(5, 0))


# Of torch's own tracing, which looks for gradients everywhere.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_a_compiled_step_has_the_same_losses(pictures: TrainingPictures) -> None:
    expected = a_step(pictures, Execution())
    assert compiled_graphs == []
    found = a_step(pictures, Execution(compile_backend="counting"))
    # E_a, E_s, G, their twins, D, D's twin and the teacher, each at least once.
    assert len(compiled_graphs) >= 8
    assert {name: float(loss) for name, loss in found.items()} == pytest.approx(
        {name: float(loss) for name, loss in expected.items()}, rel=1e-5
    )


def test_compiled_the_discriminator_learns_from_the_same_penalty() -> None:
    config = tiny_network()
    draws = torch.Generator().manual_seed(3)
    real, generated = (torch.randn(3, 3, HEIGHT, WIDTH, generator=draws) for _ in range(2))
    found: list[list[torch.Tensor]] = []
    for backend in (None, "counting"):
        torch.manual_seed(2)  # pyright: ignore[reportUnknownMemberType]
        discriminator = Discriminator(config)
        losses = DiscriminatorLosses(discriminator)
        Execution(compile_backend=backend).compile([losses])
        loss, penalty = losses(real.clone(), generated)
        (loss + 10 * penalty).backward()
        gradients = [
            weight.grad for weight in discriminator.parameters() if weight.grad is not None
        ]
        found.append([loss.detach(), penalty.detach(), *gradients])
    assert len(compiled_graphs) == 1
    eager, compiled = found
    assert eager[1] > 0
    for expected, ours in zip(eager, compiled, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


def test_networks_that_cannot_be_compiled_end_the_run_with_what_to_do(
    pictures: TrainingPictures, tmp_path: Path
) -> None:
    with pytest.raises(CompilationError, match="train without compiling"):
        train_teacher(
            tiny_network(),
            TeacherConfig(iterations=1, batch_size=2),
            TrainingRun(
                pictures=pictures,
                options=RunOptions(directory=tmp_path / "run", progress=False),
                device=torch.device("cpu"),
                execution=Execution(compile_backend="refusing"),
            ),
        )


def test_compiling_and_recomputing_are_not_asked_for_together() -> None:
    with pytest.raises(ConfigError, match="expected one of them"):
        Execution(compile_backend="inductor", recompute=True)


def test_names_of_weights_stay() -> None:
    network = nn.Linear(1, 1)
    Execution(compile_backend="counting").compile([network])
    assert list(network.state_dict()) == ["weight", "bias"]
