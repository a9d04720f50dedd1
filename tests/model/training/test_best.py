"""The best checkpoint of a run: by held-out people, kept whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dgnet.model.checkpoints import load_teacher, read_metadata, save_checkpoint
from dgnet.model.data.layouts import DataSet, read_dataset
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.picture import DatasetError
from dgnet.model.teacher import Teacher
from dgnet.model.training.best import BestCheckpoint
from dgnet.model.training.config import TeacherConfig
from dgnet.model.training.run import RunOptions
from dgnet.model.training.teacher import train_teacher
from dgnet.model.training.training_run import TrainingRun
from dgnet.model.training.validation import TeacherEmbedder, Validation
from tests.model.tiny import HEIGHT, WIDTH, tiny_network, write_dataset

CPU = torch.device("cpu")


@pytest.fixture
def people(tmp_path: Path) -> DataSet:
    return read_dataset(write_dataset(tmp_path / "people"), None, None)


def test_the_earliest_of_the_best_stays(tmp_path: Path) -> None:
    teacher = Teacher(tiny_network())
    measured = iter([0.2, 0.5, 0.5, 0.4])
    best = BestCheckpoint(
        tmp_path,
        measure=lambda: {"mAP": next(measured), "rank_1": 0.0},
        save=lambda folder, metrics: save_checkpoint(
            folder, None, teacher=teacher, metrics=metrics
        ),
    )
    best.start(resume=False)
    kept: list[int] = []
    for iteration in (10, 20, 30, 40):
        best.update(iteration)
        assert best.scores is not None
        kept.append(best.scores["iteration"])
    assert kept == [10, 20, 20, 20]
    best.start(resume=True)
    assert best.scores == {"iteration": 20, "mAP": 0.5, "rank_1": 0.0}
    best.start(resume=False)
    assert best.scores is None


def test_a_run_keeps_the_checkpoint_that_finds_held_out_people_best(
    tmp_path: Path, people: DataSet
) -> None:
    run = tmp_path / "run"
    validation = Validation(people)
    train_teacher(
        tiny_network(),
        TeacherConfig(iterations=3, batch_size=2),
        TrainingRun(
            pictures=TrainingPictures(people.train, height=HEIGHT, width=WIDTH),
            options=RunOptions(directory=run, checkpoint_every=1, log_every=1, progress=False),
            device=CPU,
            validation=validation,
        ),
    )
    summary = json.loads((run / "summary.json").read_text())
    scores = read_metadata(run / "best").metrics["validation"]
    assert summary["best"] == scores
    assert scores["mAP"] >= summary["validation"]["mAP"]
    # What is kept is what was measured.
    _, teacher = load_teacher(run / "best")
    again = validation.measure(TeacherEmbedder(teacher.eval(), CPU), CPU)
    assert again["mAP"] == pytest.approx(scores["mAP"], abs=1e-6)


def test_a_set_without_query_is_refused_before_anything_is_trained(people: DataSet) -> None:
    with pytest.raises(DatasetError, match="has no query pictures"):
        Validation(DataSet(layout="market1501", root=people.root, gallery=people.gallery))
