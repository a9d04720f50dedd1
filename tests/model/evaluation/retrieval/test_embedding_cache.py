"""Embeddings are kept for the same weights and files, and for nothing else."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dgnet.arrays import Embeddings
from dgnet.model.data.picture import Picture
from dgnet.model.evaluation.retrieval.embedding_cache import EmbeddingCache

EMBEDDINGS = np.arange(6, dtype=np.float32).reshape(2, 3)


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Embeddings:
        self.calls += 1
        return EMBEDDINGS


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    paths = [tmp_path / "data" / name for name in ("a.jpg", "b.jpg")]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_bytes(b"12345")
        os.utime(path, ns=(1, 10**9))
    return [Picture(path=path, person_id=1, camera_id=1) for path in paths]


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(directory=tmp_path / "cache", model="abc", precision="float32 on cpu")


def test_the_second_time_nothing_is_computed(
    cache: EmbeddingCache, pictures: list[Picture], tmp_path: Path
) -> None:
    compute = Counting()
    first, state = cache.embeddings(pictures, tmp_path, compute)
    assert (state, compute.calls) == ("written", 1)
    again, state = cache.embeddings(pictures, tmp_path, compute)
    assert (state, compute.calls) == ("read", 1)
    np.testing.assert_array_equal(first, again)
    assert again.dtype == np.float32
    assert len(list(Path(cache.directory).iterdir())) == 1


def test_a_data_set_that_moved_is_known_again(
    cache: EmbeddingCache, pictures: list[Picture], tmp_path: Path
) -> None:
    cache.embeddings(pictures, tmp_path / "data", Counting())
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = [replace(one, path=tmp_path / "moved" / one.path.name) for one in pictures]
    assert cache.embeddings(moved, tmp_path / "moved", Counting())[1] == "read"


@pytest.mark.parametrize("change", ["size", "time", "list", "weights", "precision"])
def test_whatever_changes_is_embedded_again(
    change: str, cache: EmbeddingCache, pictures: list[Picture], tmp_path: Path
) -> None:
    cache.embeddings(pictures, tmp_path, Counting())
    path = pictures[0].path
    if change == "size":
        path.write_bytes(b"123456")
        os.utime(path, ns=(1, 10**9))
    elif change == "time":
        os.utime(path, ns=(1, 2 * 10**9))
    elif change == "list":
        pictures = pictures[::-1]
    elif change == "weights":
        cache = replace(cache, model="abd")
    else:
        cache = replace(cache, precision="torch.bfloat16 on cuda")
    assert cache.embeddings(pictures, tmp_path, Counting())[1] == "written"


def _other_array(path: Path) -> None:
    np.savez(path, embeddings=np.zeros((9, 3), dtype=np.float32))


def _other_name(path: Path) -> None:
    np.savez(path, something=EMBEDDINGS)


def _pickled(path: Path) -> None:
    np.savez(path, embeddings=np.array([{"a": 1}, None], dtype=object))


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


def _bare_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps([1, 2]))


def _bare_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, EMBEDDINGS)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [
        _other_array,
        _other_name,
        _pickled,
        _cut_short,
        _damaged,
        _bare_pickle,
        _bare_array,
        _empty,
    ],
    ids=lambda damage: damage.__name__.strip("_"),
)
def test_a_broken_file_is_made_again(
    damage: object, cache: EmbeddingCache, pictures: list[Picture], tmp_path: Path
) -> None:
    assert callable(damage)
    cache.embeddings(pictures, tmp_path, Counting())
    damage(cache.path_of(pictures, tmp_path))
    compute = Counting()
    embeddings, state = cache.embeddings(pictures, tmp_path, compute)
    assert (state, compute.calls) == ("replaced", 1)
    np.testing.assert_array_equal(embeddings, EMBEDDINGS)
    assert cache.embeddings(pictures, tmp_path, compute)[1] == "read"
