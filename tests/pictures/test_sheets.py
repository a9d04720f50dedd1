"""Many pictures on one."""

from __future__ import annotations

import numpy as np

from dgnet.pictures.sheets import grid, lines


def test_pictures_lie_in_lines_with_gaps_between_and_a_margin_around() -> None:
    pictures = [np.full((2, 3, 3), level, np.uint8) for level in (1, 2, 3)]
    sheet = grid(lines(pictures, across=2), gap=1, margin=4)
    assert sheet.shape == (4 + 2 + 1 + 2 + 4, 4 + 3 + 1 + 3 + 4, 3)
    assert sheet[:, :, 0].tolist()[4:9] == [
        [255] * 4 + [1, 1, 1, 255, 2, 2, 2] + [255] * 4,
        [255] * 4 + [1, 1, 1, 255, 2, 2, 2] + [255] * 4,
        [255] * 15,
        [255] * 4 + [3, 3, 3] + [255] * 8,
        [255] * 4 + [3, 3, 3] + [255] * 8,
    ]


def test_a_place_may_stay_free() -> None:
    black = np.zeros((1, 1, 3), np.uint8)
    assert grid([[None, black], [black]], gap=0)[:, :, 0].tolist() == [[255, 0], [0, 255]]
