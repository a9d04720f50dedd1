"""Sharpness against Laplacians worked out by hand."""

import numpy as np
import pytest

from dgnet.arrays import Pixels
from dgnet.model.evaluation.composites.sharpness import Sharpness, SharpnessTally, luma_laplacian


def gray(levels: list[list[int]]) -> Pixels:
    """One gray picture (1, H, W, 3)."""
    return np.repeat(np.array(levels, np.uint8)[None, :, :, None], 3, axis=3)


# A spot has the Laplacian -4 at its place and 1 at each neighbor, times its level.
STRUCTURE = gray([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
TRUTH = gray([[0, 0, 0, 0, 0], [0, 40, 0, 10, 0], [0, 0, 0, 0, 0]])


def test_the_laplacian_is_of_luma_in_thousandths() -> None:
    assert luma_laplacian(TRUTH).tolist() == [[[-160_000, 50_000, -40_000]]]
    red = TRUTH * np.array([1, 0, 0], np.uint8)
    assert luma_laplacian(red).tolist() == [[[-160 * 299, 50 * 299, -40 * 299]]]


def measured(*composites: Pixels, structure: Pixels, truth: Pixels) -> Sharpness:
    tally = SharpnessTally()
    for composite in composites:
        tally.add(composite, structure, truth)
    return tally.sharpness()


def test_inside_and_outside_are_apart() -> None:
    # Of the two rows that are not at the edge, the left 2 x 2 pixels changed (by 40 and 30
    # levels), the right 2 x 2 did not.
    structure = gray([[0] * 6, [0, 0, 0, 0, 8, 0], [0] * 6, [0] * 6])
    truth = gray([[0] * 6, [0, 40, 40, 0, 8, 0], [0, 40, 30, 0, 0, 0], [0] * 6])
    made = gray([[0] * 6, [0, 20, 20, 0, 8, 0], [0, 20, 15, 0, 0, 0], [0] * 6])
    found = measured(made, structure=structure, truth=truth)
    assert found.inside == pytest.approx(0.5)
    # Truth outside: 40 + 8, -32; 30, 8. The composite's: 28, -32; 15, 8.
    assert found.outside == pytest.approx(np.std([28, -32, 15, 8]) / np.std([48, -32, 30, 8]))


def test_all_triples_are_pooled_whatever_the_batches() -> None:
    structure = np.concatenate([STRUCTURE, STRUCTURE])
    truth = np.concatenate([TRUTH, TRUTH])
    whole = SharpnessTally()
    whole.add(np.concatenate([STRUCTURE, TRUTH]), structure, truth)
    parts = SharpnessTally()
    parts.add(STRUCTURE, STRUCTURE, TRUTH)
    parts.add(TRUTH, STRUCTURE, TRUTH)
    assert parts.sharpness() == whole.sharpness()
    # Inside is the spot of 40 alone; its Laplacian is the same in both true pictures.
    assert whole.sharpness().inside is None
    # Outside, the composites have 0, 0 and 50, -40, the true pictures 50, -40 twice.
    assert whole.sharpness().outside == pytest.approx(
        np.std([0, 0, 50, -40]) / np.std([50, -40, 50, -40])
    )


def test_a_copy_of_the_truth_is_as_sharp_as_the_truth() -> None:
    draws = np.random.default_rng(0)
    truth = draws.integers(0, 256, (2, 8, 6, 3), dtype=np.uint8)
    structure = truth.copy()
    structure[:, :, :3] = 255 - truth[:, :, :3]
    assert measured(truth, structure=structure, truth=truth) == Sharpness(inside=1, outside=1)


def test_figures_are_those_of_floating_point() -> None:
    """As the prototype had them, so that they compare with the past."""
    draws = np.random.default_rng(1)
    made, structure, truth = draws.integers(0, 256, (3, 4, 16, 8, 3), dtype=np.uint8)
    structure[:, :8] = truth[:, :8]

    def laplacian(pictures: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        y: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = pictures.astype(np.float64) @ (
            np.array([0.299, 0.587, 0.114])
        )
        across = y[:, 1:-1, :-2] + y[:, 1:-1, 2:]
        return -4 * y[:, 1:-1, 1:-1] + y[:, :-2, 1:-1] + y[:, 2:, 1:-1] + across

    changed = (np.abs(structure.astype(int) - truth).max(3) > 24)[:, 1:-1, 1:-1]
    found = measured(made, structure=structure, truth=truth)
    ours, theirs = laplacian(made), laplacian(truth)
    assert found.inside == pytest.approx(ours[changed].std() / theirs[changed].std())
    assert found.outside == pytest.approx(ours[~changed].std() / theirs[~changed].std())
