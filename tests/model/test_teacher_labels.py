"""The five label policies for generated pictures, by hand."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from dgnet.model.appearance_encoder import Identification
from dgnet.model.teacher import LabelPolicy, apply_label_policy, soft_labels

SOFT = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]])
APPEARANCE = torch.tensor([0, 1])
STRUCTURE = torch.tensor([1, 2])

EXPECTED: dict[LabelPolicy, list[list[float]]] = {
    "soft": [[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]],
    "pseudo": [[0, 0, 1], [1, 0, 0]],
    "appearance": [[1, 0, 0], [0, 1, 0]],
    "uniform": [[1 / 3, 1 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3]],
    # Persons 0 and 1 keep 0.1 : 0.2, persons 1 and 2 keep 0.25 : 0.25.
    "two_labels": [[1 / 3, 2 / 3, 0], [0, 0.5, 0.5]],
}


@pytest.mark.parametrize("policy", EXPECTED)
def test_policies_answer_what_the_paper_says(policy: LabelPolicy) -> None:
    labels = apply_label_policy(policy, SOFT, APPEARANCE, STRUCTURE)
    torch.testing.assert_close(labels, torch.tensor(EXPECTED[policy], dtype=torch.float32))


def test_every_policy_is_tested() -> None:
    assert set(EXPECTED) == set(get_args(LabelPolicy))


def test_two_labels_of_one_person_are_that_person() -> None:
    same = torch.tensor([2, 2])
    labels = apply_label_policy("two_labels", SOFT, same, same)
    torch.testing.assert_close(labels, torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]))


def test_two_labels_are_halves_where_the_teacher_excludes_both() -> None:
    labels = apply_label_policy(
        "two_labels", torch.tensor([[1.0, 0, 0]]), torch.tensor([1]), torch.tensor([2])
    )
    torch.testing.assert_close(labels, torch.tensor([[0, 0.5, 0.5]]))


class LooksLeft(nn.Module):
    """Logits of two persons: 0 and the picture's left-most pixel."""

    def forward(self, images: Tensor) -> Identification:
        left = images[:, 0, 0, 0]
        return Identification(left[:, None], torch.stack([torch.zeros_like(left), left], dim=1))


def test_soft_labels_average_what_the_teacher_says_of_a_picture_and_its_mirror_image() -> None:
    image = torch.zeros(1, 3, 1, 2, requires_grad=True)
    with torch.no_grad():
        image[0, 0, 0] = torch.tensor([math.log(3), 0.0])
    labels = soft_labels(LooksLeft(), image)
    # (1/4, 3/4) and (1/2, 1/2).
    torch.testing.assert_close(labels, torch.tensor([[0.375, 0.625]]))
    assert not labels.requires_grad
