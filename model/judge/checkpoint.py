"""Judges on disk: a folder of `model.safetensors` and `judge.json`, and such a judge at work.

Kept apart from the checkpoints of DG-Net (`dgnet.model.checkpoints`), so that neither is ever taken
for the other. Weights may be stored in half precision; running statistics always stay float32.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from dgnet.arrays import Embeddings, Pixels
from dgnet.files import file_sha256, replaced_directory, write_json
from dgnet.model.checkpoints import METADATA_FILE, TENSORS_FILE, narrowed
from dgnet.model.data.transforms import normalize
from dgnet.model.devices import choose_device
from dgnet.model.judge.judge import JudgeError, resized
from dgnet.model.judge.network import JudgeConfig, JudgeNetwork
from dgnet.model.tensor_files import TensorFileError, read_tensors, write_tensors
from dgnet.paths import local_path
from dgnet.release import RELEASE

JUDGE_FILE = "judge.json"
FORMAT = 1

SHIPPED_JUDGE = Path(__file__).parents[1] / "weights" / "judge"
"""The judge that comes with the package."""

_MAX_BATCH = 64


def save_judge(
    directory: str | Path,
    network: JudgeNetwork,
    *,
    half: bool = True,
    card: dict[str, Any] | None = None,
) -> str:
    """Write a judge's folder, replacing one that is there; returns its version.

    `card` says what is known of it: training, data, metrics.
    """
    tensors = network.state_dict()
    if half:
        tensors = {name: narrowed(name, tensor) for name, tensor in tensors.items()}
    with replaced_directory(local_path(directory), make_parents=True) as folder:
        write_tensors(folder / TENSORS_FILE, tensors)
        sha256 = file_sha256(folder / TENSORS_FILE)
        about = {
            "format": FORMAT,
            "network": network.config.to_json(),
            **(card or {}),
            "sha256": sha256,
            "code_version": RELEASE,
        }
        write_json(folder / JUDGE_FILE, about)
    return sha256[:12]


def update_judge_metrics(directory: str | Path, metrics: dict[str, Any]) -> None:
    """Add measured figures to what is known of a judge, replacing those of the same name."""
    directory = local_path(directory)
    about = _read_card(directory)
    about["metrics"] = {**about.get("metrics", {}), **metrics}
    write_json(directory / JUDGE_FILE, about)


class TrainedJudge:
    """A judge of `dgnet train judge` on a device. Thread-safe: nothing is stored between calls."""

    def __init__(self, network: JudgeNetwork, *, name: str, version: str, device: str) -> None:
        self.name, self.version = name, version
        self.height, self.width = network.config.height, network.config.width
        self._device = choose_device(device)
        self._network = network.to(self._device).eval().requires_grad_(False)

    @classmethod
    def load(cls, directory: str | Path, *, device: str = "auto") -> TrainedJudge:
        """Read a judge's folder; every tensor is accounted for."""
        directory = local_path(directory)
        about = _read_card(directory)
        path = directory / TENSORS_FILE
        if not path.is_file() or file_sha256(path) != about["sha256"]:
            raise JudgeError(
                f"{path} is missing or not the file that {JUDGE_FILE} was written for: copy the "
                "judge again"
            )
        try:
            network = JudgeNetwork(JudgeConfig.from_json(about["network"]))
            network.load_state_dict(read_tensors(path))
        except (KeyError, TypeError, ValueError, RuntimeError, TensorFileError) as error:
            raise JudgeError(f"{directory} is damaged: {error}") from error
        return cls(network, name=directory.name, version=about["sha256"][:12], device=device)

    def embed(self, images: Pixels) -> Embeddings:
        """(B, D), of length 1; float32 whatever the device, so that figures can be compared."""
        pixels = resized(images, self.height, self.width)
        parts: list[Embeddings] = []
        with torch.inference_mode():
            for start in range(0, len(pixels), _MAX_BATCH):
                rows = np.ascontiguousarray(pixels[start : start + _MAX_BATCH])
                batch = normalize(torch.as_tensor(rows).to(self._device))
                parts.append(self._network.embed(batch).cpu().numpy())
        return np.concatenate(parts)


def _read_card(directory: Path) -> dict[str, Any]:
    path = directory / JUDGE_FILE
    if not path.is_file():
        kind = (
            "a checkpoint of DG-Net, whose own opinion the report has anyway"
            if (directory / METADATA_FILE).is_file()
            else f"no judge: it has no {JUDGE_FILE}"
        )
        raise JudgeError(
            f"{directory} is {kind}. Expected a folder written by `dgnet train judge`, or an .onnx "
            "file"
        )
    try:
        about = cast(dict[str, Any], json.loads(path.read_text()))
        found, _ = about["format"], about["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise JudgeError(f"{path} is damaged: {error!r}") from error
    if found != FORMAT:
        raise JudgeError(f"{path} has format {found}; this version reads format {FORMAT}")
    return about
