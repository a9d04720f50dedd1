"""Every network in evaluation mode against the published numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dgnet.model.checkpoints import Checkpoint, Metadata
from dgnet.model.dgnet import DGNet
from dgnet.model.predictor import Predictor
from dgnet.model.teacher import Teacher, apply_label_policy, soft_labels
from tests.model import golden

STORED_PRECISION = 2e-7
"""Activations are stored as float32: half a unit in its last place, of the largest value."""


@pytest.fixture(scope="module")
def outputs() -> dict[str, Tensor]:
    """All inference outputs that the golden file names."""
    with torch.no_grad():
        return _of_networks(golden.networks().eval()) | _of_teacher(golden.teacher().eval())


def _of_networks(networks: DGNet) -> dict[str, Tensor]:
    picture_a, picture_b = golden.picture("x_a"), golden.picture("x_b")
    structure_a = networks.structure_encoder(picture_a)
    appearance = networks.appearance_encoder(picture_a)
    structure_b = networks.structure_encoder(picture_b)
    scores = networks.discriminator(picture_a)
    return {
        "structure_code_a": structure_a,
        "appearance_code_a": appearance.codes,
        "logits_primary_a": appearance.primary.logits,
        "logits_fine_a": appearance.fine.logits,
        "self_reconstruction_a": networks.decode(appearance.codes, structure_a),
        "swap_appearance_a_structure_b": networks.decode(appearance.codes, structure_b),
        **{f"discriminator_a_scale{index}": score for index, score in enumerate(scores)},
    }


def _of_teacher(teacher: Teacher) -> dict[str, Tensor]:
    picture = golden.picture("x_a")
    soft = soft_labels(teacher, picture)
    appearance, structure = torch.tensor(golden.LABELS_A), torch.tensor(golden.LABELS_B)
    pooled = torch.nn.functional.adaptive_avg_pool2d(teacher.backbone(picture), (4, 1))
    return {
        "teacher_logits_a": teacher(picture).logits,
        "teacher_features_a": pooled.flatten(1),
        "teacher_soft_label_a": soft,
        "teacher_style1_label_a": apply_label_policy("pseudo", soft, appearance, structure),
        "teacher_style2_label_a": apply_label_policy("appearance", soft, appearance, structure),
        "teacher_style3_label_a": apply_label_policy("uniform", soft, appearance, structure),
        "teacher_style4_label_a": apply_label_policy("two_labels", soft, appearance, structure),
    }


NAMES = sorted(
    name.removeprefix("inference.")
    for name in golden.activations()
    if name.startswith("inference.") and name != "inference.embedding_a"
)


@pytest.mark.parametrize("name", NAMES)
def test_inference_equals_the_published_numbers(name: str, outputs: dict[str, Tensor]) -> None:
    output = outputs[name]
    stored = golden.activations()[f"inference.{name}"]
    statistics: dict[str, Any] = golden.numbers()["statistics"][f"inference.{name}"]
    assert list(output.shape) == statistics["shape"]
    np.testing.assert_allclose(
        golden.stored_part(output), stored, rtol=1e-6, atol=STORED_PRECISION * statistics["absmax"]
    )
    # Statistics are of the whole tensor; a uniform label was computed in float32 there.
    assert float(output.abs().max()) == pytest.approx(statistics["absmax"], rel=1e-8)
    assert float(output.std(correction=0)) == pytest.approx(statistics["std"], rel=1e-9, abs=1e-12)


def test_embedding_equals_the_published_one_up_to_the_weight_of_its_fine_half() -> None:
    networks = golden.networks()
    metadata = Metadata(config=networks.config, networks=tuple(dict(networks.named_children())))
    predictor = Predictor(
        Checkpoint(metadata=metadata, networks=networks, teacher=None),
        device="cpu",
        precision="fp32",
    )
    ours = predictor.embed_images(golden.picture("x_a"))  # (4, 1024), unit length
    primary, fine = ours.chunk(2, dim=1)
    # Published: both halves of unit length. Ours: the fine half times sqrt(0.5), the whole of unit
    # length.
    restored = torch.cat([primary, fine / 0.5**0.5], dim=1) * 1.5**0.5
    stored = golden.activations()["inference.embedding_a"]
    np.testing.assert_allclose(golden.stored_part(restored), stored, rtol=1e-6, atol=3e-8)
    np.testing.assert_allclose(ours.square().sum(dim=1), np.ones(4), rtol=1e-12)
