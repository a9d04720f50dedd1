"""A world: persons, cameras and scenes from one seed, and the pictures of them.

`world.picture(appearance=i, structure=j, camera=c, index=k)` shows person i's clothes, shoes, skin
and hair color on person j's body, hair, bags and pose, in j's scene before the camera: a true
composite. With i = j it is the ordinary picture. Equal arguments give equal pixels, in any order
and in any process.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np

from dgnet.people.arrays import Doubles, Pixels
from dgnet.people.changed import changed_pixels
from dgnet.people.clothes.outfit import Appearance
from dgnet.people.development import decode_jpeg, develop, encode_jpeg
from dgnet.people.drawing.appearance import for_child
from dgnet.people.foreground import Sprite
from dgnet.people.randomness import Purpose, stream
from dgnet.people.recipes import DEFAULT_RECIPE, recipe_of
from dgnet.people.render import Dressed, Rendering, dress, render, render_person
from dgnet.people.scene import Scene
from dgnet.people.structure import Structure
from dgnet.people.view import Margins

SizeName = Literal["128x64", "256x128"]
SIZES: dict[SizeName, tuple[int, int]] = {"128x64": (128, 64), "256x128": (256, 128)}
LOOKALIKES = 0.2
"""Share of people in one of few outfits: uniforms and hard negatives."""
LOOKALIKE_OUTFITS = 12
DRESSED_KEPT = 40
"""Figures in memory, about 4 MB each."""
SPRITES_KEPT = 160
STRANGERS = 36
"""People who walk by; each camera shows some of them."""


@dataclass(frozen=True, kw_only=True)
class DevelopedPicture:
    """A developed picture with what is known about it; H x W pixels."""

    pixels: Pixels  # (H, W, 3) sRGB, before JPEG
    mask: Pixels  # (H, W) 255 where the person is seen
    occlusion: float
    keypoints: Doubles  # (16, 3) column, row, 0 outside 1 covered 2 seen; dgnet.people.figure
    scene: Scene

    def jpeg(self, quality: int | None = None) -> bytes:
        """The picture as its camera wrote it, or at another quality."""
        return encode_jpeg(self.pixels, self.scene.quality if quality is None else quality)

    def recorded(self) -> Pixels:
        """Pixels (H, W, 3) with the marks of the camera's JPEG."""
        return decode_jpeg(self.jpeg())


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Two pictures of one scene that differ in what is worn alone; H x W pixels."""

    structure: DevelopedPicture
    composite: DevelopedPicture
    renderings: tuple[Rendering, Rendering]  # of both, in this order

    def changed(self) -> Pixels:
        """(H, W) 255 where the change of clothes changed what is seen, else 0."""
        return changed_pixels(*self.renderings)


class World:
    """All people and cameras of one seed. Persons have any number from 1, cameras from 0."""

    def __init__(self, seed: int, cameras: int = 8, recipe: int = DEFAULT_RECIPE) -> None:
        self.seed = seed
        self.recipe = recipe_of(recipe)
        self.cameras = [
            self.recipe.camera(stream(seed, Purpose.CAMERA, number), number)
            for number in range(cameras)
        ]
        # Caches of bound methods would keep a world that nobody has any more until the collector
        # comes by: 300 MB each, 1.9 GB for the six worlds of one set.
        me = weakref.proxy(self)

        def dressed(appearance: int, structure: int) -> Dressed:
            return me._dress(appearance, structure)

        def stranger(number: int) -> Dressed:
            return me._stranger(number)

        def sprite(camera: int, number: int) -> Sprite:
            return me._sprite(camera, number)

        self._dressed = lru_cache(maxsize=DRESSED_KEPT)(dressed)
        self._strangers = lru_cache(maxsize=STRANGERS)(stranger)
        self._sprites = lru_cache(maxsize=SPRITES_KEPT)(sprite)

    def structure(self, person: int) -> Structure:
        """Body, hair, face, hat and bag of a person."""
        return self.recipe.structure(stream(self.seed, Purpose.STRUCTURE, person))

    def appearance(self, person: int) -> Appearance:
        """Clothes, shoes, skin and hair color of a person."""
        structure = self.structure(person)
        feminine = structure.feminine
        own = self.recipe.appearance(
            stream(self.seed, Purpose.APPEARANCE, person), feminine, structure.child
        )
        random = stream(self.seed, Purpose.LOOKALIKE, person)
        if structure.child or random.random() >= LOOKALIKES:
            return own
        outfit = int(random.integers(LOOKALIKE_OUTFITS))
        model = self.recipe.appearance(
            stream(self.seed, Purpose.LOOKALIKE, 0, outfit, int(feminine)), feminine, False
        )
        shared = replace(own, top=model.top, inner=model.inner, bottom=model.bottom)
        if random.random() < 0.5:  # a uniform to the shoes, else another pair
            shared = replace(shared, shoes=model.shoes)
        return shared

    def scene(self, person: int, camera: int, index: int) -> Scene:
        """The scene of a person's picture number `index` before a camera."""
        random = stream(self.seed, Purpose.SCENE, person, camera, index)
        return self.recipe.scene(random, self.cameras[camera], self.structure(person))

    def picture(
        self,
        *,
        appearance: int,
        structure: int,
        camera: int,
        index: int,
        size: SizeName = "128x64",
        yaw: float | None = None,
    ) -> DevelopedPicture:
        """Person `appearance`'s looks on person `structure`, in the latter's scene.

        Args:
            camera: From 0.
            index: Number of the picture; others are other poses and places.
            yaw: Degrees, in place of the scene's own.
        """
        scene = self.scene(structure, camera, index)
        if yaw is not None:
            scene = replace(scene, yaw=yaw)
        return _developed(self._rendered(appearance, structure, scene, size), scene)

    def truth(
        self,
        *,
        appearance: int,
        structure: int,
        camera: int,
        index: int,
        size: SizeName = "128x64",
    ) -> Truth:
        """A structure picture, the true composite on it, and what the change of clothes changed.

        Both pictures are those that `picture` gives for the same arguments.
        """
        scene = self.scene(structure, camera, index)
        before = self._rendered(structure, structure, scene, size)
        after = self._rendered(appearance, structure, scene, size)
        return Truth(
            structure=_developed(before, scene),
            composite=_developed(after, scene),
            renderings=(before, after),
        )

    def _rendered(self, appearance: int, structure: int, scene: Scene, size: SizeName) -> Rendering:
        height, width = SIZES[size]
        camera = scene.camera.number
        dressed = self._dressed(appearance, structure)
        return render(dressed, scene, height, width, lambda n: self._sprites(camera, n))

    def cameras_of(self, person: int, least: int, most: int) -> list[int]:
        """The cameras that see a person, in random order: between `least` and `most` of them."""
        random = stream(self.seed, Purpose.CAMERAS_OF_PERSON, person)
        order = random.permutation(len(self.cameras))
        count = int(random.integers(least, most + 1))
        return [int(camera) for camera in order[:count]]

    def _dress(self, appearance: int, structure: int) -> Dressed:
        body = self.structure(structure)
        worn = self.appearance(appearance)
        return dress(for_child(worn) if body.child else worn, body)

    def _stranger(self, number: int) -> Dressed:
        random = stream(self.seed, Purpose.BYSTANDER, number)
        structure = self.recipe.structure(random)
        worn = self.recipe.appearance(random, structure.feminine, structure.child)
        return dress(worn, structure)

    def _sprite(self, camera: int, number: int) -> Sprite:
        """A stranger before a camera: never one of the numbered persons."""
        stranger = self._strangers((number + 7 * camera) % STRANGERS)
        random = stream(self.seed, Purpose.BYSTANDER, number, camera)
        scene = self.recipe.scene(random, self.cameras[camera], stranger.figure.structure)
        margins = Margins(top=0.06, bottom=0.04, shift=0, aspect=0.5)
        scene = replace(scene, margins=margins)
        layer = render_person(stranger, scene, 256, 128, 1)
        return Sprite(color=layer.color, decimeters=layer.view.height * scene.distance)


def _developed(made: Rendering, scene: Scene) -> DevelopedPicture:
    random = np.random.default_rng(scene.development_seed)
    return DevelopedPicture(
        pixels=develop(made.linear, scene.camera.sensor, scene.exposure, random),
        mask=made.mask,
        occlusion=made.occlusion,
        keypoints=made.keypoints,
        scene=scene,
    )


@lru_cache(maxsize=2)
def shared_world(seed: int, cameras: int, recipe: int = DEFAULT_RECIPE) -> World:
    """The world of this process: figures and sprites made for one caller serve the next."""
    return World(seed, cameras, recipe)
