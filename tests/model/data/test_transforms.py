"""The training transform and random erasing, against cases worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgnet.model.data.market1501 import DatasetError
from dgnet.model.data.transforms import (
    crop_padding,
    decode_picture,
    denormalize,
    flip_pad_crop,
    normalize,
    random_erasing,
)


def values(tensor: torch.Tensor) -> list[float]:
    return [float(value) for value in tensor.flatten()]


def row(values: list[int]) -> torch.Tensor:
    """One picture of one row and one channel: (1, 1, W, 1)."""
    return torch.tensor(values, dtype=torch.uint8).view(1, 1, -1, 1)


def crop(pixels: torch.Tensor, flip: bool, top: int, left: int, padding: int) -> torch.Tensor:
    return flip_pad_crop(
        pixels,
        flips=torch.tensor([flip]),
        tops=torch.tensor([top]),
        lefts=torch.tensor([left]),
        padding=padding,
    )


@pytest.mark.parametrize(("height", "padding"), [(256, 10), (128, 5), (384, 15)])
def test_the_padding_scales_with_the_height(height: int, padding: int) -> None:
    assert crop_padding(height) == padding


def test_the_middle_crop_changes_nothing() -> None:
    pixels = torch.arange(24, dtype=torch.uint8).view(1, 4, 2, 3)
    assert torch.equal(crop(pixels, False, 2, 2, padding=2), pixels)


def test_a_crop_beyond_the_border_repeats_the_edge() -> None:
    # Padded by 2: 1 1 1 2 3 4 4 4; the crop of four from 0 and from 4.
    pixels = row([1, 2, 3, 4])
    assert values(crop(pixels, False, 2, 0, padding=2)) == [1, 1, 1, 2]
    assert values(crop(pixels, False, 2, 4, padding=2)) == [3, 4, 4, 4]


def test_a_picture_is_mirrored_before_it_is_cropped() -> None:
    # Mirrored 4 3 2 1, padded by 1: 4 4 3 2 1 1; the crop of four from 0.
    assert values(crop(row([1, 2, 3, 4]), True, 1, 0, padding=1)) == [4, 4, 3, 2]


def test_rows_are_cropped_like_columns_and_each_picture_on_its_own() -> None:
    pixels = torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.uint8).view(2, 3, 1, 1)
    cropped = flip_pad_crop(
        pixels,
        flips=torch.tensor([False, False]),
        tops=torch.tensor([0, 2]),
        lefts=torch.tensor([1, 1]),
        padding=1,
    )
    assert values(cropped) == [1, 1, 2, 5, 6, 6]


def test_normalization_uses_the_imagenet_statistics() -> None:
    white = torch.full((1, 1, 1, 3), 255, dtype=torch.uint8)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert values(normalize(white)) == pytest.approx(expected)


def test_denormalizing_gives_every_level_back_and_clips() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).repeat(1, 1, 1, 3)
    assert torch.equal(denormalize(normalize(levels)), levels)
    beyond = torch.tensor([-9.0, 0.0, 9.0]).view(1, 3, 1, 1)
    assert values(denormalize(beyond)) == [0, 116, 255]


def test_a_picture_of_the_right_size_is_decoded_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "exact.png")
    assert np.array_equal(decode_picture(tmp_path / "exact.png", 8, 4), pixels)
    assert decode_picture(tmp_path / "exact.png", 16, 8).shape == (16, 8, 3)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"broken\.jpg: not a readable picture"):
        decode_picture(tmp_path / "broken.jpg", 8, 4)


def test_erasing_fills_one_rectangle_within_the_area_and_aspect_bounds() -> None:
    images = torch.ones(400, 3, 64, 32)
    erased = random_erasing(images, torch.Generator().manual_seed(1))
    holes = (erased == 0).all(dim=1)
    assert torch.equal(erased, torch.where(holes[:, None], 0.0, 1.0).expand_as(erased))
    touched = holes.flatten(1).any(dim=1)
    assert 0.4 < touched.float().mean() < 0.6
    for hole in holes[touched]:
        height = int(hole.any(dim=1).sum())
        width = int(hole.any(dim=0).sum())
        assert int(hole.sum()) == height * width  # a full rectangle
        # Rounding to whole pixels widens the drawn bounds by half a pixel a side.
        assert (height - 0.5) * (width - 0.5) <= 0.4 * 64 * 32
        assert (height + 0.5) * (width + 0.5) >= 0.02 * 64 * 32
        assert (height + 0.5) / (width - 0.5) >= 0.3
        assert (height - 0.5) / (width + 0.5) <= 3.3


def test_erasing_leaves_its_input_alone_and_repeats_with_the_generator() -> None:
    images = torch.ones(8, 3, 16, 8)
    first = random_erasing(images, torch.Generator().manual_seed(3), probability=1)
    again = random_erasing(images, torch.Generator().manual_seed(3), probability=1)
    assert torch.equal(first, again)
    assert (first == 0).flatten(1).any(dim=1).all()
    assert torch.equal(images, torch.ones(8, 3, 16, 8))


def test_no_erasing_at_probability_zero() -> None:
    images = torch.ones(8, 3, 16, 8)
    kept = random_erasing(images, torch.Generator().manual_seed(3), probability=0)
    assert torch.equal(kept, images)
