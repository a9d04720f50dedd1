"""What studies of trained embeddings share: data subsets, scores on held-out persons, spreads.

A study is many short trainings; each leaves one JSON file, so that a stopped study goes on where it
was and several processes can share the work.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from dgnet.arrays import Embeddings
from dgnet.files import write_json
from dgnet.markdown import aligned_table
from dgnet.model.data.layouts import DataSet, read_dataset
from dgnet.model.data.picture import Picture
from dgnet.model.evaluation.retrieval.embedding import Embedder, embed_pictures, labeled
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet, unit_rows
from dgnet.model.evaluation.retrieval.scores import evaluate_retrieval

Scores = dict[str, dict[str, float]]
"""rank_1 and mAP, shares in 0..1, by the part of the embedding that was compared."""

HALVES = ("whole", "primary", "fine")


def training_pictures(dataset: DataSet, persons: int | None) -> list[Picture]:
    """Training pictures of the first `persons` persons, by id; of all where None."""
    pictures = [picture for picture in dataset.split("train") if picture.person_id > 0]
    known = sorted({picture.person_id for picture in pictures})[:persons]
    return [picture for picture in pictures if picture.person_id in set(known)]


def held_out_scores(embedder: Embedder, data: Path) -> Scores:
    """Retrieval of the data set's query and gallery persons (torchreid's convention).

    An embedding has a primary and a fine half; each is also compared alone.
    """
    dataset = read_dataset(data)
    query, gallery = (list(dataset.split(split)) for split in ("query", "gallery"))
    embedded = [embed_pictures(embedder, pictures) for pictures in (query, gallery)]
    return {
        name: _scores(
            labeled(query, _part(embedded[0], name)), labeled(gallery, _part(embedded[1], name))
        )
        for name in HALVES
    }


def retrieval_scores(
    embedder: Embedder, query: Sequence[Picture], gallery: Sequence[Picture]
) -> dict[str, float]:
    """rank_1 and mAP of whole embeddings (torchreid's convention)."""
    return _scores(
        labeled(query, embed_pictures(embedder, query)),
        labeled(gallery, embed_pictures(embedder, gallery)),
    )


def _scores(query: RetrievalSet, gallery: RetrievalSet) -> dict[str, float]:
    result = evaluate_retrieval(query, gallery).torchreid_convention
    return {"rank_1": result.rank_1, "mAP": result.mAP}


def _part(embeddings: Embeddings, name: str) -> Embeddings:
    if name == "whole":
        return embeddings
    half = np.split(embeddings, 2, axis=1)[HALVES.index(name) - 1]
    return unit_rows(half).astype(np.float32)


def once(folder: Path, name: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `run` gave, from its file if an earlier process finished it."""
    path = folder / f"{name}.json"
    if path.is_file():
        return cast("dict[str, Any]", json.loads(path.read_text()))
    start = time.perf_counter()
    outcome = {**run(), "seconds": round(time.perf_counter() - start, 1)}
    write_json(path, outcome)
    print(f"{name}: {json.dumps(outcome)}", flush=True)
    return outcome


def spread(shares: Sequence[float]) -> str:
    """Mean ± sample standard deviation in percent."""
    mean = 100 * statistics.fmean(shares)
    if len(shares) < 2:
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {100 * statistics.stdev(shares):.1f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    return aligned_table([head, *rows])


def machine() -> dict[str, Any]:
    """What a figure depends on."""
    return {
        "machine": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
