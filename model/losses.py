"""One pure function per loss of DG-Net (paper, section 3; its symbol is named at each).

Every function returns a scalar, the mean over its batch. The paper sums over both directions of a
pair of batches; callers that put both directions (of equal size) into one batch double the mean.

Legend: B batch, I identities. Targets never carry gradients: they are detached here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def reconstruction_loss(generated: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference: of pictures (L_recon^img1, L_recon^img2, the cycle) and of codes
    (L_recon^code1, L_recon^code2).
    """
    return (generated - target.detach()).abs().mean()


def squared_reconstruction_loss(generated: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference: not the paper's, for the first phase of a short schedule."""
    return (generated - target.detach()).square().mean()


def inside_loss(generated: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Absolute difference (B, 3, H, W) inside a mask (B, 1, H, W), per masked value of the batch:
    not the paper's, for what a renderer knows to have changed.
    """
    error = (generated.float() - target.detach().float()).abs()
    return (error * mask).sum() / (error.shape[1] * mask.sum() + 1)


def mask_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross entropy of what a swap changes (not in the paper)."""
    return functional.binary_cross_entropy_with_logits(logits.float(), mask)


def identity_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy (L_id^s, L_id^c) of logits (B, I) against identity indices (B,)."""
    return functional.cross_entropy(logits, labels)


def primary_loss(logits: Tensor, soft_labels: Tensor) -> Tensor:
    """KL(teacher || student) (L_prim): summed over classes, mean over the batch, both (B, I)."""
    return functional.kl_div(
        functional.log_softmax(logits, dim=1), soft_labels.detach(), reduction="batchmean"
    )


def fine_loss(logits: Tensor, structure_labels: Tensor) -> Tensor:
    """Cross entropy against the person who gave the *structure* (L_fine)."""
    return functional.cross_entropy(logits, structure_labels)


def generator_adversarial_loss(
    fake_scores: Sequence[Tensor], inside: Tensor | None = None
) -> Tensor:
    """Least squares, doubled, summed over scales (L_adv, in the released form); over the patches
    inside a mask (B, 1, H, W) alone, if there is one.
    """
    return torch.stack(
        [2 * _mean_inside((scores - 1).square(), inside) for scores in fake_scores]
    ).sum()


def discriminator_loss(
    fake_scores: Sequence[Tensor], real_scores: Sequence[Tensor], inside: Tensor | None = None
) -> Tensor:
    """Least squares towards 0 for generated and 1 for real pictures, summed over scales (L_adv);
    `inside` as above.
    """
    return torch.stack(
        [
            _mean_inside(fake.square(), inside) + _mean_inside((real - 1).square(), inside)
            for fake, real in zip(fake_scores, real_scores, strict=True)
        ]
    ).sum()


def _mean_inside(patches: Tensor, inside: Tensor | None) -> Tensor:
    """Of patches (B, 1, h, w), each as far as it lies in the mask."""
    if inside is None:
        return patches.mean()
    share = functional.adaptive_avg_pool2d(inside, (patches.shape[2], patches.shape[3]))
    return (share * patches).sum() / (share.sum() + 1)


def gradient_penalty(real_images: Tensor, real_scores: Sequence[Tensor]) -> Tensor:
    """Mean squared norm of the gradient of sum(D(real)) at the real picture, summed over scales.

    `real_images` (B, 3, H, W) must require gradients; the caller weights the result.
    """
    penalties: list[Tensor] = []
    for scores in real_scores:
        (gradient,) = torch.autograd.grad(scores.sum(), real_images, create_graph=True)
        penalties.append(squared_norms(gradient))
    return torch.stack(penalties).sum()


def squared_norms(gradient: Tensor) -> Tensor:
    """Mean over the pictures of the squared norm of (B, ...)."""
    return gradient.flatten(1).square().sum(1).mean()
