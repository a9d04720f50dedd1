"""One iteration of joint training: forward, discriminator update, generator update (paper, section
3.3).

Here they follow each other; what each of them does is told in `forward`, `adversary`,
`generator_losses`, `identity` and `truth`. What the loop owns (schedule, data, checkpoints) is not
here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dgnet.model.data.pairs import PairBatch
from dgnet.model.data.truth_batches import TruthBatch
from dgnet.model.dgnet import DGNet
from dgnet.model.imagenet_features import ImageNetFeatures
from dgnet.model.losses import generator_adversarial_loss
from dgnet.model.teacher import Teacher
from dgnet.model.training.adversary import generated_ahead, judged, update_discriminator
from dgnet.model.training.config import JointConfig, LossWeights
from dgnet.model.training.discriminator_losses import DiscriminatorLosses
from dgnet.model.training.draws import Draws
from dgnet.model.training.forward import Forward, forward_pass
from dgnet.model.training.generator_losses import generator_losses
from dgnet.model.training.micro_batches import Losses, MicroBatch, learn, micro_batches
from dgnet.model.training.optimizers import JointOptimizers
from dgnet.model.training.parts import StepParts, Twins
from dgnet.model.training.truth import truth_losses
from dgnet.model.training.workers import Workers


class JointStep:
    """Runs iterations on networks that already live on their device."""

    def __init__(
        self,
        networks: DGNet,
        teacher: Teacher,
        optimizers: JointOptimizers,
        config: JointConfig,
        *,
        autocast: torch.dtype | None = None,
        workers: Workers | None = None,
        features: ImageNetFeatures | None = None,
    ) -> None:
        """`workers` each compute their share of every batch; `features` are for
        `truth_features`.
        """
        self.networks = networks
        self.optimizers = optimizers
        self.parts = StepParts(
            networks=networks,
            twins=Twins.of(networks, teacher, config),
            discriminator_losses=DiscriminatorLosses(networks.discriminator),
            optimizers=optimizers,
            config=config,
            autocast=autocast,
            workers=workers or Workers(),
            features=features,
        )
        self.start_learning()

    def start_learning(self) -> None:
        """Put the networks into training mode: at the start, and after somebody looked at them."""
        config = self.parts.config
        self.networks.train()
        backbone = self.networks.appearance_encoder.backbone
        backbone.requires_grad_(config.appearance_learns != "heads")
        if not config.backbone_batch_statistics:
            backbone.eval()

    def compilable(self) -> list[nn.Module]:
        """Everything that costs time."""
        networks, twins = self.networks, self.parts.twins
        return [
            networks.appearance_encoder.backbone,
            networks.structure_encoder,
            networks.decoder,
            twins.teacher.backbone,
            twins.appearance.backbone,
            twins.ahead_appearance.backbone,
            twins.still_appearance.backbone,
            twins.structure,
            twins.discriminator,
            self.parts.discriminator_losses,
        ]

    def __call__(
        self,
        batch: PairBatch,
        weights: LossWeights,
        draws: Draws,
        truth: TruthBatch | None = None,
    ) -> Losses:
        """Update every network once; returns the losses of the step."""
        parts, networks = self.parts, self.networks
        micro = micro_batches(batch, draws, truth, parts.config.accumulate)
        adversary: Losses = {}

        def judged_beside(truths: Tensor, composites: Tensor, changed: Tensor) -> Tensor:
            pictures = ((truths, composites.detach()),)
            found = update_discriminator(parts, pictures, weights, inside=changed)
            adversary.update({f"truth_{name}": loss for name, loss in found.items()})
            return generator_adversarial_loss(parts.twins.discriminator(composites), changed)

        if weights.adversarial and len(micro) > 1:
            adversary = update_discriminator(
                parts, (generated_ahead(parts, part.batch, weights) for part in micro), weights
            )

        def losses_of(part: MicroBatch) -> Losses:
            losses: Losses = {}
            if weights.use_pairs:
                forward = self.forward(part.batch, weights, part.draws)
                if weights.adversarial and len(micro) == 1:
                    pictures = (forward.real.detach(), judged(forward).detach())
                    adversary.update(update_discriminator(parts, (pictures,), weights))
                losses |= generator_losses(parts, forward, part.batch, weights, part.draws)
            if part.truth is not None:
                losses |= truth_losses(
                    networks,
                    part.truth,
                    weights,
                    codes_from=parts.twins.appearance,
                    taps_from=parts.twins.still_appearance,
                    features=parts.features,
                    adversary=judged_beside,
                )
            return losses

        found = learn(
            parts,
            micro,
            losses_of,
            weights,
            [*self.optimizers.of_generator(), self.optimizers.appearance],
            [networks.appearance_encoder, *networks.generator_parts.values()],
        )
        return {**found, **adversary}

    def forward(self, batch: PairBatch, weights: LossWeights, draws: Draws) -> Forward:
        """Encode, decode in all six combinations, identify the real pictures."""
        return forward_pass(self.parts, batch, weights, draws)


def gradient_norm(network: nn.Module) -> Tensor:
    """L2 norm over all gradients of a network, for logs and parity tests."""
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    return torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
