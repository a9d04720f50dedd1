"""A picture of rankings: each query beside the pictures that were found for it, best first.

A frame says whether a found picture shows the query's person, green for right and red for wrong;
the caption (person and camera) says it too. Junk is left out, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dgnet.model.data.picture import NO_CAMERA, Picture
from dgnet.model.data.transforms import decode_picture
from dgnet.model.evaluation.retrieval.ranking import Rankings, best_pictures
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet
from dgnet.model.evaluation.retrieval.similarity import Similarity

QUERIES = 10
FOUND = 10

_HEIGHT, _WIDTH = 128, 64
_FRAME = 4
_MARGIN = 4
_CAPTION = 16
# Sets the query apart from what was found for it.
_QUERY_GAP = 12
_BACKGROUND = (255, 255, 255)
_INK = (60, 60, 60)
# Told apart by most color-blind eyes (Okabe and Ito's bluish green and vermilion).
RIGHT = (0, 158, 115)
WRONG = (213, 94, 0)

_CELL_WIDTH = _WIDTH + 2 * _FRAME + _MARGIN
_CELL_HEIGHT = _HEIGHT + 2 * _FRAME + _CAPTION + _MARGIN


def ranked_results(
    similarity: Similarity,
    query: RetrievalSet,
    gallery: RetrievalSet,
    query_pictures: Sequence[Picture],
    gallery_pictures: Sequence[Picture],
    rows: Sequence[int],
) -> Image.Image:
    """A line each for `rows` of the query."""
    sheet = Image.new("RGB", sheet_size(len(rows)), _BACKGROUND)
    for line, row in enumerate(rows):
        top = _MARGIN + line * _CELL_HEIGHT
        _paste(sheet, query_pictures[row], _MARGIN, top, _INK)
        found, right = best_pictures(similarity, query, gallery, row, FOUND)
        for place, (column, is_right) in enumerate(zip(found, right, strict=True)):
            left = _MARGIN + _QUERY_GAP + (place + 1) * _CELL_WIDTH
            _paste(sheet, gallery_pictures[int(column)], left, top, RIGHT if is_right else WRONG)
    return sheet


def sheet_size(queries: int) -> tuple[int, int]:
    """Width and height in pixels."""
    return _MARGIN + _QUERY_GAP + (FOUND + 1) * _CELL_WIDTH, _MARGIN + queries * _CELL_HEIGHT


def draw_queries(rankings: Rankings, seed: int) -> list[int]:
    """Up to `QUERIES` rows in the query's order, drawn among those that have a match."""
    valid = np.flatnonzero(rankings.matches)
    drawn = np.random.Generator(np.random.PCG64(seed)).permutation(valid)[:QUERIES]
    return sorted(drawn.tolist())


def _paste(
    sheet: Image.Image, picture: Picture, left: int, top: int, color: tuple[int, int, int]
) -> None:
    draw = ImageDraw.Draw(sheet)
    right, bottom = left + _WIDTH + 2 * _FRAME, top + _HEIGHT + 2 * _FRAME
    draw.rectangle((left, top, right - 1, bottom - 1), fill=color)
    pixels = decode_picture(picture.path, _HEIGHT, _WIDTH)
    sheet.paste(Image.fromarray(pixels), (left + _FRAME, top + _FRAME))
    draw.text(
        ((left + right) // 2, bottom + _CAPTION // 2),
        _caption(picture),
        fill=_INK,
        font=ImageFont.load_default(size=11),
        anchor="mm",
    )


def _caption(picture: Picture) -> str:
    camera = "" if picture.camera_id == NO_CAMERA else f" c{picture.camera_id}"
    return f"{picture.person_id}{camera}"
