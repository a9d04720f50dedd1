"""Another weight of the fine half gives the embedding that the model would have made with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from dgnet.model.appearance_encoder import AppearanceEncoder
from dgnet.model.evaluation.retrieval.fine_weight import FineWeightError, with_fine_weight
from dgnet.model.inference import programs
from dgnet.model.inference.programs import retrieval_embeddings
from tests.model.tiny import HEIGHT, WIDTH, tiny_network


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 4.0])
def test_dot_products_weigh_the_cosines_of_both_halves(weight: float) -> None:
    # Halves at 60 and at 90 degrees; 0.5 is the weight that embeddings are made with.
    primary = np.array([[1, 0], [1 / 2, np.sqrt(3) / 2]])
    fine = np.array([[0, 1], [1, 0]])
    made = np.concatenate([primary, np.sqrt(0.5) * fine], axis=1) / np.sqrt(1.5)
    left, right = with_fine_weight(made, weight)
    assert left @ right == pytest.approx((1 / 2 + weight * 0) / (1 + weight))
    assert left @ left == pytest.approx(1)


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_reweighting_is_what_the_encoder_would_have_made(
    weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    encoder = AppearanceEncoder(tiny_network()).eval()
    images = torch.randn(3, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        made = retrieval_embeddings(encoder, images)
        monkeypatch.setattr(programs, "FINE_WEIGHT", weight)
        wanted = retrieval_embeddings(encoder, images)
    reweighted = torch.as_tensor(with_fine_weight(made.numpy(), weight))
    torch.testing.assert_close(reweighted, wanted, rtol=1e-4, atol=1e-6)
    primary = made[:, : made.shape[1] // 2]
    if weight == 0:
        zeros = torch.zeros_like(primary)
        torch.testing.assert_close(
            reweighted, torch.cat([functional.normalize(primary), zeros], dim=1)
        )


@pytest.mark.parametrize("weight", [-1.0, float("inf"), float("nan")])
def test_impossible_weights_are_refused(weight: float) -> None:
    with pytest.raises(FineWeightError, match="expected a number from 0 up"):
        with_fine_weight(np.ones((1, 2)), weight)


def test_embeddings_without_halves_are_refused() -> None:
    with pytest.raises(FineWeightError, match="embeddings have 3 values"):
        with_fine_weight(np.ones((1, 3)), 1)
