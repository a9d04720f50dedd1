"""Multi-query: a query is all pictures of its person under its camera, as one embedding.

Market-1501 comes with more pictures of every query person (`gt_bbox`). The mean of their unit
embeddings takes the place of the query's own; ranking goes on as with single queries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgnet.arrays import AnyFloats
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet, unit_rows


def pooled_queries(query: RetrievalSet, pictures: RetrievalSet) -> tuple[RetrievalSet, int]:
    """Queries with the mean over `pictures` of the same person and camera.

    Also returns how many queries have no such picture; they keep their own embedding.
    """
    keys, group_of_picture = np.unique(_keys(pictures), axis=0, return_inverse=True)
    sums = np.zeros((len(keys), pictures.embeddings.shape[1]), dtype=pictures.embeddings.dtype)
    np.add.at(sums, group_of_picture.reshape(-1), unit_rows(pictures.embeddings))
    group_of_key = {tuple(key): group for group, key in enumerate(keys.tolist())}
    groups = [group_of_key.get(tuple(key), -1) for key in _keys(query).tolist()]
    pooled: AnyFloats = np.stack(
        [
            own if group < 0 else sums[group]
            for own, group in zip(unit_rows(query.embeddings), groups, strict=True)
        ]
    )
    # Only the direction of a mean matters to a cosine.
    return query.with_embeddings(unit_rows(pooled)), groups.count(-1)


def _keys(pictures: RetrievalSet) -> NDArray[np.integer]:
    return np.stack([pictures.person_ids, pictures.camera_ids], axis=1)
