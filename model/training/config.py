"""Settings of a training run; frozen, because what changes during training is schedule state.

Defaults are the paper's (spec, "Losses of one step" and "Schedule"). `scaled` shortens a schedule
and moves every milestone and warm-up with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from torch import Tensor

from dgnet.model.config import ConfigError
from dgnet.model.losses import reconstruction_loss, squared_reconstruction_loss
from dgnet.model.teacher import LabelPolicy

GeneratorOptimizer = Literal["adam", "muon"]
LearningPart = Literal["everything", "heads"]
Ablation = Literal["both", "primary", "fine", "baseline"]


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weight of every loss at one iteration; names as in docs/paper-to-code.md."""

    adversarial: float = 1.0
    self_reconstruction: float = 5.0
    same_person_reconstruction: float = 5.0
    appearance_code_reconstruction: float = 1.0
    structure_code_reconstruction: float = 1.0
    cycle_reconstruction: float = 2.0
    identity: float = 1.0
    identity_positive: float = 1.0
    identity_generated: float = 0.5
    primary: float = 2.0
    truth: float = 10.0
    """Of composites whose truth is known; rendered people alone have them. Not in the paper."""
    truth_inside: float = 2.0
    """Of the same composites inside what the renderer changed, with the scene kept."""
    truth_mask: float = 1.0
    """Of the mask that keeps the scene."""
    truth_colours: float = 3.0
    """Of looked-up colors, before the decoder has touched them."""
    truth_features: float = 0.0
    """Of the distance of composites, with the scene kept, to the truths in ImageNet features of
    strides 2, 4 and 8: what is sharp differs there and hardly in colors. With `detail` alone."""
    truth_adversarial: float = 0.0
    """Of D's judgment of the same composites, with the scene kept, beside their truths, on the
    patches that changed: elsewhere both are equal. With `detail` alone."""
    squared_errors: bool = False
    """Compare pictures by squared instead of absolute differences; set by the schedule where
    reconstruction comes first."""
    truth_identity: float = 0.0
    """Of what E_a learns from the truths: the primary head whose clothes they show, the fine head
    whose body (section 3.2, with the true picture in the generated one's place)."""
    fine_ratio: float = 0.2
    """The fine-grained losses weigh this fraction of `primary` (on real pictures and on generated
    ones) or of `truth_identity`.
    """
    fine_alone: bool = False
    """Generated pictures teach the fine head alone; `primary` then only weighs its losses."""
    gradient_penalty: float = 0.01

    @property
    def fine(self) -> float:
        """Weight of the fine head's losses."""
        return self.fine_ratio * self.primary

    @property
    def truth_fine(self) -> float:
        """Weight of the fine head's loss on truths."""
        return self.fine_ratio * self.truth_identity

    @property
    def fine_real(self) -> float:
        """Weight of the fine head's loss on real pictures: as on those it is to mine."""
        return max(self.fine, self.truth_fine)

    @property
    def use_generated(self) -> bool:
        """Whether any loss looks at pictures with one person's appearance and another's
        structure.
        """
        return any(
            (
                self.adversarial,
                self.appearance_code_reconstruction,
                self.structure_code_reconstruction,
                self.cycle_reconstruction,
                self.identity_generated,
                self.primary,
            )
        )

    @property
    def use_pairs(self) -> bool:
        """Whether any loss looks at the pairs of pictures."""
        return (
            self.use_generated
            or self.use_identities
            or bool(self.self_reconstruction or self.same_person_reconstruction)
        )

    @property
    def comparison(self) -> Callable[[Tensor, Tensor], Tensor]:
        """How generated pictures are compared with the real ones."""
        return squared_reconstruction_loss if self.squared_errors else reconstruction_loss

    @property
    def use_identities(self) -> bool:
        """Whether the appearance encoder learns."""
        return any((self.identity, self.identity_positive, self.primary, self.truth_identity))


