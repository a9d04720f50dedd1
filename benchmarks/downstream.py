"""Do composites help a Re-ID model? `python -m benchmarks.downstream DATA -o STUDY`.

The plain baseline (one identity head, cross entropy) is trained on real pictures alone, and on as
many real pictures with composites beside them, under each of a job's labels, unfiltered and
filtered by identity consistency; on all pictures of each person, on 30 % and on 10 % of them. The
budget of iterations and the batch are the same: with composites, half of each batch is theirs.
Every model is measured on other persons.

Nobody here was seen by the networks that make the composites: the persons of DATA's query and
gallery are divided into some to train on and others to measure on. Labels that need
a teacher come from the model that the same pictures and seed gave without composites.

A run's outcome is kept in STUDY; the same command goes on where it was. Processes with different
`--seeds` may share STUDY once the composites are there.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.study import machine, once, retrieval_scores, spread, table
from dgnet.arrays import Embeddings, Integers, Pixels
from dgnet.files import replaced_directory
from dgnet.generation.job import Job
from dgnet.generation.local_run import run_job
from dgnet.generation.output.assembly import read_manifest
from dgnet.jobs.generation.spec import GenerationSpec, KeepSpec, OutputSpec, SourceSpec
from dgnet.model.backbones import imagenet_efficientnet_lite0
from dgnet.model.checkpoints import load_checkpoint
from dgnet.model.config import NetworkConfig, preset
from dgnet.model.data.batches import Augmentation, Stream, decode_pictures, draws, shuffled_rows
from dgnet.model.data.layouts import read_dataset
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.persons import PersonIndex
from dgnet.model.data.picture import Picture
from dgnet.model.data.transforms import crop_padding, normalize
from dgnet.model.devices import placed
from dgnet.model.predictor import Predictor
from dgnet.model.teacher import LabelPolicy, Teacher, apply_label_policy, soft_labels
from dgnet.model.training.config import TeacherConfig
from dgnet.model.training.optimizers import teacher_optimizer
from dgnet.model.training.schedule import apply_learning_rate_factor, teacher_learning_rate_factor

CPU = torch.device("cpu")
Labels = Literal[LabelPolicy, "structure"]
"""What a generation job can say about whom a composite shows, to learn from."""

LABELS: tuple[Labels, ...] = ("appearance", "structure", "soft", "uniform", "two_labels")
FEWEST_PICTURES = 2
"""Of a person, at any fraction."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What all runs have in common."""

    data: Path
    folder: Path
    checkpoint: Path
    train_persons: int
    composites: int
    consistency: float
    iterations: int
    batch_size: int
    height: int
    width: int

    def split(self) -> tuple[list[Picture], list[Picture], list[Picture]]:
        """Pictures to train on, queries and gallery of the others."""
        dataset = read_dataset(self.data)
        query, gallery = dataset.split("query"), dataset.split("gallery")
        persons = sorted({p.person_id for p in (*query, *gallery) if p.shows_a_person})
        chosen = set(persons[: self.train_persons])
        return (
            [p for p in (*query, *gallery) if p.person_id in chosen],
            [p for p in query if p.person_id not in chosen],
            [p for p in gallery if p.person_id not in chosen],
        )

    def real(self, percent: int) -> Path:
        """Folder with so many percent of each person's training pictures, drawn once."""
        folder = self.folder / f"real-{percent}"
        if folder.is_dir():
            return folder
        pictures, _, _ = self.split()
        random = np.random.default_rng(percent)
        with replaced_directory(folder, make_parents=True) as part:
            (part / "bounding_box_train").mkdir()
            for person in sorted({picture.person_id for picture in pictures}):
                own = sorted(p.path for p in pictures if p.person_id == person)
                count = min(len(own), max(FEWEST_PICTURES, round(len(own) * percent / 100)))
                for place in random.choice(len(own), count, replace=False):
                    shutil.copy(own[int(place)], part / "bounding_box_train")
        return folder

    def made(self, percent: int, *, filtered: bool) -> Path:
        """Folder with composites of these pictures."""
        folder = self.folder / f"composites-{percent}{'-filtered' if filtered else ''}"
        spec = GenerationSpec(
            source=SourceSpec(folder=self.real(percent)),
            count=self.composites,
            labels=("appearance", "structure"),
            keep=KeepSpec(minimum_identity_consistency=self.consistency if filtered else None),
            top_up=4 * self.composites if filtered else 0,
            output=OutputSpec(layout="market1501"),
        )
        checkpoint = load_checkpoint(self.checkpoint)
        job = Job.of(spec, checkpoint, Predictor(checkpoint, device="cpu", precision="fp32"))
        run_job(job, folder, resume=folder.exists(), report=lambda _: None)
        return folder

    def network(self, identities: int) -> NetworkConfig:
        """The small baseline."""
        return preset("small", identities=identities, height=self.height, width=self.width)

    def scores(self, model: Teacher) -> dict[str, float]:
        """Of the persons that nobody trained on."""
        _, query, gallery = self.split()
        return retrieval_scores(TeacherEmbedder(model), query, gallery)


