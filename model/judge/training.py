"""Training of a judge from nothing, on the pictures of many persons.

Identification with label smoothing and the batch-hard triplet loss (Hermans et al., 2017, with its
soft margin), AdamW, one cosine from warm-up to nothing. At first pictures have half their size,
which costs a quarter. Batches are drawn from seed and iteration alone.

B pictures of P persons a batch, D embedding values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dgnet.arrays import Integers
from dgnet.model.data.batches import decode_pictures
from dgnet.model.data.persons import PersonIndex
from dgnet.model.data.picture import DatasetError, Picture
from dgnet.model.judge.augmentation import augmented
from dgnet.model.judge.network import JudgeConfig, JudgeNetwork
from dgnet.model.training.pace import Moment
from dgnet.model.training.run import Iterations, RunOptions, run_iterations
from dgnet.model.training.state import TrainingState


@dataclass(frozen=True, kw_only=True)
class JudgeTrainingConfig:
    """How a judge is trained."""

    iterations: int = 12000
    coarse_iterations: int = 7000
    """The first ones, on pictures of half the size."""
    persons: int = 12
    """In a batch."""
    pictures: int = 4
    """Of each of them; drawn twice where a person has fewer."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup_iterations: int = 200
    label_smoothing: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.persons < 2 or self.pictures < 2 or self.seed < 0:
            raise ValueError(
                f"{self}: iterations start at 1, persons and pictures of a batch at 2, seed at 0"
            )

    def to_json(self) -> dict[str, Any]:
        """JSON-safe form."""
        return asdict(self)


def train_judge(
    network: JudgeConfig,
    config: JudgeTrainingConfig,
    pictures: Sequence[Picture],
    options: RunOptions,
    *,
    autocast: torch.dtype | None = None,
) -> JudgeNetwork:
    """A judge that knows these pictures' persons, in evaluation mode, without its classifier.

    The run is resumed from its last saved state like every other; on the CPU.
    """
    people = _People(network, config, pictures)
    torch.manual_seed(config.seed)  # pyright: ignore[reportUnknownMemberType]
    judge = JudgeNetwork(network, len(people.index)).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=config.weight_decay)
    settings = {"network": network.to_json(), "judge": config.to_json()}
    state = TrainingState(options.directory, {"judge": judge}, {"adamw": optimizer}, settings)

    def step(moment: Moment) -> dict[str, Tensor]:
        iteration = moment.number
        images, labels = people.batch(iteration)
        with torch.autocast("cpu", dtype=autocast, enabled=autocast is not None):
            judgment = judge(images.contiguous(memory_format=torch.channels_last))
        logits = judgment.logits.float()
        identity = functional.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
        triplet = hardest_triplets(judgment.feature.float(), labels)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, iteration)
        optimizer.zero_grad()
        (identity + triplet).backward()  # pyright: ignore[reportUnknownMemberType]
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]
        right = (logits.argmax(1) == labels).float().mean()
        return {"identity": identity.detach(), "triplet": triplet.detach(), "accuracy": right}

    run_iterations(
        options,
        state,
        Iterations(
            count=config.iterations,
            seed=config.seed,
            step=step,
            scalars=lambda position: {"learning_rate": learning_rate(config, position)},
        ),
    )
    judge.classifier = None
    return judge.eval()


def hardest_triplets(features: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch of log(1 + exp(d+ - d-)): distance to the farthest picture of the same
    person, and to the nearest of another.
    """
    distances = torch.cdist(features, features)  # (B, B)
    same = labels[:, None] == labels[None]
    farthest = distances.masked_fill(~same, -math.inf).amax(dim=1)
    nearest = distances.masked_fill(same, math.inf).amin(dim=1)
    return functional.softplus(farthest - nearest).mean()


class _People:
    """All pictures in memory, 24 KB each at 128x64, and the batches of them."""

    def __init__(
        self, network: JudgeConfig, config: JudgeTrainingConfig, pictures: Sequence[Picture]
    ) -> None:
        shown = [picture for picture in pictures if picture.shows_a_person]
        self.index = PersonIndex.of(shown)
        if len(self.index) < config.persons:
            raise DatasetError(
                f"{len(self.index)} persons to learn from; expected at least the "
                f"{config.persons} of a batch"
            )
        self._config = config
        paths = [picture.path for picture in shown]
        self._pixels = decode_pictures(paths, network.height, network.width).numpy()
        labels = np.array([self.index.label(picture.person_id) for picture in shown])
        self._rows = [np.flatnonzero(labels == label) for label in range(len(self.index))]

    def batch(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Augmented images (B, 3, H, W) and labels (B,)."""
        config = self._config
        random = np.random.default_rng([config.seed, iteration])
        persons = random.choice(len(self._rows), config.persons, replace=False)
        rows = np.concatenate([self._some(random, int(person)) for person in persons])
        labels = torch.as_tensor(np.repeat(persons, config.pictures))
        coarse = iteration < config.coarse_iterations
        return augmented(self._pixels[rows], random, coarse=coarse), labels

    def _some(self, random: np.random.Generator, person: int) -> Integers:
        own, wanted = self._rows[person], self._config.pictures
        return random.choice(own, wanted, replace=len(own) < wanted)


def learning_rate(config: JudgeTrainingConfig, iteration: float) -> float:
    """Up in a straight line, then down half a cosine."""
    warm = min(1.0, (iteration + 1) / max(1, config.warmup_iterations))
    share = 0.5 * (1 + math.cos(math.pi * iteration / config.iterations))
    return config.learning_rate * warm * share
