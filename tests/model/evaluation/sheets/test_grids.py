"""Contact sheets: every picture stands where its row and column say."""

import numpy as np
import pytest

from dgnet.arrays import Pixels
from dgnet.model.evaluation.sheets.grids import swap_grid, triples_sheet

HEIGHT, WIDTH = 8, 4


def plain(*levels: int) -> Pixels:
    """Pictures of one level each: (N, H, W, 3)."""
    pictures = np.zeros((len(levels), HEIGHT, WIDTH, 3), dtype=np.uint8)
    return pictures + np.array(levels, dtype=np.uint8).reshape(-1, 1, 1, 1)


def levels_in_order(sheet: Pixels) -> list[int]:
    """Levels of the plain pictures met row by row, left to right, at their top left pixel."""
    gray = sheet[:, :, 0].astype(int)
    met: list[int] = []
    for y, x in np.argwhere(gray != 255):
        if (y == 0 or gray[y - 1, x] != gray[y, x]) and (x == 0 or gray[y, x - 1] != gray[y, x]):
            met.append(int(gray[y, x]))
    return met


@pytest.mark.parametrize("scale", [1, 2])
def test_a_swap_grid_has_structures_above_and_appearances_at_the_left(scale: int) -> None:
    composites = plain(11, 12, 13, 21, 22, 23).reshape(2, 3, HEIGHT, WIDTH, 3)
    sheet = swap_grid(plain(10, 20), plain(1, 2, 3), composites, scale=scale)
    assert levels_in_order(np.asarray(sheet)) == [1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]


def test_a_swap_grid_keeps_pictures_exact_and_margins_even() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (1, HEIGHT, WIDTH, 3), dtype=np.uint8)
    sheet = np.asarray(swap_grid(picture, picture, picture[None], scale=1))
    assert np.array_equal(sheet[-3 - HEIGHT : -3, -3 - WIDTH : -3], picture[0])
    assert (sheet[-3:] == 255).all()
    assert (sheet[:, -3:] == 255).all()


def test_composites_that_do_not_fit_rows_and_columns_are_refused() -> None:
    with pytest.raises(ValueError, match=r"need composites \(2, 3, 8, 4, 3\)"):
        swap_grid(plain(1, 2), plain(1, 2, 3), plain(1, 2, 3, 4).reshape(2, 2, HEIGHT, WIDTH, 3))


def test_a_triples_sheet_reads_appearance_structure_composite_truth() -> None:
    sheet = np.asarray(
        triples_sheet(plain(1, 11), plain(2, 12), plain(3, 13), plain(4, 14), across=1, scale=20)
    )
    body = sheet[18:]  # below the labels
    assert levels_in_order(body) == [1, 2, 3, 4, 11, 12, 13, 14]
    assert (sheet[:18] != 255).any()


def test_triples_share_lines() -> None:
    side_by_side = triples_sheet(*[plain(1, 2, 3)] * 4, across=3)
    one_below_another = triples_sheet(*[plain(1, 2, 3)] * 4, across=1)
    assert side_by_side.width > one_below_another.width
    assert side_by_side.height < one_below_another.height


def test_columns_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="four times the same"):
        triples_sheet(plain(1), plain(1), plain(1), plain(1, 2))
