"""Sizes: what presets hold, what is refused, and the way through JSON."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any, cast

import pytest
import torch

from dgnet.model.config import ConfigError, NetworkConfig, PresetName, preset
from dgnet.model.dgnet import DGNet
from tests.model.tiny import tiny_network


def test_the_paper_preset_has_the_published_sizes() -> None:
    config = preset("paper", identities=751)
    assert (config.height, config.width, config.backbone) == (256, 128, "resnet50")
    assert (config.decoder_channels, config.mlp_features, config.head_features) == (128, 512, 512)


def test_the_paper_preset_counts_the_published_parameters() -> None:
    with torch.device("meta"):
        networks = DGNet(preset("paper", identities=751))
    counted = {
        name: sum(weight.numel() for weight in part.parameters())
        for name, part in networks.named_children()
    }
    generator_and_appearance = sum(counted.values()) - counted["discriminator"]
    assert generator_and_appearance == pytest.approx(39.76e6, abs=0.01e6)
    # The published 41.8 M count ImageNet's classifier too, which their file keeps and nothing uses.
    imagenet_classifier = 2048 * 1000 + 1000
    assert generator_and_appearance + imagenet_classifier == pytest.approx(41.8e6, abs=0.05e6)


def test_presets_take_overrides_by_name() -> None:
    config = preset("small", identities=5, decoder_channels=32, backbone="resnet18")
    assert (config.preset, config.decoder_channels, config.backbone) == ("small", 32, "resnet18")


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="'huge'; expected one of paper, small"):
        preset(cast(PresetName, "huge"), identities=5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"identities": 1}, "identities is 1.*at least 2"),
        ({"backbone": "vgg"}, "backbone is 'vgg'; expected one of resnet50"),
        ({"height": 100}, "height is 100; expected a multiple of 16"),
        ({"width": 32}, "width is 32.*larger than 36"),
        ({"height": 48}, "fewer than appearance_parts = 4"),
        ({"decoder_channels": 10}, "decoder_channels is 10; expected a multiple of 4"),
    ],
)
def test_impossible_sizes_say_what_to_change(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        preset("small", **{"identities": 5, **wrong})


def test_json_keeps_every_size() -> None:
    config = tiny_network()
    assert NetworkConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_json_with_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown network setting 'color'"):
        NetworkConfig.from_json({"identities": 5, "color": 1})


def test_json_without_identities_is_refused() -> None:
    with pytest.raises(ConfigError, match="how many identities"):
        NetworkConfig.from_json({"preset": "small"})


def test_sizes_never_change() -> None:
    with pytest.raises(FrozenInstanceError):
        tiny_network().height = 32  # pyright: ignore[reportAttributeAccessIssue]