class TeacherEmbedder:
    """Features of a baseline as an embedding: a picture's and its mirror image's, added."""

    def __init__(self, teacher: Teacher) -> None:
        self.height, self.width = teacher.config.height, teacher.config.width
        self._teacher = teacher.eval()

    def embed(self, images: Pixels) -> Embeddings:
        """(B, D), unit length, of uint8 (B, H, W, 3)."""
        normal = normalize(torch.as_tensor(images))
        with torch.inference_mode():
            views = [self._teacher(view).features for view in (normal, normal.flip(3))]
            units = [functional.normalize(view) for view in views]
            return functional.normalize(units[0] + units[1]).numpy()


class Composites:
    """Composites of a finished job with both persons of each; pictures live in memory."""

    def __init__(self, folder: Path, persons: PersonIndex, height: int, width: int) -> None:
        rows = [(row, row.written.file) for row in read_manifest(folder) if row.written]
        self._pixels = decode_pictures([folder / file for _, file in rows], height, width)
        self._padding = crop_padding(height)
        self.appearances, self.structures = (
            torch.tensor([persons.label(origin.person) for origin in origins])
            for origins in zip(*((row.appearance, row.structure) for row, _ in rows), strict=True)
        )

    def __len__(self) -> int:
        return len(self._pixels)

    def targets(self, labels: Labels, teacher: Teacher) -> Tensor:
        """(N, I), what the labels say of every composite."""
        if labels == "structure":
            persons = teacher.config.identities
            return functional.one_hot(self.structures, persons).float()
        parts = torch.split(self._pixels, 64)
        soft = torch.cat([soft_labels(teacher.eval(), normalize(part)) for part in parts])
        return apply_label_policy(labels, soft, self.appearances, self.structures)

    def batch(self, position: int, batch_size: int, seed: int) -> tuple[Tensor, Integers]:
        """Augmented images of batch number `position`, and which composites they are."""
        rows = shuffled_rows(Stream.ORDER_TRUTH, position, batch_size, seed, len(self))
        random = draws(seed, Stream.TRUTH, position)
        augmentation = Augmentation.draw(batch_size, self._padding, random)
        return augmentation.images(self._pixels[rows], CPU), rows


