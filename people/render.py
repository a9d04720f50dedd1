"""From a dressed figure and a scene to a picture in linear light.

Foreground and backdrop are rendered apart: the person supersampled with coverage, the backdrop at
little more than the picture's size, then composed. H x W are the picture's pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dgnet.people.arrays import Bools, Doubles, Floats, Ints, Pixels, Records
from dgnet.people.body.mesh import normals_of
from dgnet.people.clothes.outfit import Appearance
from dgnet.people.colors import Paint
from dgnet.people.figure import Figure, Posed, build_figure, posed
from dgnet.people.foreground import Sprite, occluder_layer
from dgnet.people.images import blurred, eroded, paste, resized
from dgnet.people.materials import Fabric, Part, material_table
from dgnet.people.raster import rasterize
from dgnet.people.scene import Bystander, Scene
from dgnet.people.shading.backdrop import shade_backdrop
from dgnet.people.shading.figure import (
    CROSS_STRAP,
    HANGING_STRAP,
    ONE_STRAP,
    STRAP_COLUMNS,
    TWO_STRAPS,
    shade_figure,
)
from dgnet.people.shading.light import shadow_map
from dgnet.people.shading.skin import FRAMES, NO_GLASSES, SUNGLASSES
from dgnet.people.structure import Bag, BagKind, StrapKind, Structure
from dgnet.people.view import View, crop

BACKDROP_ROWS = 256
"""The backdrop is rendered at this height at least; finer detail than a camera shows."""
HIDDEN_MARGIN = 4
"""Pixels from its outline on, what is behind a person need not be rendered."""
GLASSES = {"none": NO_GLASSES, "frames": FRAMES, "sunglasses": SUNGLASSES}
FLAT_STRAPS: dict[BagKind, tuple[float, float]] = {
    "backpack": (TWO_STRAPS, 0.23), "shoulder bag": (CROSS_STRAP, 0.14),
}  # fmt: skip
"""Kind and half width of straps that are but painted."""

Sprites = Callable[[int], Sprite]
"""One of the camera's strangers by number."""


