"""Inception and LPIPS load from files of the published form; here their weights are random."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models import alexnet

from dgnet.arrays import Pixels
from dgnet.model.evaluation.generation import inception, perceptual
from dgnet.model.evaluation.generation.inception import FEATURES, InceptionFeatures
from dgnet.model.evaluation.generation.perceptual import PerceptualDistance
from dgnet.model.evaluation.generation.weight_files import FigureLeftOut, WeightFileError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))


@pytest.fixture
def pictures() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)


def publish(
    weights: Mapping[str, Tensor], file: Path, module: Any, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Writes weights and lets them pass for the published ones."""
    torch.save(dict(weights), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "_SHA256", digest)
    return file


def test_inception_features_are_those_of_the_library(
    pictures: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch_fidelity import feature_extractor_inceptionv3 as library

    with monkeypatch.context() as patch:

        def nothing(*_: object, **__: object) -> dict[str, Tensor]:
            return {}

        patch.setattr(library, "load_state_dict_from_url", nothing)
        patch.setattr(library.FeatureExtractorInceptionV3, "load_state_dict", nothing)
        untrained: Any = library.FeatureExtractorInceptionV3("untrained", ["2048"])
    file = publish(untrained.state_dict(), tmp_path / "weights.pth", inception, monkeypatch)
    features = InceptionFeatures.load(file, CPU)(pictures[:2])
    assert features.shape == (2, FEATURES)
    assert features.dtype == np.float32
    (expected,) = untrained(torch.tensor(pictures[:2]).permute(0, 3, 1, 2))
    assert np.array_equal(features, expected.numpy())
    assert not np.array_equal(features[0], features[1])


def test_lpips_is_zero_for_equal_pictures_and_comes_from_the_file(
    pictures: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in alexnet().features.state_dict().items()}
    distances: list[list[float]] = []
    for seed in (0, 0, 1):
        random = torch.Generator().manual_seed(seed)
        trunk = {
            f"features.{name}": 0.05 * torch.randn(shape, generator=random)
            for name, shape in shapes.items()
        }
        file = publish(trunk, tmp_path / "alexnet.pth", perceptual, monkeypatch)
        distance = PerceptualDistance.load(file, CPU)
        distances.append(distance(pictures[[0, 0, 1]], pictures[[0, 1, 0]]).tolist())
    same, there, back = distances[0]
    assert same == 0
    assert there > 0
    assert back == pytest.approx(there, rel=1e-4)
    assert distances[1] == distances[0]
    assert distances[2] != distances[0]


@pytest.mark.parametrize(
    ("load", "option"),
    [
        (InceptionFeatures.load, "--inception-weights"),
        (PerceptualDistance.load, "--alexnet-weights"),
    ],
)
def test_without_weights_the_message_names_the_option(load: Any, option: str) -> None:
    with pytest.raises(FigureLeftOut, match=f"give it with {option} FILE"):
        load(None, CPU)


@pytest.mark.parametrize(
    ("load", "library", "figure"),
    [
        (InceptionFeatures.load, "torch_fidelity", "FID"),
        (PerceptualDistance.load, "lpips", "LPIPS"),
    ],
)
def test_without_the_library_the_message_says_what_to_install(
    load: Any, library: str, figure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        FigureLeftOut, match=rf"^{figure} is left out: {library} is not .* 'dgnet\[fid\]'"
    ):
        load(None, CPU)


def test_weights_of_another_network_do_not_pass_for_those_of_fid(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, file)
    with pytest.raises(WeightFileError, match="FID with other weights would be another figure"):
        InceptionFeatures.load(file, CPU)
