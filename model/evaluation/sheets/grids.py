"""Contact sheets of composites, for the eye that no measure replaces.

Everything takes uint8 pictures (H, W, 3) in RGB and returns a Pillow image; saving it (PNG keeps it
exact) is left to the caller.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dgnet.arrays import Pixels
from dgnet.pictures.sheets import crossed

_MARGIN = 3
# Sets the input pictures apart from the composites.
_HEADER_GAP = 9
_TEXT_HEIGHT = 18
_BACKGROUND = (255, 255, 255)
_INK = (60, 60, 60)
_BICUBIC = Image.Resampling.BICUBIC

TRIPLE_COLUMNS = ("appearance", "structure", "composite", "truth")


def swap_grid(
    appearances: Pixels, structures: Pixels, composites: Pixels, *, scale: int = 2
) -> Image.Image:
    """Structures (C, H, W, 3) across the top, appearances (R, H, W, 3) down the left.

    composites (R, C, H, W, 3): the cell in row r and column c wears the clothes of appearance r in
    the pose of structure c. `scale` enlarges every picture.
    """
    rows, height, width, _ = appearances.shape
    columns = len(structures)
    expected = (rows, columns, height, width, 3)
    if composites.shape != expected or structures.shape != (columns, height, width, 3):
        raise ValueError(
            f"{rows} appearances {appearances.shape[1:]} and {columns} structures "
            f"{structures.shape[1:]} need composites {expected}, got {composites.shape}"
        )
    top, left = (_enlarged(pictures, scale) for pictures in (structures, appearances))
    cells = np.stack([_enlarged(row, scale) for row in composites])
    return Image.fromarray(crossed(top, left, cells, gap=_MARGIN, apart=_HEADER_GAP))


def triples_sheet(
    appearances: Pixels,
    structures: Pixels,
    composites: Pixels,
    truths: Pixels,
    *,
    across: int = 3,
    scale: int = 2,
    labels: Sequence[str] = TRIPLE_COLUMNS,
) -> Image.Image:
    """Each triple as four pictures side by side with its composite before the truth.

    All (N, H, W, 3); `across` triples share a line, `labels` stand above the four columns of each.
    """
    columns = (appearances, structures, composites, truths)
    shapes = [pictures.shape for pictures in columns]
    if len(set(shapes)) != 1 or appearances.ndim != 4:
        raise ValueError(f"pictures of shapes {shapes}; expected four times the same (N, H, W, 3)")
    if len(labels) != len(columns):
        raise ValueError(f"{len(labels)} labels {tuple(labels)}; expected {len(columns)}")
    count, height, width, _ = appearances.shape
    across = min(across, count)
    lines = -(-count // across)
    cell_width, cell_height = width * scale + _MARGIN, height * scale + _MARGIN
    group_width = cell_width * len(columns) + _HEADER_GAP
    sheet = _sheet(
        across * group_width + _MARGIN - _HEADER_GAP, lines * cell_height + _TEXT_HEIGHT + _MARGIN
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for group in range(across):
        for column, label in enumerate(labels):
            center = _MARGIN + group * group_width + column * cell_width + width * scale // 2
            draw.text((center, _TEXT_HEIGHT // 2), label, fill=_INK, font=font, anchor="mm")
    for triple in range(count):
        line, group = divmod(triple, across)
        for column, pictures in enumerate(columns):
            x = _MARGIN + group * group_width + column * cell_width
            _paste(sheet, pictures[triple], x, _TEXT_HEIGHT + line * cell_height, scale)
    return sheet


def _sheet(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), _BACKGROUND)


def _paste(sheet: Image.Image, picture: Pixels, x: int, y: int, scale: int) -> None:
    sheet.paste(Image.fromarray(_enlarged(picture[None], scale)[0]), (x, y))


def _enlarged(pictures: Pixels, scale: int) -> Pixels:
    """(B, H, W, 3) -> (B, scale * H, scale * W, 3)."""
    if scale == 1:
        return pictures
    _, height, width, _ = pictures.shape
    size = (width * scale, height * scale)
    images = [Image.fromarray(picture) for picture in pictures]
    return np.stack([np.asarray(image.resize(size, _BICUBIC)) for image in images])
