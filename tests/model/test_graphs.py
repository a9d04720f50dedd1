"""What `torch.compile` makes of the networks: one graph each, so that a card gets one launch for
all of it. Counted on the CPU, where Python is traced in the same way; says nothing of speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo import explain, reset  # pyright: ignore[reportUnknownVariableType]

from dgnet.model.config import NetworkConfig
from dgnet.model.dgnet import DGNet
from dgnet.model.inference.prepare import inference_copy
from dgnet.model.inference.programs import programs_of
from tests.model.tiny import HEIGHT, WIDTH, tiny_detail, tiny_network

pytestmark = pytest.mark.slow

NETWORKS = pytest.mark.parametrize("network", [tiny_network, tiny_detail])


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    reset()
    yield
    reset()


def graphs(function: Callable[..., Any], *arguments: Tensor) -> tuple[int, list[str]]:
    """How many, and why it is more than one."""
    explained: Any = explain(function)(*arguments)
    return explained.graph_count, [str(reason) for reason in explained.break_reasons]


@NETWORKS
def test_inference_is_one_graph(network: Callable[[], NetworkConfig]) -> None:
    ours = inference_copy(DGNet(network()), torch.device("cpu"))
    images = torch.rand(2, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        appearance, structure = ours.appearance(images), ours.structure(images)

        compose, embed = (programs_of(ours)[name] for name in ("compose", "embed"))
        kept = torch.tensor([True, False])

        def swap(images: Tensor) -> Tensor:
            return ours.compose(ours.appearance(images), ours.structure(images)).generated

        assert graphs(compose, kept, *appearance.tensors(), *structure.tensors()) == (1, [])
        assert graphs(swap, images) == (1, [])

        assert graphs(embed, images) == (1, [])


@NETWORKS
def test_each_network_of_a_training_step_is_one_graph(
    network: Callable[[], NetworkConfig],
) -> None:
    networks = DGNet(network())
    images = torch.rand(2, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        style, maps = networks.appearance(images).style, networks.structure(images).maps
    for part in (
        networks.appearance_encoder.backbone, networks.structure_encoder, networks.discriminator,
    ):  # fmt: skip
        assert graphs(part, images) == (1, [])
    assert graphs(networks.decoder, maps, style) == (1, [])
