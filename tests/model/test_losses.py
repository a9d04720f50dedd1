"""Every loss against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from dgnet.model.losses import (
    discriminator_loss,
    fine_loss,
    generator_adversarial_loss,
    gradient_penalty,
    identity_loss,
    primary_loss,
    reconstruction_loss,
)

LN3 = math.log(3)  # logits (0, ln 3) are the probabilities (1/4, 3/4)


def test_reconstruction_is_the_mean_absolute_difference() -> None:
    generated = torch.tensor([[0.0, 2.0], [4.0, -2.0]])
    # Differences 1, 1, 3, 3.
    assert reconstruction_loss(generated, torch.ones(2, 2)).item() == 2


def test_reconstruction_never_pulls_its_target() -> None:
    generated = torch.zeros(2, requires_grad=True)
    target = torch.ones(2, requires_grad=True)
    reconstruction_loss(generated, target).backward()  # pyright: ignore[reportUnknownMemberType]
    assert target.grad is None
    assert generated.grad is not None
    torch.testing.assert_close(generated.grad, torch.tensor([-0.5, -0.5]))


def test_identity_is_the_mean_cross_entropy() -> None:
    logits = torch.tensor([[0.0, LN3], [0.0, LN3]])
    expected = (-math.log(3 / 4) - math.log(1 / 4)) / 2
    assert identity_loss(logits, torch.tensor([1, 0])).item() == pytest.approx(expected)


def test_fine_is_the_cross_entropy_against_the_person_who_gave_the_structure() -> None:
    logits = torch.tensor([[0.0, LN3]])
    assert fine_loss(logits, torch.tensor([0])).item() == pytest.approx(math.log(4))


def test_primary_is_the_divergence_from_the_teacher_averaged_over_the_batch() -> None:
    logits = torch.tensor([[0.0, LN3], [0.0, LN3]])
    soft = torch.tensor([[0.5, 0.5], [0.25, 0.75]], requires_grad=True)
    # Row 1: 1/2 ln(1/2 : 1/4) + 1/2 ln(1/2 : 3/4); row 2 agrees with the teacher.
    expected = (0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2
    loss = primary_loss(logits, soft)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert not loss.requires_grad


def test_generator_wants_ones_and_sums_over_scales() -> None:
    scores = [torch.tensor([0.0, 1.0]), torch.tensor([3.0])]
    # 2 * (1 + 0) / 2 and 2 * 4.
    assert generator_adversarial_loss(scores).item() == 9


def test_discriminator_wants_zeros_for_generated_and_ones_for_real_pictures() -> None:
    fake = [torch.tensor([1.0, 1.0]), torch.tensor([0.5])]
    real = [torch.tensor([0.0, 2.0]), torch.tensor([1.0])]
    # First scale 1 + 1, second 1/4 + 0.
    assert discriminator_loss(fake, real).item() == 2.25


def test_inside_a_mask_only_its_patches_are_judged() -> None:
    scores = [torch.tensor([[[[0.0, 7.0]]]]), torch.tensor([[[[3.0]]]])]
    inside = torch.tensor([[[[1.0, 1.0, 0.0, 0.0]]]])
    # The first patch lies inside, the second outside, the coarse one by half; each sum of shares
    # has 1 more, which keeps from 0: 2 (1 * 1) / 2 and 2 (1/2 * 4) / 1.5.
    expected = 1 + 4 / 1.5
    assert generator_adversarial_loss(scores, inside).item() == pytest.approx(expected)
    # Generated 0 / 2 and (1/2 * 9) / 1.5, real the same scores: 1 / 2 and (1/2 * 4) / 1.5.
    expected = 3 + 0.5 + 2 / 1.5
    assert discriminator_loss(scores, scores, inside).item() == pytest.approx(expected)


def test_gradient_penalty_is_the_mean_squared_norm_summed_over_scales() -> None:
    images = torch.tensor([[[[3.0, 4.0]]], [[[1.0, 0.0]]]], requires_grad=True)
    scores = [images.square(), images.sum(dim=3)]
    # Gradients 2x: norms 100 and 4, mean 52. Gradients 1: norms 2 and 2, mean 2.
    penalty = gradient_penalty(images, scores)
    assert penalty.item() == 54
    assert penalty.requires_grad  # D learns from it
