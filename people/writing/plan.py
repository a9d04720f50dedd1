"""What a rendered set consists of: which pictures of whom, in which folder, under which name.

The layout is Market-1501's: `bounding_box_train` holds the first persons; of the others, the first
picture of each camera is a query and the rest are the gallery. A set may be of several worlds, each
with cameras and people of its own: persons take turns, cameras are numbered through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dgnet.people.dataset import TRUTHS_A_GROUP, pair_of_group
from dgnet.people.randomness import Purpose, stream
from dgnet.people.recipes import DEFAULT_RECIPE, RECIPES
from dgnet.people.world import SIZES, SizeName, World

RECIPE = DEFAULT_RECIPE
"""What sets are rendered by that do not ask for another."""
Splits = Literal["market1501", "train"]
TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
TRUTHS, MASKS = "truths", "masks"
FEWEST_CAMERAS, MOST_CAMERAS = 3, 6
"""How many cameras see one person, as far as there are as many."""
MOST_PEOPLE, MOST_CAMERAS_IN_WORLD = 9999, 9  # what Market-1501's names can tell apart
MOST_WORLDS = 11
FIRST_TRUTH_INDEX, TRUTH_INDICES = 100_000, 30
"""Picture numbers of truths: poses and places that no picture of the set has."""


class PlanError(ValueError):
    """A set that cannot be made; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class RenderPlan:
    """A set to render.

    Attributes:
        people: Number of persons, numbered from 1.
        pictures: Of each person.
        cameras: Of the network of each world.
        worlds: Networks, in other places and with other people; person p is in world (p - 1) mod
            worlds.
        test_people: The last persons, for query and gallery; none if splits is "train".
        truths: Triples of appearance, structure and true composite, of test persons if there are.
        masks: Also write where the person is seen.
        recipe: A number of `dgnet.people.recipes`.
        changed: Also write what the change of clothes changed; later recipes always do.
    """

    seed: int
    people: int
    pictures: int
    cameras: int
    worlds: int = 1
    size: SizeName = "128x64"
    splits: Splits = "market1501"
    test_people: int = 0
    truths: int = 0
    masks: bool = False
    recipe: int = RECIPE
    changed: bool = False

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            known = " or ".join(str(known) for known in RECIPES)
            raise PlanError(f"recipe: {self.recipe}, expected {known}")
        if self.changed and not self.truths:
            raise PlanError(
                "what a change of clothes changed is known of true composites alone: ask for some "
                "(--truth), or leave out --changed"
            )
        _check("people", self.people, 1, MOST_PEOPLE)
        _check("pictures", self.pictures, 1, 99_999)
        _check("cameras", self.cameras, 1, MOST_CAMERAS_IN_WORLD)
        _check("worlds", self.worlds, 1, MOST_WORLDS)
        _check("seed", self.seed, 0, 2**63 - 1)
        _check("truths", self.truths, 0, 999_999)
        if self.size not in SIZES:
            raise PlanError(f"size is {self.size!r}, expected one of {', '.join(SIZES)}")
        if self.splits == "train":
            _check("test people (there are none with splits=train)", self.test_people, 0, 0)
        else:
            _check("test people", self.test_people, 1, self.people)
            if self.pictures < 4 or self.cameras < 2:
                raise PlanError(
                    f"{self.pictures} pictures a person and {self.cameras} cameras leave queries "
                    "without a match: query and gallery need 4 pictures and 2 cameras at least; "
                    "raise them, or take splits=train"
                )
        fewest = min(len(self.truth_people(world)) for world in range(self.worlds))
        if self.truths and fewest < 2:
            raise PlanError(
                f"true composites need two people of each world, one has {fewest} for them; ask "
                "for more people (with splits=market1501 for more test people) or no truths"
            )

    @property
    def train_people(self) -> int:
        """Persons 1 to this one are for training."""
        return self.people - self.test_people

    def world_of(self, person: int) -> int:
        """The world, from 0, that a person lives in."""
        return (person - 1) % self.worlds

    def seed_of(self, world: int) -> int:
        """The seed of a world; the first one's is the set's."""
        if world == 0:
            return self.seed
        return int(stream(self.seed, Purpose.WORLD, world).integers(2**63))

    def camera_number(self, world: int, camera: int) -> int:
        """A world's camera, from 0, as the set numbers it, from 1."""
        return world * self.cameras + camera + 1

    def truth_people(self, world: int) -> range:
        """Persons of a world's true composites."""
        first = 1 if self.splits == "train" else self.train_people + 1
        return range(
            first + (world - self.world_of(first)) % self.worlds, self.people + 1, self.worlds
        )

    @property
    def writes_changed(self) -> bool:
        """Whether triples come with the mask of what the change of clothes changed."""
        always = RECIPES[self.recipe].truths_with_changed
        return self.truths > 0 and (self.changed or always)

    def to_json(self) -> dict[str, Any]:
        """The plan; `changed` where it is an addition to its recipe, so that older sets resume."""
        options = asdict(self)
        recipe, changed = options.pop("recipe"), options.pop("changed")
        added = changed and not RECIPES[self.recipe].truths_with_changed
        return {"recipe": recipe, **options, **({"changed": True} if added else {})}


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise PlanError(f"{name}: {value}, expected {low} to {high}")