def train(
    study: Study,
    pictures: TrainingPictures,
    seed: int,
    composites: Composites | None = None,
    targets: Tensor | None = None,
) -> Teacher:
    """The baseline on real pictures, or on as many composites beside half as many of them."""
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
    model = Teacher(study.network(len(pictures.persons)))
    model.backbone.load_state_dict(imagenet_efficientnet_lite0())
    model = placed(model, CPU).train()
    config = TeacherConfig(batch_size=study.batch_size).scaled(study.iterations)
    optimizer = teacher_optimizer(model, config)
    of_composites = study.batch_size // 2 if composites else 0
    for iteration in range(study.iterations):
        apply_learning_rate_factor(optimizer, teacher_learning_rate_factor(config, iteration))
        batch = pictures.picture_batch(iteration, study.batch_size - of_composites, seed)
        images = [batch.images]
        wanted = [functional.one_hot(batch.labels, len(pictures.persons)).float()]
        if composites is not None and targets is not None:
            more, rows = composites.batch(iteration, of_composites, seed)
            images.append(more)
            wanted.append(targets[rows])
        logits = model(torch.cat(images).to(memory_format=torch.channels_last)).logits
        loss = functional.cross_entropy(logits, torch.cat(wanted))
        if not math.isfinite(loss.item()):
            raise RuntimeError(f"the loss of iteration {iteration} is {loss.item()}")
        optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        optimizer.step()
    return model.eval()


def run(study: Study, percent: int, seed: int, all_labels: Sequence[Labels]) -> dict[str, Any]:
    """Scores of every variant at one amount of real data with one seed."""
    name = f"{percent}-{seed}"
    pictures = TrainingPictures.load(study.real(percent), study.height, study.width)
    baseline: Teacher | None = None

    def alone() -> Teacher:
        nonlocal baseline
        baseline = baseline or train(study, pictures, seed)
        return baseline

    scores = {
        "real only": once(study.folder, f"{name}-real", lambda: study.scores(alone())),
    }
    for filtered in (False, True):
        kind = "filtered" if filtered else "unfiltered"
        composites: Composites | None = None
        for labels in all_labels:

            def measured(labels: Labels = labels, filtered: bool = filtered) -> dict[str, Any]:
                nonlocal composites
                composites = composites or Composites(
                    study.made(percent, filtered=filtered),
                    pictures.persons,
                    study.height,
                    study.width,
                )
                targets = composites.targets(labels, alone())
                model = train(study, pictures, seed, composites, targets)
                return {**study.scores(model), "composites": len(composites)}

            variant = f"{labels}, {kind}"
            scores[variant] = once(study.folder, f"{name}-{labels}-{kind}", measured)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="data set with query and gallery")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the study")
    parser.add_argument("--checkpoint", type=Path, default=Path("model/weights/small"))
    parser.add_argument("--train-persons", type=int, default=100)
    parser.add_argument("--composites", type=int, default=1600)
    parser.add_argument("--consistency", type=float, default=0.6, help="threshold of the filter")
    parser.add_argument("--iterations", type=int, default=250)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--height", type=int, default=96)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--percent", type=int, nargs="+", default=[100, 30, 10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--labels", nargs="+", choices=LABELS, default=LABELS)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    study = Study(
        data=options.data,
        folder=options.output,
        checkpoint=options.checkpoint,
        train_persons=options.train_persons,
        composites=options.composites,
        consistency=options.consistency,
        iterations=options.iterations,
        batch_size=options.batch_size,
        height=options.height,
        width=options.width,
    )
    study.folder.mkdir(parents=True, exist_ok=True)
    rows: list[list[str]] = []
    runs: list[dict[str, Any]] = []
    for percent in options.percent:
        by_seed = {seed: run(study, percent, seed, options.labels) for seed in options.seeds}
        for variant in next(iter(by_seed.values())):
            outcomes = [scores[variant] for scores in by_seed.values()]
            rows.append(
                [f"{percent} %", variant]
                + [spread([outcome[name] for outcome in outcomes]) for name in ("rank_1", "mAP")]
            )
        runs += [
            {"percent": percent, "seed": seed, "variant": variant, **outcome}
            for seed, scores in by_seed.items()
            for variant, outcome in scores.items()
        ]
    print(table(("real pictures", "trained on", "rank-1", "mAP"), rows))
    if options.json:
        report = {"command": " ".join(sys.argv), **machine(), "runs": runs}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
