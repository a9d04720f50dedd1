"""The units of work: all pictures of a person, or a group's triples. Each can be done anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dgnet.files import write_file
from dgnet.people.dataset import TRUTHS_A_GROUP
from dgnet.people.world import shared_world
from dgnet.people.writing.attributes import Row, person_attributes, picture_attributes
from dgnet.people.writing.plan import (
    MASKS,
    TRUTHS,
    RenderPlan,
    pictures_of,
    truth,
    world_of_truth,
)
from dgnet.pictures.encoding import encode_picture


def write_person(plan: RenderPlan, folder: Path, person: int) -> list[Row]:
    """Write a person's pictures; returns their attributes."""
    world = shared_world(plan.seed_of(plan.world_of(person)), plan.cameras, plan.recipe)
    known = person_attributes(world, person, person)
    rows: list[Row] = []
    for planned in pictures_of(plan, world, person):
        picture = world.picture(
            appearance=person,
            structure=person,
            camera=planned.camera,
            index=planned.index,
            size=plan.size,
        )
        place = f"{planned.folder}/{planned.name}"
        write_file(folder / place, picture.jpeg(), make_parents=True)
        if plan.masks:
            write_file(
                (folder / MASKS / place).with_suffix(".png"),
                encode_picture(picture.mask, "PNG"),
                make_parents=True,
            )
        row: Row = {
            "path": place,
            "split": planned.folder,
            "person": person,
            "world": planned.world + 1,
            "camera": planned.camera_number,
        }
        rows.append(row | picture_attributes(picture) | known)
    return rows


def write_truths(plan: RenderPlan, folder: Path, first: int) -> list[Row]:
    """Write the triples of the group that begins with this number; returns what they are."""
    number = world_of_truth(plan, first)
    world = shared_world(plan.seed_of(number), plan.cameras, plan.recipe)
    quality = world.recipe.truth_quality
    rows: list[Row] = []
    for number in range(first, min(plan.truths, first + TRUTHS_A_GROUP)):
        one = truth(plan, number)
        appearance = world.picture(
            appearance=one.appearance,
            structure=one.appearance,
            camera=one.appearance_camera,
            index=one.appearance_index,
            size=plan.size,
        )
        true = world.truth(
            appearance=one.appearance,
            structure=one.structure,
            camera=one.structure_camera,
            index=one.structure_index,
            size=plan.size,
        )
        structure, composite = true.structure, true.composite
        row: Row = {"number": number}
        for role, picture, person in (
            ("appearance", appearance, one.appearance),
            ("structure", structure, one.structure),
            ("truth", composite, one.appearance),
        ):
            name = f"{number:04d}_{role}_{person:04d}"
            write_file(folder / TRUTHS / f"{name}.jpg", picture.jpeg(quality), make_parents=True)
            if plan.masks:
                place = folder / MASKS / TRUTHS / f"{name}.png"
                write_file(place, encode_picture(picture.mask, "PNG"), make_parents=True)
            row[f"{role}_path"] = f"{TRUTHS}/{name}.jpg"
        if plan.writes_changed:
            name = f"{TRUTHS}/{number:04d}_changed_{one.appearance:04d}.png"
            mask = true.changed()
            write_file(folder / name, encode_picture(mask, "PNG"), make_parents=True)
            row |= {
                "changed_path": name,
                "changed": round(np.count_nonzero(mask) / mask.size, 6),
            }
        if structure.scene.exposed is not None:
            row |= {
                "appearance_exposed": appearance.scene.exposed,
                "structure_exposed": structure.scene.exposed,
            }
        changed = structure.mask != composite.mask
        row |= {
            "appearance_person": one.appearance,
            "structure_person": one.structure,
            "world": one.world + 1,
            "appearance_camera": plan.camera_number(one.world, one.appearance_camera),
            "structure_camera": plan.camera_number(one.world, one.structure_camera),
            "occlusion": round(composite.occlusion, 6),
            "changed_mask": round(np.count_nonzero(changed) / changed.size, 6),
        }
        rows.append(row)
    return rows