@dataclass(frozen=True, kw_only=True)
class JointConfig:
    """Joint training of DG-Net from a trained teacher."""

    iterations: int = 100_000
    batch_size: int = 8
    """Pictures in each of the two batches of a step."""
    seed: int = 0
    final_weights: LossWeights = field(default_factory=LossWeights)
    """Weights after the warm-ups."""
    warmup_start: int = 30_000
    """Iteration after which the code and cycle reconstructions and the teacher's loss come in."""
    warmup_rate: float = 0.0005
    """Growth of those four weights per iteration, up to `final_weights`."""
    squared_first: bool = True
    """Squared errors in that first phase; False compares absolute ones from the start."""
    reconstruction_first: bool = False
    """Until `warmup_start` train the same-person reconstruction alone (and the true composites,
    where there are any), on a still appearance encoder (but for its heads, where they alone learn)
    and with squared errors, in which a wrong color outweighs a blurred edge; then everything else
    comes in with the ramp. For short schedules that start from a trained encoder: such iterations
    cost a fifth, and the identity loss on generated pictures, over 20 nats at first, does not drown
    the reconstructions."""
    appearance_learns: LearningPart = "everything"
    """"heads" leaves the backbone of E_a as it started, with its running statistics: codes are then
    the same all through a short schedule, and the heads get used to the maximum pooling."""
    truth_batch_size: int = 8
    """Triples of a step whose true composite is known, where the run is given any."""
    accumulate: int = 1
    """Equal micro-batches that a step is computed in, one after the other, to save memory: losses
    and gradients are means over them. Batch normalization sees a micro-batch at a time."""
    generator_optimizer: GeneratorOptimizer = "adam"
    """Of E_s, G and the MLPs. "muon" gives their matrices to Muon and the rest to Adam, at the same
    rates: for short schedules, where it learns about twice as fast."""
    generator_learning_rate: float = 1e-4
    generator_momentum: float = 0.0
    """The first beta of the generator's Adam."""
    gentle_styles: bool = False
    """Let AdaIN scales start around 1 and shifts around 0 instead of where Kaiming weights put
    them.
    """
    style_learning_rate: float | None = None
    """Of the MLPs that make AdaIN parameters; None is the generator's. With a larger generator rate
    theirs must stay small: one step of Adam moves all their outputs together, and scales that run
    away drown the appearance."""
    discriminator_learning_rate: float = 1e-4
    appearance_learning_rate: float = 0.002
    head_learning_rate: float = 0.02
    detail_learning_rate: float | None = None
    """Of the parts that the preset `detail` adds; None is the generator's."""
    clip_gradient: float | None = None
    """Largest norm of the generator's gradients together; None lets them be."""
    average: float = 0.0
    """Share of the past in a running average of the generator's weights, taken at every step; the
    checkpoint then holds the average. 0 keeps none."""
    cosine: bool = False
    """Learning rates fall by half a cosine to a fiftieth, instead of at the milestones."""
    rate_warmup: int = 0
    """Iterations over which all learning rates grow from 0."""
    milestones: tuple[int, ...] = (60_000, 90_000, 105_000)
    """Iterations at which every learning rate falls by `decay`."""
    decay: float = 0.1
    weight_decay: float = 5e-4
    label_policy: LabelPolicy = "soft"
    appearance_batch_statistics: bool = True
    """False lets the backbone of E_a normalize by the running statistics it starts with: small
    batches then give the codes that inference will see. For runs that start from a trained one."""
    train_bn: bool = True
    """The teacher and the frozen copy of E_a normalize by the statistics of each batch."""
    detach_appearance_code: bool = True
    """False is the paper's form: code and cycle losses reach the generated picture through E_a'."""
    merge_batches: bool = False
    """One pass of E_a and of the teacher over all batches of a step: faster, but their batch-norm
    statistics then mix the batches, which the reference keeps apart."""
    random_erasing: float = 0.5
    """Probability with which the identity losses on real pictures see an erased patch."""

    ablation: Ablation = "both"
    """What E_a learns from generated pictures: primary and fine features, one of them, or nothing;
    "baseline" makes none and trains E_a alone, on real pictures. Set by `ablated`."""

    def __post_init__(self) -> None:
        _require_work(self.iterations, self.batch_size)
        require_equal_shares(self.batch_size, self.accumulate)
        if self.generator_optimizer not in get_args(GeneratorOptimizer):
            raise ConfigError(
                f"generator_optimizer is {self.generator_optimizer!r}; expected one of "
                f"{', '.join(get_args(GeneratorOptimizer))}"
            )
        if self.appearance_learns not in get_args(LearningPart):
            raise ConfigError(
                f"appearance_learns is {self.appearance_learns!r}; expected one of "
                f"{', '.join(get_args(LearningPart))}"
            )
        if self.final_weights.truth_adversarial and self.accumulate > 1:
            raise ConfigError(
                f"truth_adversarial is set and accumulate is {self.accumulate}; D would step once "
                "for each micro-batch: accumulate = 1 is needed"
            )

    @property
    def backbone_batch_statistics(self) -> bool:
        """Whether the backbone of E_a normalizes by its batches while it is trained."""
        return self.appearance_batch_statistics and self.appearance_learns != "heads"

    def ablated(self, ablation: Ablation) -> JointConfig:
        """The same run with less for E_a to learn from generated pictures (paper, table 4)."""
        weights = self.final_weights
        if ablation == "primary":
            weights = replace(weights, fine_ratio=0.0)
        elif ablation == "fine":
            weights = replace(weights, fine_alone=True)
        elif ablation == "baseline":
            weights = replace(weights, primary=0.0)
        return replace(self, final_weights=weights, ablation=ablation)

    def scaled(self, iterations: int) -> JointConfig:
        """The same schedule in another number of iterations: warm-ups and milestones move along."""
        factor = iterations / self.iterations
        return replace(
            self,
            iterations=iterations,
            warmup_start=round(self.warmup_start * factor),
            warmup_rate=self.warmup_rate / factor,
            milestones=tuple(round(milestone * factor) for milestone in self.milestones),
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-safe form for the run folder and the checkpoint."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """The usual Re-ID baseline: one identity head on an average-pooled backbone."""

    iterations: int = 24_000
    """60 epochs of Market-1501's 12,936 pictures at batch 32."""
    batch_size: int = 32
    accumulate: int = 1
    """Equal micro-batches that a step is computed in, as in joint training."""
    seed: int = 0
    head_learning_rate: float = 0.05
    backbone_learning_rate: float = 0.005
    warmup_iterations: int = 2_000
    """Learning rates grow linearly from a tenth over this many iterations."""
    milestone: int = 16_000
    """Iteration at which both learning rates fall by 10 (epoch 40 of 60)."""
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    random_erasing: float = 0.0
    last_stride: int = 2
    """Stride of the last stage of the backbone."""

    def __post_init__(self) -> None:
        _require_work(self.iterations, self.batch_size)
        require_equal_shares(self.batch_size, self.accumulate)
        if self.last_stride not in (1, 2):
            raise ConfigError(f"last_stride is {self.last_stride}; expected 1 or 2")

    def scaled(self, iterations: int) -> TeacherConfig:
        """The same schedule in another number of iterations: warm-up and milestone move along."""
        factor = iterations / self.iterations
        return replace(
            self,
            iterations=iterations,
            warmup_iterations=round(self.warmup_iterations * factor),
            milestone=round(self.milestone * factor),
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-safe form for the run folder and the checkpoint."""
        return asdict(self)


def require_equal_shares(
    batch_size: int, accumulate: int, *, processes: int = 1, name: str = "batch_size"
) -> None:
    """Raise where a batch cannot be cut into equal micro-batches of at least two pictures."""
    shares = accumulate * processes
    if accumulate < 1 or batch_size % shares or batch_size // shares < 2:
        raise ConfigError(
            f"{name} is {batch_size}, of all {processes} processes together, and accumulate is "
            f"{accumulate}; expected a multiple of processes x accumulate, at least twice as "
            "large (batch normalization needs two pictures)"
        )


def _require_work(iterations: int, batch_size: int) -> None:
    if iterations < 1 or batch_size < 2:
        raise ConfigError(
            f"iterations is {iterations} and batch_size {batch_size}; expected at "
            "least 1 and 2 (batch normalization needs two pictures)"
        )