@dataclass(frozen=True, kw_only=True)
class Dressed:
    """A figure with its materials: one person's appearance on one person's structure."""

    figure: Figure
    materials: Records
    motifs: Doubles
    face: Doubles
    strap: Doubles


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What the rasterizer found at each of S x S samples a pixel."""

    ids: Ints  # (H S, W S) triangle, -1 none
    weights: Floats  # (H S, W S, 2) shares of its first two corners on the screen
    inverse_depth: Floats  # (N,) of the vertices


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """One picture before development."""

    linear: Floats  # (H, W, 3)
    mask: Pixels  # (H, W) 255 where the person is seen, else 0
    occlusion: float  # share of the person within the crop that is covered
    keypoints: Doubles  # (16, 3) column and row in pixels, and 0 outside, 1 covered, 2 seen
    view: View
    dressed: Dressed
    samples: Samples
    uncovered: Bools  # (H, W) where nothing in front of the person hides all that is behind


@dataclass(frozen=True, kw_only=True)
class PersonLayer:
    """A person without surroundings."""

    color: Floats  # (H, W, 4) premultiplied linear RGB, coverage
    depth: Floats  # (H S, W S) 1/depth
    view: View
    body: Posed
    heights: Floats  # shadow map
    shadow: Records
    samples: Samples


def dress(appearance: Appearance, structure: Structure) -> Dressed:
    """Put a person's appearance on a person's structure."""
    worn = appearance
    fabrics: dict[Part, Fabric] = {
        Part.SKIN: Fabric.plain(worn.skin, specular=0.04),
        Part.TOP: worn.top.fabric,
        Part.INNER: worn.inner.fabric if worn.inner is not None else worn.top.fabric,
        Part.BOTTOM: worn.bottom.fabric,
        Part.SHOES: worn.shoes.fabric,
        Part.HAIR: Fabric.plain(worn.hair, grain=0.9, specular=1.0),
        Part.SOCKS: worn.bottom.hosiery or worn.shoes.sock_fabric or Fabric.plain(worn.skin),
    }
    if structure.hat is not None:
        fabrics[Part.HAT] = structure.hat.fabric
    bag = structure.bag
    if bag is not None:
        fabrics[Part.BAG], fabrics[Part.BAG_POCKET] = bag.fabric, bag.pocket
    if structure.bicycle is not None:
        fabrics[Part.FRAME] = structure.bicycle.frame
        fabrics[Part.TIRES] = Fabric.plain(Paint("black", (0.015, 0.015, 0.016)))
    materials, motifs = material_table(fabrics)
    face = structure.face
    return Dressed(
        figure=build_figure(appearance, structure),
        materials=materials,
        motifs=motifs,
        face=np.array([face.beard, face.lipstick, GLASSES[face.glasses]]),
        strap=_strap(bag),
    )


def _strap(bag: Bag | None) -> Doubles:
    """The columns of `dgnet.people.shading.figure`."""
    columns = np.zeros(STRAP_COLUMNS)
    if bag is None:
        return columns
    columns[1] = 1 if bag.side == "l" else -1
    if bag.strap is not None:
        kinds: dict[StrapKind, float] = {
            "two": TWO_STRAPS, "across": CROSS_STRAP, "one": ONE_STRAP, "hanging": HANGING_STRAP,
        }  # fmt: skip
        columns[0] = kinds[bag.strap.kind]
        columns[2:5] = bag.strap.paint.rgb
        columns[5], columns[6] = bag.strap.half_width, 1
    elif bag.kind in FLAT_STRAPS:
        columns[0], columns[5] = FLAT_STRAPS[bag.kind]
        columns[2:5] = np.array(bag.fabric.base.rgb) * 0.8
    return columns


def render_person(
    dressed: Dressed, scene: Scene, height: int, width: int, supersampling: int
) -> PersonLayer:
    """The person alone, with coverage."""
    figure, camera = dressed.figure, scene.camera
    body = posed(figure, scene.pose, scene.yaw, scene.fold_seed)
    view = crop(body.joints, float(np.radians(scene.pitch_degrees)), scene.distance, scene.margins)
    rows, columns = height * supersampling, width * supersampling
    points = view.samples(body.vertices, rows, columns).astype(np.float32)
    depth = np.zeros((rows, columns), np.float32)
    ids: Ints = np.full((rows, columns), -1, np.int32)
    weights = np.zeros((rows, columns, 2), np.float32)
    rasterize(points, figure.triangles, figure.inside, figure.closed, depth, ids, weights)
    heights, shadow = shadow_map(body.vertices, figure.triangles, figure.inside, camera.light)
    color = np.zeros((rows, columns, 4), np.float32)
    color[:, :, 3] = ids >= 0
    inverse_depth = np.ascontiguousarray(points[:, 2])
    shade_figure(
        depth,
        ids,
        weights,
        figure.triangles,
        figure.parts,
        figure.surface,
        body.vertices,
        normals_of(body.vertices, figure.triangles),
        inverse_depth,
        dressed.materials,
        dressed.motifs,
        dressed.face,
        dressed.strap,
        view.record(rows, columns),
        camera.light.record(),
        heights,
        shadow,
        scene.fold_seed,
        color,
    )
    return PersonLayer(
        color=resized(color, height, width),
        depth=depth,
        view=view,
        body=body,
        heights=heights,
        shadow=shadow,
        samples=Samples(ids=ids, weights=weights, inverse_depth=inverse_depth),
    )


def render(dressed: Dressed, scene: Scene, height: int, width: int, sprites: Sprites) -> Rendering:
    """The person in the scene."""
    person = render_person(dressed, scene, height, width, 3 if height <= 128 else 2)
    backdrop = _backdrop(person, scene, height, width)
    for stranger in sorted(scene.bystanders, key=lambda one: -one.z):
        _paste_behind(backdrop, person.view, stranger, scene, sprites)
    coverage = person.color[:, :, 3:]
    linear = person.color[:, :, :3] + (1 - coverage) * backdrop
    visible = coverage[:, :, 0]
    uncovered = np.ones((height, width), np.bool_)
    if scene.occluder is not None:
        front = occluder_layer(scene.occluder, scene.camera.light, height, width, sprites)
        linear = front[:, :, :3] + (1 - front[:, :, 3:]) * linear
        visible = visible * (1 - front[:, :, 3])
        uncovered = front[:, :, 3] < 1
    whole = float(coverage.sum())
    seen = visible >= 0.5
    return Rendering(
        linear=linear.astype(np.float32),
        mask=np.where(seen, 255, 0).astype(np.uint8),
        occlusion=1 - float(visible.sum()) / whole if whole > 0 else 1.0,
        keypoints=_keypoints(person, seen, height, width),
        view=person.view,
        dressed=dressed,
        samples=person.samples,
        uncovered=uncovered,
    )


def _backdrop(person: PersonLayer, scene: Scene, height: int, width: int) -> Floats:
    """What is behind the person (H, W, 3)."""
    camera = scene.camera
    factor = max(1, BACKDROP_ROWS // height)
    rows, columns = height * factor, width * factor
    out = np.zeros((rows, columns, 3), np.float32)
    shade_backdrop(
        person.view.record(rows, columns),
        camera.light.record(),
        person.heights,
        person.shadow,
        camera.ground,
        camera.walls,
        _in_view(person.view, scene),
        person.body.keypoints[-2:],
        scene.origin[0],
        scene.origin[1],
        camera.sky,
        _well_within(person.color[:, :, 3]).repeat(factor, 0).repeat(factor, 1),
        out,
    )
    return blurred(resized(out, height, width), camera.background_blur * height / 512)


def _in_view(view: View, scene: Scene) -> Records:
    """The props of the place that can be within the crop."""
    props = scene.camera.props
    depth = view.distance + (-props["z"] + scene.origin[1]) * np.cos(view.pitch) + 6
    reach = props["width"] * 1.5 + 2
    x = props["x"] - scene.origin[0]
    right = np.maximum(view.left + view.width, 0) * depth
    left = np.minimum(view.left, 0) * depth
    return props[(x + reach > left) & (x - reach < right)]


def _well_within(coverage: Floats) -> Bools:
    """Pixels (H, W) so far inside the person that no blur brings their backdrop to light."""
    return eroded(coverage >= 1, HIDDEN_MARGIN)


def _paste_behind(
    backdrop: Floats, view: View, stranger: Bystander, scene: Scene, sprites: Sprites
) -> None:
    """Draw a stranger who stands behind the person, before the nearest wall."""
    height, width = backdrop.shape[:2]
    nearest_wall = scene.origin[1] - float(scene.camera.walls["z"].max())
    behind = min(stranger.z, nearest_wall - 4)
    if behind < 5:
        return
    place = np.array([[stranger.x, 0.0, -behind]])
    column, row, inverse = view.samples(place, height, width)[0]
    sprite = sprites(stranger.sprite)
    size = sprite.decimeters * height / view.height * inverse
    _shade_feet(backdrop, column, row, size)
    paste(backdrop, sprite.color, column, row, size)


def _shade_feet(backdrop: Floats, column: float, row: float, size: float) -> None:
    """Darken the ground around feet at a pixel, of a person `size` pixels high."""
    height, width = backdrop.shape[:2]
    rows, columns = np.mgrid[:height, :width] + 0.5
    down = (rows - row + 0.04 * size) / (0.035 * size)
    across = (columns - column) / (0.12 * size)
    shade = 0.45 * np.exp(-(down**2) - across**2)
    backdrop *= (1 - shade[:, :, None]).astype(np.float32)


def _keypoints(person: PersonLayer, seen: Bools, height: int, width: int) -> Doubles:
    """Places of the named joints in pixels, and whether they are seen."""
    found = person.view.samples(person.body.keypoints, height, width)
    factor = person.depth.shape[0] // height
    for point in found:
        column, row = int(np.floor(point[0])), int(np.floor(point[1]))
        depth = 1 / point[2]
        point[2] = 0
        if 0 <= row < height and 0 <= column < width:
            nearest = person.depth[row * factor + factor // 2, column * factor + factor // 2]
            # A joint lies up to 15 cm below the surface that shows it.
            covered = nearest > 0 and depth - 1 / nearest > 1.5
            point[2] = 2 if seen[row, column] and not covered else 1
    return found
