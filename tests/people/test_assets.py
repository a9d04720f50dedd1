"""The body data: what it holds, and how a wrong file is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgnet.people.assets import BODY_FILE, AssetError, load_assets


def arrays() -> dict[str, Any]:
    with np.load(BODY_FILE) as file:
        return {name: file[name] for name in file.files}


def write(path: Path, **changed: Any) -> Path:
    np.savez(path, **{**arrays(), **changed})
    return path


def test_the_shipped_body_is_small_and_whole() -> None:
    assets = load_assets()
    assert BODY_FILE.stat().st_size < 5_000_000
    assert len(assets.bone_names) == 53
    assert assets.targets.shape == (169, len(assets.vertices), 3)
    np.testing.assert_allclose(assets.bone_weights.sum(1), 1, atol=1e-5)


def test_bones_come_after_their_parents() -> None:
    assets = load_assets()
    assert assets.bone_parents[0] == -1
    assert all(parent < bone for bone, parent in enumerate(assets.bone_parents))


def test_targets_are_differences_along_the_vertices_in_half_millimeters(tmp_path: Path) -> None:
    steps = np.zeros_like(arrays()["target_steps"])
    steps[0, 1, 10] = 4  # from vertex 10 on, y moves by 4 units
    assets = load_assets(write(tmp_path / "body.npz", target_steps=steps))
    assert assets.targets[0, 9, 1] == 0
    assert assets.targets[0, 10:, 1] == pytest.approx(0.02)
    assert not assets.targets[0, :, 0].any()


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"nothing\.npz .*python -m dgnet\.people\.assets\.build"):
        load_assets(tmp_path / "nothing.npz")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "body.npz"
    path.write_bytes(b"not an archive")
    with pytest.raises(AssetError, match="is not the body data"):
        load_assets(path)


def test_an_archive_of_other_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "body.npz", something=np.zeros(3))
    with pytest.raises(AssetError, match="vertices"):
        load_assets(tmp_path / "body.npz")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path = write(tmp_path / "body.npz", bone_names=np.array([{"a": 1}], dtype=object))
    with pytest.raises(AssetError, match="allow_pickle"):
        load_assets(path)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("bone_weights", np.ones((10, 53)), "bone_weights has shape"),
        ("joint_vertices", np.full(53 * 8, 60_000, np.uint16), "not there"),
        ("vertices", np.zeros((5, 3)), "expected"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(
    tmp_path: Path, name: str, value: Any, complaint: str
) -> None:
    with pytest.raises(AssetError, match=complaint):
        load_assets(write(tmp_path / "body.npz", **{name: value}))


def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "body.npz"
    np.savez_compressed(path, vertices=np.zeros((30_000_000, 3), np.uint8))
    with pytest.raises(AssetError, match="would unpack to"):
        load_assets(path)
