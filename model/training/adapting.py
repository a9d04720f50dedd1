"""What adaptation trains with: a finished DG-Net goes on to learn from somebody's own pictures.

Nobody knows the true composites of photographs. So their people are learned from by what is known
of them: another picture of the same person must give the same clothes (same-person reconstruction,
which teaches the look-up, too), and E_a's heads must tell them apart. Rendered truths go on beside
them as a share of every batch, so that the mask and the change of clothes are not forgotten. The
backbone of E_a stands still: the generator's codes are made of it. The teacher learns the same
persons on its own, from the backbone of the one before.

At the end the generator's weights go back halfway to those that it started from (Wortsman et al.,
2022, "Robust fine-tuning of zero-shot models"): on a world never seen that was better than either
end (docs/experiments.md).

Schedules are written for some hundred iterations and stretched over iterations or minutes.
"""

from __future__ import annotations

from copy import deepcopy

import torch

from dgnet.model.checkpoints import Checkpoint
from dgnet.model.config import NetworkConfig
from dgnet.model.dgnet import DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import JointConfig, LossWeights, TeacherConfig

TEACHER_SHARE = 0.25
"""Of the minutes, or of the iterations, that the teacher takes before DG-Net."""

WAY = 0.5
"""That the generator's weights go from those it started from to those it learned."""

ITERATIONS = 600
"""That the schedule is written for."""


def adapting_teacher(start: Teacher) -> TeacherConfig:
    """The teacher's schedule, which starts from a backbone that knows people."""
    return TeacherConfig(
        iterations=ITERATIONS,
        warmup_iterations=ITERATIONS // 20,
        milestone=ITERATIONS * 2 // 3,
        last_stride=start.last_stride,
        label_smoothing=0.1,
    )


def adapting_joint(network: NetworkConfig) -> JointConfig:
    """DG-Net's schedule: eight real pictures and eight true composites an iteration."""
    return JointConfig(
        iterations=ITERATIONS,
        batch_size=4,
        truth_batch_size=8,
        final_weights=LossWeights(
            same_person_reconstruction=0.5,
            truth=1.0,
            truth_inside=1.0,
            truth_mask=0.3,
            truth_colours=1.0,
            truth_features=1.0 if network.keep_scene else 0.0,
        ),
        # Reconstructions all through: an iteration with every loss costs five times as much.
        reconstruction_first=True,
        squared_first=False,
        warmup_start=ITERATIONS,
        appearance_learns="heads",
        appearance_batch_statistics=False,
        train_bn=False,
        merge_batches=True,
        random_erasing=0.0,
        generator_optimizer="muon",
        generator_learning_rate=3e-4,
        generator_momentum=0.9,
        detail_learning_rate=6e-4,
        head_learning_rate=0.005,
        clip_gradient=5.0,
        average=0.99,
        cosine=True,
        rate_warmup=20,
    )


def starting_teacher(start: Checkpoint) -> Teacher:
    """Whose backbone the new teacher starts from: E_a's where the checkpoint has no teacher."""
    if start.teacher is not None:
        return start.teacher
    teacher = Teacher(start.metadata.config, last_stride=1)
    backbone = start.networks.appearance_encoder.backbone
    teacher.backbone.load_state_dict(backbone.state_dict())
    return teacher


def part_of_the_way(start: DGNet, learned: DGNet, way: float = WAY) -> DGNet:
    """A copy of the learned networks whose generator's weights lie between those of both: 0 is the
    start's, 1 the learned ones.
    """
    networks = deepcopy(learned)
    for name, part in networks.generator_parts.items():
        before = start.generator_parts[name].state_dict()
        state = part.state_dict()
        part.load_state_dict(
            {
                key: torch.lerp(before[key].to(found), found, way)
                if found.is_floating_point()
                else found
                for key, found in state.items()
            }
        )
    return networks
