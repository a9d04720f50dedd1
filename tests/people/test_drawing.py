"""Raster, view, shading and filters against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dgnet.people.arrays import Floats, Ints
from dgnet.people.colors import linear, to_srgb
from dgnet.people.development import Sensor, develop
from dgnet.people.images import blurred, eroded, paste, resized, streaked
from dgnet.people.noise import value_noise
from dgnet.people.raster import rasterize, rasterize_heights
from dgnet.people.shading.light import Light, lit_share, shadow_map
from dgnet.people.view import TARGET_HEIGHT, Margins, crop

SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], np.float32)
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def drawn(
    points: Floats, triangles: Ints, inside: Floats | None = None, closed: bool = False
) -> tuple[Floats, Ints]:
    depth = np.zeros((6, 6), np.float32)
    ids = np.full((6, 6), -1, np.int32)
    weights = np.zeros((6, 6, 2), np.float32)
    kept = np.ones(len(points), np.float32) if inside is None else inside
    backs = np.full(len(triangles), closed)
    rasterize(points, triangles, kept, backs, depth, ids, weights)
    return depth, ids


def at_depth(inverse: float) -> Floats:
    return np.concatenate([SQUARE, np.full((4, 1), inverse, np.float32)], axis=1)


def test_a_square_covers_the_samples_whose_middle_it_covers() -> None:
    depth, ids = drawn(at_depth(0.5), TRIANGLES)
    assert (ids[:4, :4] >= 0).all()
    assert (ids[4:] == -1).all()
    assert (ids[:, 4:] == -1).all()
    assert depth[1, 1] == pytest.approx(0.5)


def test_the_nearer_triangle_wins_in_either_order() -> None:
    both = np.concatenate([at_depth(0.2), at_depth(0.9)])
    near_last = np.concatenate([TRIANGLES, TRIANGLES + 4]).astype(np.int32)
    assert (drawn(both, near_last)[0][:4, :4] == np.float32(0.9)).all()
    assert (drawn(both, near_last[::-1].copy())[0][:4, :4] == np.float32(0.9)).all()


def test_a_field_cuts_between_vertices() -> None:
    field = np.array([1, -1, -1, 1], np.float32)  # zero halfway across
    _, ids = drawn(at_depth(1), TRIANGLES, field)
    assert (ids[:4, :2] >= 0).all()
    assert (ids[:4, 2:] == -1).all()


def test_backs_of_closed_surfaces_are_not_drawn() -> None:
    one, _ = drawn(at_depth(1), TRIANGLES, closed=True)
    other, _ = drawn(at_depth(1), TRIANGLES[:, ::-1].copy(), closed=True)
    assert sorted([bool(one.any()), bool(other.any())]) == [False, True]


def test_heights_are_those_of_the_highest_surface() -> None:
    both = np.concatenate([at_depth(2), at_depth(7)])
    heights = np.full((6, 6), -1, np.float32)
    triangles = np.concatenate([TRIANGLES + 4, TRIANGLES]).astype(np.int32)
    rasterize_heights(both, triangles, np.ones(8, np.float32), heights)
    assert (heights[:4, :4] == 7).all()
    assert (heights[4:] == -1).all()


def test_what_the_camera_looks_at_lies_in_the_middle_of_the_plane() -> None:
    joints = np.array([[0, 0, 0], [0, TARGET_HEIGHT, 0], [0, 2 * TARGET_HEIGHT, 0.0]])
    margins = Margins(top=0, bottom=0, shift=0, aspect=0.5)
    view = crop(joints, 0.0, 100.0, margins)
    column, row, inverse = view.samples(joints, 128, 64)[1]
    assert column == pytest.approx(32)
    assert 55 < row < 73
    assert inverse == pytest.approx(0.01)


def test_all_joints_lie_within_a_crop_without_negative_margins() -> None:
    joints = np.random.default_rng(0).uniform([-4, 4, -4], [4, 12, 4], (20, 3))
    view = crop(joints, 0.3, 80.0, Margins(top=0, bottom=0, shift=0, aspect=0.4))
    places = view.samples(joints, 128, 64)
    assert places[:, 0].min() > 0
    assert places[:, 0].max() < 64
    assert places[:, 1].min() > 0
    assert places[:, 1].max() < 128


def test_a_roof_shades_what_is_below_it() -> None:
    roof = np.array([[-2, 5, -2], [2, 5, -2], [2, 5, 2], [-2, 5, 2]], np.float32)
    light = Light(to_sun=(0.0, 0.8, 0.6), sun=(1, 1, 1), sky=(1, 1, 1), ground=(1, 1, 1))
    heights, shadow = shadow_map(roof, TRIANGLES, np.ones(4, np.float32), light)
    # The sun stands towards +z: the shadow of the roof's middle falls 5 * 0.6 / 0.8 behind it.
    assert lit_share(heights, shadow[0], 0, 0, -3.75, 0.1) == 0
    assert lit_share(heights, shadow[0], 0, 0, 4.0, 0.1) == 1
    assert lit_share(heights, shadow[0], 0, 6, 0.0, 0.1) == 1


def test_blurring_keeps_the_sum_and_a_flat_picture() -> None:
    spot = np.zeros((21, 21, 3), np.float32)
    spot[10, 10] = 1
    soft = blurred(spot, 1.5)
    assert soft.sum() == pytest.approx(3, rel=1e-5)
    assert soft[10, 10, 0] == pytest.approx(1 / (2 * np.pi * 1.5**2), rel=0.05)
    flat = np.full((9, 9), 0.3, np.float32)
    np.testing.assert_allclose(blurred(flat, 3.0), 0.3, rtol=1e-6)


def test_a_streak_is_a_row_of_equal_shares() -> None:
    spot = np.zeros((5, 9, 1), np.float32)
    spot[2, 4] = 1
    assert streaked(spot, 3)[2, :, 0] == pytest.approx([0, 0, 0, 1 / 3, 1 / 3, 1 / 3, 0, 0, 0])


def test_reducing_takes_the_mean_of_each_block() -> None:
    image = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    assert resized(image, 2, 2)[:, :, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]


def test_eroding_takes_a_margin_off_and_leaves_the_border() -> None:
    mask = np.ones((9, 9), np.bool_)
    mask[4, 4] = False
    left = eroded(mask, 2)
    assert not left[2:7, 2:7].any()
    assert left.sum() == 81 - 25


def test_noise_is_smooth_and_between_its_lattice_values() -> None:
    lattice = [value_noise(float(i), 2.0, 3.0) for i in range(20)]
    assert len(set(lattice)) == 20
    assert all(0 <= value <= 1 for value in lattice)
    assert value_noise(0.5, 2.0, 3.0) == pytest.approx((lattice[0] + lattice[1]) / 2)


def test_srgb_and_back() -> None:
    assert linear((255, 0, 10)) == pytest.approx([1, 0, 0.003035], abs=1e-5)
    assert to_srgb(linear((12, 130, 250))) == pytest.approx([12, 130, 250])


PLAIN_SENSOR = Sensor(
    exposure=1, cast=(1, 1, 1), resolution=1, blur=0, gamma=1, contrast=1, black=0, saturation=1,
    noise=0, sharpening=0, quality=90,
)  # fmt: skip


def test_a_perfect_sensor_shows_a_gray_card_as_it_is() -> None:
    card = np.full((128, 64, 3), 0.2140, np.float32)  # middle gray of sRGB
    pixels = develop(card, PLAIN_SENSOR, 1.0, np.random.default_rng(0))
    assert np.abs(pixels.astype(int) - 127).max() <= 1


def test_longer_exposure_is_brighter_and_never_wraps_around() -> None:
    card = np.full((128, 64, 3), 0.2, np.float32)
    means = [
        float(develop(card, PLAIN_SENSOR, gain, np.random.default_rng(0)).mean())
        for gain in (0.5, 1, 4, 50)
    ]
    assert means == sorted(means)
    assert means[-1] == pytest.approx(255, abs=1)


def test_a_sprite_stands_with_its_feet_where_it_was_put() -> None:
    picture = np.zeros((40, 40, 3), np.float32)
    sprite = np.zeros((64, 32, 4), np.float32)
    sprite[..., 3] = 1
    sprite[..., :3] = 0.5
    paste(picture, sprite, 20.0, 30.0, 16.0)
    rows, columns = np.nonzero(picture[:, :, 0])
    assert (rows.min(), rows.max()) == (14, 29)
    assert (columns.min(), columns.max()) == (16, 23)
    paste(picture, sprite, 0.0, 45.0, 16.0)  # cut by the border
    assert picture[39, 0, 0] == pytest.approx(0.5)
