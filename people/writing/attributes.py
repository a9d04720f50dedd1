"""What is known about every picture, as rows of `attributes.parquet`.

Columns of a person (`top` to `hat_color`) are equal in all pictures of that person.
"""

from __future__ import annotations

import io
from typing import Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.parquet as pq

from dgnet.people.clothes.outfit import Appearance, Skirt
from dgnet.people.figure import KEYPOINT_NAMES
from dgnet.people.materials import Fabric
from dgnet.people.structure import Structure
from dgnet.people.world import DevelopedPicture, World

Value: TypeAlias = str | int | float | bool | list[float] | None
Row: TypeAlias = dict[str, Value]


def person_attributes(world: World, appearance: int, structure: int) -> Row:
    """What a person wears and is."""
    body = world.structure(structure)
    row = {**_worn(world.appearance(appearance)), **_body(body)}
    return row if world.recipe.number == 2 else row | _over_clothes(body)


def _fabric(name: str, fabric: Fabric | None) -> Row:
    return {
        f"{name}_color": None if fabric is None else fabric.base.name,
        f"{name}_hex": None if fabric is None else fabric.base.hexadecimal,
        f"{name}_pattern": None if fabric is None else fabric.pattern,
    }


def _worn(worn: Appearance) -> Row:
    top, cut = worn.top, worn.bottom.cut
    return {
        "top": top.kind,
        **_fabric("top", top.fabric),
        "top_print": top.fabric.motif is not None,
        "sleeves": "none" if top.sleeve < 0.3 else "short" if top.sleeve < 1.4 else "long",
        "top_open": top.opening > 0,
        **_fabric("inner", None if worn.inner is None else worn.inner.fabric),
        "bottom": worn.bottom.kind,
        **_fabric("bottom", worn.bottom.fabric),
        "legs": "bare" if isinstance(cut, Skirt) or cut.length < 1.2 else "covered",
        "hosiery": worn.bottom.hosiery is not None,
        "shoes": worn.shoes.kind,
        "shoes_color": worn.shoes.fabric.base.name,
        "shoes_hex": worn.shoes.fabric.base.hexadecimal,
        "socks": worn.shoes.socks > 0,
        "skin": worn.skin.name,
        "skin_hex": worn.skin.hexadecimal,
        "hair_color": worn.hair.name,
        "hair_hex": worn.hair.hexadecimal,
    }


def _body(structure: Structure) -> Row:
    shape, hair, bag, hat = structure.shape, structure.hair, structure.bag, structure.hat
    if hair.ponytail > 0:
        style = "ponytail"
    elif hair.bun is not None:
        style = "bun"
    elif hair.fall > 0:
        style = "long" if hair.fall > 1.8 else "medium"
    else:
        style = hair.cut
    return {
        "gender": "female" if structure.feminine else "male",
        "age": shape.age,
        "child": structure.child,
        "weight": shape.weight,
        "height": shape.height,
        "hair": style,
        "beard": structure.face.beard > 0.3,
        "glasses": structure.face.glasses,
        "bag": None if bag is None else bag.kind,
        "bag_color": None if bag is None else bag.fabric.base.name,
        "bicycle": structure.bicycle is not None,
        "hat": None if hat is None else hat.kind,
        "hat_color": None if hat is None else hat.fabric.base.name,
    }


def _over_clothes(structure: Structure) -> Row:
    """What recipe 2 does not draw."""
    bag = structure.bag
    return {
        "straps": None if bag is None or bag.strap is None else bag.strap.kind,
        "hair_in_front": max(structure.hair.locks) > 0,
    }


def picture_attributes(picture: DevelopedPicture) -> Row:
    """Pose, viewpoint, kind of place and what is visible."""
    scene = picture.scene
    row: Row = {
        "action": scene.pose.action,
        "gait_phase": scene.pose.phase,
        "yaw_degrees": scene.yaw,
        "pitch_degrees": scene.pitch_degrees,
        "indoors": scene.camera.indoors,
        "occlusion": round(picture.occlusion, 6),
        "occluder": None if scene.occluder is None else scene.occluder.kind,
    }
    if scene.exposed is not None:
        row |= {"exposed": scene.exposed, "jpeg_quality": scene.quality}
    for name, (column, line, visible) in zip(KEYPOINT_NAMES, picture.keypoints, strict=True):
        row[f"joint_{name}"] = [round(float(column), 2), round(float(line), 2), float(visible)]
    return row


def encode_rows(rows: list[Row]) -> bytes:
    """Rows as a Parquet file whose column types do not depend on how many values are absent."""
    arrow, parquet = cast("Any", pa), cast("Any", pq)  # typed in part only
    kinds: dict[type, Any] = {
        str: arrow.string(),
        bool: arrow.bool_(),
        int: arrow.int64(),
        float: arrow.float64(),
        list: arrow.list_(arrow.float32()),
    }
    fields: list[Any] = []
    for name in rows[0]:
        present = (row[name] for row in rows if row[name] is not None)
        fields.append((name, kinds[type(next(present, ""))]))
    file = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, arrow.schema(fields)), file)
    return file.getvalue()
