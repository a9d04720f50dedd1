"""Independent streams of random numbers, one for each thing that is drawn.

Whatever is drawn for one person, camera or picture depends on nothing else drawn before it, so
pictures can be rendered in any order and by any number of processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Purpose(IntEnum):
    """What a stream is for; the numbers are part of what a seed means and never change."""

    STRUCTURE = 1
    APPEARANCE = 2
    SCENE = 3
    CAMERA = 4
    CAMERAS_OF_PERSON = 5
    BYSTANDER = 6
    TRUTH = 7
    LOOKALIKE = 8
    ORDER = 9
    WORLD = 10


def stream(seed: int, purpose: Purpose, *keys: int) -> np.random.Generator:
    """The stream of one thing, e.g. `stream(seed, Purpose.SCENE, person, camera, picture)`."""
    return np.random.default_rng([seed, int(purpose), *keys])


def choose(random: np.random.Generator, options: Sequence[T], weights: Sequence[float]) -> T:
    """One of the options, drawn by weights that need not sum to one."""
    shares = np.asarray(weights, np.float64)
    return options[int(random.choice(len(options), p=shares / shares.sum()))]


def choose_from(random: np.random.Generator, weights: Mapping[T, float]) -> T:
    """One of the keys, drawn by the values."""
    return choose(random, list(weights), list(weights.values()))
