"""What generated pictures add to an embedding: `python -m benchmarks.ablation DATA -o STUDY`.

The paper's ablation (tables 4 and 5) on a short schedule: E_a, which starts from the teacher,
learns on from real pictures alone (baseline), and from generated ones too: primary features only,
fine-grained ones only, both; with the generator learning along (joint) or finished beforehand
(offline). Each variant is trained with several seeds and measured on persons whom nobody trained
on. The teacher, trained first on the same pictures, also labels the generated ones.

A run's outcome is kept in STUDY; the same command goes on where it was. Processes with different
`--seeds` may share STUDY once the teacher is there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from benchmarks.study import held_out_scores, machine, once, spread, table, training_pictures
from dgnet.model.checkpoints import load_checkpoint, load_teacher
from dgnet.model.config import NetworkConfig
from dgnet.model.data.layouts import read_dataset
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.predictor import Predictor
from dgnet.model.teacher import LabelPolicy
from dgnet.model.training.config import Ablation, JointConfig, TeacherConfig
from dgnet.model.training.joint import train_joint
from dgnet.model.training.run import RunOptions
from dgnet.model.training.starting import Start
from dgnet.model.training.teacher import train_teacher
from dgnet.model.training.training_run import TrainingRun, checkpoint_directory

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Variant:
    """One row of the study."""

    ablation: Ablation
    offline: bool = False


VARIANTS = {
    "baseline": Variant("baseline"),
    "primary only": Variant("primary"),
    "fine only": Variant("fine"),
    "both": Variant("both"),
    "offline": Variant("both", offline=True),
}

COMPARED = {
    "baseline": "primary",
    "primary only": "primary",
    "fine only": "fine",
    "both": "whole",
    "offline": "whole",
}
"""The part of the embedding that a variant trains, as in the paper; others are in the JSON."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What all runs have in common."""

    data: Path
    folder: Path
    generator: Path
    persons: int | None
    iterations: int
    teacher_iterations: int
    batch_size: int
    learning_rate: float
    label_policy: LabelPolicy

    def pictures(self, network: NetworkConfig) -> TrainingPictures:
        """The training pictures of the study's persons."""
        chosen = training_pictures(read_dataset(self.data), self.persons)
        return TrainingPictures(chosen, height=network.height, width=network.width)

    def network(self) -> NetworkConfig:
        """The generator's, for the persons of the study."""
        known = load_checkpoint(self.generator).metadata.config
        return replace(known, identities=len(self.pictures(known).persons))

    def teacher(self) -> Path:
        """Checkpoint of the teacher, trained once for all runs."""
        run = self.folder / "teacher"
        if not checkpoint_directory(run).is_dir():
            network = self.network()
            config = TeacherConfig().scaled(self.teacher_iterations)
            shutil.rmtree(run, ignore_errors=True)
            train_teacher(network, config, self._run(network, run))
        return checkpoint_directory(run)

    def train(self, name: str, seed: int) -> dict[str, Any]:
        """Scores of one variant with one seed."""
        variant = VARIANTS[name]
        network = self.network()
        _, teacher = load_teacher(self.teacher())
        config = replace(
            JointConfig().scaled(self.iterations),
            batch_size=self.batch_size,
            appearance_learning_rate=self.learning_rate,
            head_learning_rate=10 * self.learning_rate,
            seed=seed,
            merge_batches=True,
            label_policy=self.label_policy,
        ).ablated(variant.ablation)
        run = self.folder / "runs" / f"{name.replace(' ', '-')}-{seed}"
        shutil.rmtree(run, ignore_errors=True)
        train_joint(
            network,
            config,
            teacher,
            self._run(network, run),
            start=Start(from_teacher=True),
            generator=load_checkpoint(self.generator).networks,
            offline=variant.offline,
        )
        predictor = Predictor(
            load_checkpoint(checkpoint_directory(run)), device="cpu", precision="fp32"
        )
        return {"scores": held_out_scores(predictor, self.data)}

    def _run(self, network: NetworkConfig, directory: Path) -> TrainingRun:
        options = RunOptions(
            directory=directory,
            log_every=50,
            grid_every=self.iterations,
            checkpoint_every=self.iterations,
            progress=False,
        )
        return TrainingRun(pictures=self.pictures(network), options=options, device=CPU)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="data set with train, query and gallery")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the study")
    parser.add_argument("--generator", type=Path, default=Path("model/weights/small"))
    parser.add_argument("--persons", type=int, help="train on the first so many; all if absent")
    parser.add_argument("--iterations", type=int, default=250)
    parser.add_argument("--teacher-iterations", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="of E_a's backbone")
    parser.add_argument("--label-policy", default="soft")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    study = Study(
        data=options.data,
        folder=options.output,
        generator=options.generator,
        persons=options.persons,
        iterations=options.iterations,
        teacher_iterations=options.teacher_iterations,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        label_policy=cast(LabelPolicy, options.label_policy),
    )
    study.folder.mkdir(parents=True, exist_ok=True)
    study.teacher()
    outcomes = {
        (name, seed): once(
            study.folder,
            f"{name.replace(' ', '-')}-{seed}",
            lambda name=name, seed=seed: study.train(name, seed),
        )
        for seed in options.seeds
        for name in options.variants
    }
    rows: list[list[str]] = []
    for name in options.variants:
        part = COMPARED[name]
        scores = [outcomes[name, seed]["scores"] for seed in options.seeds]
        rows.append(
            [name, part]
            + [
                spread([score[which][measure] for score in scores])
                for which in (part, "whole")
                for measure in ("rank_1", "mAP")
            ]
        )
    head = ("variant", "compared", "rank-1", "mAP", "rank-1, whole", "mAP, whole")
    print(table(head, rows))
    if options.json:
        report = {
            "command": " ".join(sys.argv),
            **machine(),
            "runs": [
                {"variant": name, "seed": seed, **outcome}
                for (name, seed), outcome in outcomes.items()
            ],
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
