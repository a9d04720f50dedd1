"""Finds the judge that a path, or the word `shipped`, stands for."""

from __future__ import annotations

from pathlib import Path

from dgnet.model.judge.checkpoint import SHIPPED_JUDGE, TrainedJudge
from dgnet.model.judge.judge import Judge, JudgeError
from dgnet.model.judge.onnx import OnnxInput, OnnxJudge

SHIPPED = "shipped"


def judge_folder(source: str) -> Path:
    """The folder of a judge that is one."""
    return SHIPPED_JUDGE if source == SHIPPED else Path(source)


def open_judge(source: str, onnx: OnnxInput | None = None, *, device: str = "auto") -> Judge:
    """A folder of `dgnet train judge`, an .onnx file, or the one that ships; raises JudgeError."""
    if source.lower().endswith(".onnx"):
        return OnnxJudge(Path(source), onnx)
    if onnx is not None:
        raise JudgeError(
            f"size, normalization and output are said of .onnx files alone; {source} knows its own"
        )
    return TrainedJudge.load(judge_folder(source), device=device)
