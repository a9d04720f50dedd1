"""From picture files to what the networks see, and back.

The training transform of DG-Net: random horizontal flip, bicubic resize, padding by repeating the
edge, random crop back, ImageNet normalization; and random erasing, which touches only the pictures
of the identity losses. Each works on a whole batch; seeding is left to the caller.

B batch, C = 3 channels in RGB order, H x W pixels. *Pixels* are uint8 (B, H, W, 3) in 0..255,
*images* are float32 (B, 3, H, W) normalized with the ImageNet mean and standard deviation.
"""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from dgnet.arrays import Pixels
from dgnet.model.data.market1501 import DatasetError
from dgnet.model.data.shares import WHOLE, Share
from dgnet.pictures import PictureRefused, open_file

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Of the published transform: ten pixels at a height of 256.
_PADDING_PER_HEIGHT = 10 / 256

# A drawn rectangle wider than a 2:1 picture is drawn again; one in 18 is, so ten draws suffice.
_ERASING_ATTEMPTS = 10


def crop_padding(height: int) -> int:
    """Padding of the random crop in pixels: 10 at 256 high, 5 at 128."""
    return round(height * _PADDING_PER_HEIGHT)


def decode_picture(path: Path, height: int, width: int) -> Pixels:
    """One file as uint8 (H, W, 3), read like every picture: see `pictures`."""
    try:
        return open_file(path).prepare(width=width, height=height).pixels
    except (PictureRefused, OSError) as error:
        raise DatasetError(f"{path}: not a readable picture ({error})") from error


def flip_pad_crop(
    pixels: Tensor, *, flips: Tensor, tops: Tensor, lefts: Tensor, padding: int
) -> Tensor:
    """Mirror where asked, pad by repeating the edge, crop back to the same size.

    pixels (B, H, W, C); flips bool (B,); tops and lefts int64 (B,) in 0..2*padding: the corner of
    the crop in the padded picture (`padding` is the middle). One gather does all three.
    """
    batch, height, width, _ = pixels.shape
    device = pixels.device
    rows = torch.arange(height, device=device) + tops[:, None] - padding  # (B, H)
    columns = torch.arange(width, device=device) + lefts[:, None] - padding  # (B, W)
    rows = rows.clamp(0, height - 1)
    columns = columns.clamp(0, width - 1)
    columns = torch.where(flips[:, None], width - 1 - columns, columns)
    samples = torch.arange(batch, device=device)
    return pixels[samples[:, None, None], rows[:, :, None], columns[:, None, :]]


def normalize(pixels: Tensor) -> Tensor:
    """uint8 pixels (B, H, W, 3) to normalized float32 images (B, 3, H, W)."""
    mean, std = _statistics(pixels.device)
    return (pixels.permute(0, 3, 1, 2).to(torch.float32).contiguous() / 255 - mean) / std


def denormalize(images: Tensor) -> Tensor:
    """Normalized images (B, 3, H, W) to uint8 pixels (B, H, W, 3), rounded and clipped."""
    mean, std = _statistics(images.device)
    levels = ((images.to(torch.float32) * std + mean) * 255).round().clamp(0, 255)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def random_erasing(
    images: Tensor,
    generator: torch.Generator,
    *,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 3.3),
    value: float = 0.0,
    share: Share = WHOLE,
    groups: int = 1,
) -> Tensor:
    """Fill one random rectangle of some of the images (B, C, H, W); the rest stay as they are.

    `area` is a share of the picture, `aspect` height over width; `value` lives in normalized space,
    where 0 is the ImageNet mean color. Where the images are a share of `groups` batches that lie
    end to end, each is erased as it would be among all of them.
    """
    batch, _, height, width = images.shape
    everybody = batch * share.count
    own = torch.as_tensor(share.rows(everybody // groups, groups=groups))

    def draw(low: float, high: float) -> Tensor:
        uniform = torch.rand(
            (everybody, _ERASING_ATTEMPTS), generator=generator, device=generator.device
        )[own.to(generator.device)]
        return low + (high - low) * uniform

    # Rectangles are made where they are drawn, and go to the images in one copy. Every attempt of
    # every picture is drawn, so that the generator always advances by as much.
    chosen = draw(0, 1)[:, 0] < probability  # (B,)
    target = draw(*area) * (height * width)  # (B, attempts), pixels
    ratio = draw(*aspect)
    down, right = draw(0, 1), draw(0, 1)
    heights = (target * ratio).sqrt().round()
    widths = (target / ratio).sqrt().round()
    fits = (heights < height) & (widths < width)
    first = fits.to(torch.uint8).argmax(dim=1, keepdim=True)  # (B, 1)

    def pick(attempts: Tensor) -> Tensor:
        return attempts.gather(1, first)

    rectangle_height, rectangle_width = pick(heights), pick(widths)  # (B, 1)
    top = (pick(down) * (height - rectangle_height + 1)).floor()
    left = (pick(right) * (width - rectangle_width + 1)).floor()
    erased = (chosen & fits.any(dim=1))[:, None]
    # Of those that stay as they are, no row is inside.
    ends = (top, torch.where(erased, top + rectangle_height, top), left, left + rectangle_width)
    top, bottom, left, right = torch.stack(ends).to(images.device, non_blocking=True)  # (B, 1) each
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    in_rows = (rows >= top) & (rows < bottom)  # (B, H)
    in_columns = (columns >= left) & (columns < right)  # (B, W)
    mask = in_rows[:, :, None] & in_columns[:, None, :]  # (B, H, W)
    return images.masked_fill(mask[:, None], value)


@cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Once for each device: a copy from the host at each call would make the device wait."""
    with torch.inference_mode(False):  # training may ask after inference did
        mean = torch.tensor(IMAGENET_MEAN, device=device).view(1, 3, 1, 1)
        std = torch.tensor(IMAGENET_STD, device=device).view(1, 3, 1, 1)
    return mean, std
