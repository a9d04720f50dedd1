"""Recipes: what equal seeds mean. A recipe never changes; a better one gets a new number.

Recipe 2 made the sets and weights that ship. Recipe 3 draws what a network meets on photographs:
patterned clothes, straps and hair over them, and pictures as all kinds of cameras make and cut
them. A seed draws the same bodies and places under both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dgnet.people.clothes.outfit import Appearance
from dgnet.people.drawing.appearance import draw_appearance
from dgnet.people.drawing.camera import draw_camera
from dgnet.people.drawing.carried import draw_laden_structure
from dgnet.people.drawing.conditions import draw_camera_with_habit, draw_scene_as_found
from dgnet.people.drawing.scene import draw_scene
from dgnet.people.drawing.structure import draw_structure
from dgnet.people.drawing.wardrobe import draw_varied_appearance
from dgnet.people.scene import Camera, Scene
from dgnet.people.structure import Structure

DEFAULT_RECIPE = 2
TRUTH_QUALITY = 95
"""JPEG quality of recipe 2's triples: what a composite is compared with should not add blocks of
its own."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How persons and scenes are drawn, and how triples are written."""

    number: int
    appearance: Callable[[np.random.Generator, bool, bool], Appearance]  # feminine, child
    structure: Callable[[np.random.Generator], Structure]
    camera: Callable[[np.random.Generator, int], Camera]  # by number
    scene: Callable[[np.random.Generator, Camera, Structure], Scene]
    truth_quality: int | None
    """JPEG quality of triples; None is each scene's own, so the structure's for truths."""
    truths_with_changed: bool
    """Whether triples always come with the mask of what the change of clothes changed."""


RECIPES: dict[int, Recipe] = {
    2: Recipe(
        number=2,
        appearance=draw_appearance,
        structure=draw_structure,
        camera=draw_camera,
        scene=draw_scene,
        truth_quality=TRUTH_QUALITY,
        truths_with_changed=False,
    ),
    3: Recipe(
        number=3,
        appearance=draw_varied_appearance,
        structure=draw_laden_structure,
        camera=draw_camera_with_habit,
        scene=draw_scene_as_found,
        truth_quality=None,
        truths_with_changed=True,
    ),
}


def recipe_of(number: int) -> Recipe:
    """The recipe of this number; ValueError names those there are."""
    if number not in RECIPES:
        known = " or ".join(str(known) for known in RECIPES)
        raise ValueError(f"recipe: {number}, expected {known}")
    return RECIPES[number]