@dataclass(frozen=True, kw_only=True)
class PlannedPicture:
    """One picture of a set."""

    folder: str
    person: int
    world: int  # from 0
    camera: int  # of the world, from 0
    camera_number: int  # of the set, from 1
    index: int

    @property
    def name(self) -> str:
        """Market-1501's: person, camera, sequence (here the world), frame, detection."""
        place = f"c{self.camera_number}s{self.world + 1}"
        return f"{self.person:04d}_{place}_{self.index + 1:06d}_00.jpg"


@dataclass(frozen=True, kw_only=True)
class PlannedTruth:
    """One triple: person and picture that give the appearance, those that give the structure."""

    number: int
    world: int
    appearance: int
    appearance_camera: int
    appearance_index: int
    structure: int
    structure_camera: int
    structure_index: int


def pictures_of(plan: RenderPlan, world: World, person: int) -> Iterator[PlannedPicture]:
    """All pictures of a person in their world; cameras take turns."""
    # Every camera sees a person twice at least, where there are enough pictures for that.
    ceiling = min(plan.cameras, max(2, plan.pictures // 2))
    cameras = world.cameras_of(person, min(FEWEST_CAMERAS, ceiling), min(MOST_CAMERAS, ceiling))
    number = plan.world_of(person)
    for index in range(plan.pictures):
        camera = cameras[index % len(cameras)]
        if person <= plan.train_people:
            folder = TRAIN
        else:
            folder = QUERY if index < len(cameras) else GALLERY
        yield PlannedPicture(
            folder=folder,
            person=person,
            world=number,
            camera=camera,
            camera_number=plan.camera_number(number, camera),
            index=index,
        )


def world_of_truth(plan: RenderPlan, number: int) -> int:
    """The world, from 0, of the triple of this number; worlds take turns by groups."""
    return number // TRUTHS_A_GROUP % plan.worlds


def truth(plan: RenderPlan, number: int) -> PlannedTruth:
    """The triple of this number, from 0: two persons of a group, each before some camera."""
    group, place = divmod(number, TRUTHS_A_GROUP)
    world = world_of_truth(plan, number)
    random = stream(plan.seed, Purpose.TRUTH, group)
    first, second = pair_of_group(random, plan.truth_people(world), place)
    random = stream(plan.seed, Purpose.TRUTH, group, place)
    cameras = random.integers(plan.cameras, size=2)
    indices = FIRST_TRUTH_INDEX + random.integers(TRUTH_INDICES, size=2)
    return PlannedTruth(
        number=number,
        world=world,
        appearance=first,
        appearance_camera=int(cameras[0]),
        appearance_index=int(indices[0]),
        structure=second,
        structure_camera=int(cameras[1]),
        structure_index=int(indices[1]),
    )
