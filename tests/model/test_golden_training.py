"""One whole training step, in three forms, against the published losses, gradients and updates."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dgnet.model.data.pairs import PairBatch
from dgnet.model.training.config import JointConfig, LossWeights
from dgnet.model.training.draws import Draws
from dgnet.model.training.forward import Forward
from dgnet.model.training.micro_batches import Losses
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.step import JointStep, gradient_norm
from tests.model import golden

CASES = ("step_warm_encoder_again", "step_warm_encoder_fixed", "step_cold")
COLD = {
    "appearance_code_reconstruction": 0.0,
    "structure_code_reconstruction": 0.0,
    "cycle_reconstruction": 0.0,
    "primary": 0.0,
}
GENERATOR_PARTS = ("structure_encoder", "decoder", "style_mlps")


class Step:
    """A step of the recipe: dropout and erasing off, batch statistics in the teacher."""

    def __init__(self, case: str) -> None:
        networks = golden.networks()
        for layer in networks.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        config = JointConfig(batch_size=4, random_erasing=0.0)
        self.weights = replace(LossWeights(), **COLD) if case == "step_cold" else LossWeights()
        self.draws = Draws(
            encoder_learns=case != "step_warm_encoder_fixed", erasing=torch.Generator()
        )
        self.networks = networks
        self.step = JointStep(
            networks, golden.teacher(), joint_optimizers(networks, config), config
        )
        self.batch = PairBatch(
            images_a=golden.picture("x_a"),
            images_b=golden.picture("x_b"),
            positives_a=golden.picture("xp_a"),
            positives_b=golden.picture("xp_b"),
            labels_a=torch.tensor(golden.LABELS_A),
            labels_b=torch.tensor(golden.LABELS_B),
        )


@cache
def after(case: str) -> dict[str, Any]:
    """What one step of a case computes, in the golden file's words."""
    run = Step(case)
    before = {name: weight.detach().clone() for name, weight in run.networks.named_parameters()}
    losses = run.step(run.batch, run.weights, run.draws)

    def update_norm(*parts: str) -> float:
        squares = [
            (weight.detach() - before[name]).square().sum()
            for name, weight in run.networks.named_parameters()
            if name.startswith(parts)
        ]
        return float(torch.stack(squares).sum().sqrt())

    return {
        "losses": _published_losses(losses, run.weights),
        "discriminator": float(losses["discriminator"]),
        "gradient_norm": {
            "structure_encoder": float(gradient_norm(run.networks.structure_encoder)),
            "decoder": float(gradient_norm(run.networks.decoder)),
            "adain_mlps": float(gradient_norm(run.networks.style_mlps)),
            "appearance_encoder": float(gradient_norm(run.networks.appearance_encoder)),
        },
        "update_norm": {
            "gen": update_norm(*GENERATOR_PARTS),
            "id": update_norm("appearance_encoder"),
            "dis": update_norm("discriminator"),
        },
    }


def _published_losses(losses: Losses, weights: LossWeights) -> dict[str, float]:
    """The published file combines: the fine head's loss is part of `identity` and of `teacher`."""
    zero = torch.zeros(())
    named = {
        name: losses.get(name, zero)
        for name in (
            "adversarial",
            "self_reconstruction",
            "same_person_reconstruction",
            "appearance_code_reconstruction",
            "structure_code_reconstruction",
            "cycle_reconstruction",
            "identity_positive",
            "identity_generated",
            "total",
        )
    }
    named["identity"] = losses["identity"] + weights.fine * losses.get("fine_real", zero)
    named["teacher"] = losses.get("primary", zero) + weights.fine_ratio * losses.get("fine", zero)
    return {name: float(loss) for name, loss in named.items()}


def test_training_forward_pass_equals_the_published_numbers() -> None:
    run = Step("step_cold")
    with torch.no_grad():
        forward = run.step.forward(run.batch, run.weights, run.draws)
    for name, output in _published_outputs(forward).items():
        stored = golden.activations()[f"training.{name}"]
        statistics: dict[str, Any] = golden.numbers()["statistics"][f"training.{name}"]
        np.testing.assert_allclose(
            golden.stored_part(output),
            stored,
            rtol=1e-6,
            atol=2e-7 * statistics["absmax"],
            err_msg=name,
        )
        assert float(output.std(correction=0)) == pytest.approx(statistics["std"], rel=1e-9), name


def _published_outputs(forward: Forward) -> dict[str, Tensor]:
    def halves(name: str, both: Tensor) -> dict[str, Tensor]:
        first, second = both.chunk(2)
        return {f"{name}_a": first, f"{name}_b": second}

    def heads(head: str, logits: Tensor) -> dict[str, Tensor]:
        real, positives = logits.chunk(2)
        return halves(f"logits_{head}", real) | halves(f"logits_{head}_positive", positives)

    generated_on_b, generated_on_a = forward.generated.chunk(2)
    return {
        "swap_appearance_a_structure_b": generated_on_b,
        "swap_appearance_b_structure_a": generated_on_a,
        **halves("structure_code", forward.structure_codes),
        **halves("appearance_code", forward.appearance_codes),
        **halves("self_reconstruction", forward.self_reconstructions),
        **halves("same_person_reconstruction", forward.same_person_reconstructions),
        **heads("primary", forward.primary.logits),
        **heads("fine", forward.fine.logits),
    }


@pytest.mark.parametrize("case", CASES)
def test_generator_losses_equal_the_published_numbers(case: str) -> None:
    published = golden.numbers()["training_steps"][case]["generator_losses"]
    assert after(case)["losses"] == pytest.approx(published, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_discriminator_loss_equals_the_published_number(case: str) -> None:
    published = golden.numbers()["training_steps"][case]["discriminator_loss"]["loss_total"]
    assert after(case)["discriminator"] == pytest.approx(published, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("norm", ["gradient_norm", "update_norm"])
def test_gradients_and_updates_equal_the_published_norms(case: str, norm: str) -> None:
    published = golden.numbers()["training_steps"][case][norm]
    assert after(case)[norm] == pytest.approx(published, rel=1e-6)
