"""What a change of clothes changes in a picture, told before any camera develops it.

Two renderings of one scene are compared sample by sample: a sample is changed where another surface
is seen, or the same one made of another material, whatever the colors; so the mask has no holes
where the clothes of both happen to agree. Beyond that, pixels whose light differs are changed:
cloth that hangs otherwise, and shadows. A pixel is changed if any of its samples is.
"""

from __future__ import annotations

import numpy as np

from dgnet.people.arrays import Bools, Doubles, Floats, Ints, Pixels
from dgnet.people.compiled import compiled
from dgnet.people.materials import HAIR, INNER, SKIN, TOP, Part
from dgnet.people.raster import corner_shares
from dgnet.people.render import Rendering
from dgnet.people.shading.figure import NO_STRAP, STRAPS_TO, from_strap

NOTHING, STRAP = -1, len(Part)
"""What a sample shows beside the parts."""
RELATIVE, ABSOLUTE = 0.03, 0.002
"""Difference of linear light, as a share of it and at least, that is seen: some two levels of 255.
Edges of shadows move by less between figures of other outlines."""


def changed_pixels(one: Rendering, other: Rendering) -> Pixels:
    """255 where two renderings (H, W) of one scene show other surfaces or light, else 0."""
    first, second = _surfaces(one), _surfaces(other)
    changed = (first != second) | ~_same_materials(one, other)[first]
    height, width = one.mask.shape
    factor = changed.shape[0] // height
    in_pixel = changed.reshape(height, factor, width, factor).any(axis=(1, 3))
    light = np.abs(one.linear - other.linear)
    noticed = light > RELATIVE * np.maximum(one.linear, other.linear) + ABSOLUTE
    return np.where((in_pixel & one.uncovered) | noticed.any(axis=2), 255, 0).astype(np.uint8)


def _same_materials(one: Rendering, other: Rendering) -> Bools:
    """For each part, then the straps, then nothing: whether both are made of the same."""
    mine, its = one.dressed, other.dressed
    same = np.array(
        [
            mine.materials[part].tobytes() == its.materials[part].tobytes()
            and bool((mine.motifs[part] == its.motifs[part]).all())
            for part in Part
        ]
    )
    same[SKIN] &= same[HAIR]  # brows, beard and stubble
    strap = bool((mine.strap == its.strap).all())
    return np.array([*same, strap, True])


def _surfaces(rendering: Rendering) -> Ints:
    """Which part each sample (H S, W S) shows, STRAP, or NOTHING."""
    samples, dressed = rendering.samples, rendering.dressed
    figure = dressed.figure
    found = np.append(figure.parts, np.int32(NOTHING))[samples.ids].astype(np.int32)
    if dressed.strap[0] > NO_STRAP:
        _find_straps(
            samples.ids,
            samples.weights,
            figure.triangles,
            figure.surface,
            samples.inverse_depth,
            dressed.strap,
            found,
        )
    return found


@compiled
def _find_straps(
    ids: Ints,
    weights: Floats,
    triangles: Ints,
    surface: Floats,
    inverse_depth: Floats,
    strap: Doubles,
    found: Ints,
) -> None:
    """Write STRAP where the shading paints the straps of a bag on the torso."""
    for i in range(ids.shape[0]):
        for j in range(ids.shape[1]):
            on_skin = found[i, j] == SKIN and strap[6] > 0
            if found[i, j] != TOP and found[i, j] != INNER and not on_skin:
                continue
            a = triangles[ids[i, j], 0]
            b = triangles[ids[i, j], 1]
            c = triangles[ids[i, j], 2]
            l0, l1, l2 = corner_shares(weights, inverse_depth, a, b, c, i, j)
            x = l0 * surface[a, 0] + l1 * surface[b, 0] + l2 * surface[c, 0]
            y = l0 * surface[a, 1] + l1 * surface[b, 1] + l2 * surface[c, 1]
            z = l0 * surface[a, 2] + l1 * surface[b, 2] + l2 * surface[c, 2]
            arm = l0 * surface[a, 4] + l1 * surface[b, 4] + l2 * surface[c, 4]
            if arm >= 0.5 or y <= 1.0 or (on_skin and y >= STRAPS_TO):
                continue
            if from_strap(strap, x, y, z) < strap[5]:
                found[i, j] = STRAP
