"""At which ranks does every query find its matches? All that any retrieval score needs.

*Junk* (person -1, or the query's person under the query's camera) is taken out of the ranking; a
picture without a camera is under nobody's camera. Equally similar pictures keep the gallery's
order. No gallery is ever sorted: the rank of a match is the number of pictures more similar than
it, counted by placing each picture among the query's few sorted matches.

B queries at a time, G gallery pictures, K matches of the query with the most of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import Bools, Integers
from dgnet.model.data.picture import JUNK_PERSON_ID, NO_CAMERA
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet
from dgnet.model.evaluation.retrieval.similarity import Similarity

# Similarities ranked at once. With what is derived from them they take about 30 bytes each.
_BLOCK_VALUES = 2**24
# Fewer queries at once would not keep a device busy: 64 x 520,000 values take about 1 GB.
_LEAST_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class Rankings:
    """The matches of all queries, sorted by query and then by rank (M matches, Q queries)."""

    query_rows: Integers
    """(M,): whose match it is."""
    ranks: Integers
    """(M,): from 0, junk not counted."""
    ranked: Integers
    """(Q,): how many gallery pictures are no junk for the query."""

    @property
    def matches(self) -> Integers:
        """(Q,): how many matches each query has."""
        return np.bincount(self.query_rows, minlength=len(self.ranked)).astype(np.int64)


class _Labels:
    """Persons and cameras of both sides on the device."""

    def __init__(self, query: RetrievalSet, gallery: RetrievalSet, device: torch.device) -> None:
        self._query_persons, self._query_cameras, self._persons, self._cameras = (
            torch.as_tensor(ids.astype(np.int64), device=device)
            for part in (query, gallery)
            for ids in (part.person_ids, part.camera_ids)
        )
        self._nobody = self._persons == JUNK_PERSON_ID

    def matches_and_junk(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Two masks (B, G)."""
        same_person = self._query_persons[start:stop, None] == self._persons
        cameras = self._query_cameras[start:stop, None]
        junk = (cameras == self._cameras) & (cameras != NO_CAMERA)
        junk &= same_person
        junk |= self._nobody
        return same_person & ~junk, junk


def rank_matches(similarity: Similarity, query: RetrievalSet, gallery: RetrievalSet) -> Rankings:
    """Ranks of all matches, on the device that the similarities are on."""
    if similarity.shape != (len(query), len(gallery)):
        raise ValueError(
            f"similarities {similarity.shape} for {len(query)} queries and {len(gallery)} gallery "
            "pictures; expected as many"
        )
    rows_at_once = max(_LEAST_ROWS, _BLOCK_VALUES // len(gallery))
    labels: _Labels | None = None
    query_rows: list[Integers] = []
    ranks: list[Integers] = []
    ranked: list[Integers] = []
    for start in range(0, len(query), rows_at_once):
        stop = min(start + rows_at_once, len(query))
        similarities = similarity.rows(start, stop)
        labels = labels or _Labels(query, gallery, similarities.device)
        matches, junk = labels.matches_and_junk(start, stop)
        rows_of_block, ranks_of_block = _rank_block(similarities, matches, junk)
        order = np.lexsort((ranks_of_block, rows_of_block))
        query_rows.append(rows_of_block[order] + start)
        ranks.append(ranks_of_block[order])
        ranked.append(_array((~junk).sum(dim=1)))
    return Rankings(
        query_rows=np.concatenate(query_rows),
        ranks=np.concatenate(ranks),
        ranked=np.concatenate(ranked),
    )


def best_pictures(
    similarity: Similarity, query: RetrievalSet, gallery: RetrievalSet, row: int, count: int
) -> tuple[Integers, Bools]:
    """Gallery rows of the best `count` pictures of one query, and which of them are matches."""
    similarities = similarity.rows(row, row + 1)
    labels = _Labels(query, gallery, similarities.device)
    matches, junk = labels.matches_and_junk(row, row + 1)
    similarities[junk] = -torch.inf
    order = similarities[0].argsort(descending=True, stable=True)
    best = order[: min(count, int((~junk).sum()))]
    return _array(best), cast("Bools", matches[0, best].cpu().numpy())


def _rank_block(similarities: Tensor, matches: Tensor, junk: Tensor) -> tuple[Integers, Integers]:
    """Query row and rank of every match. All (B, G); `similarities` are overwritten."""
    # Below every match, junk changes no rank.
    similarities[junk] = -torch.inf
    thresholds = _sorted_matches(similarities, matches)  # (B, K)
    # How many matches of the query each picture beats: it is ahead of exactly those.
    beaten = torch.searchsorted(thresholds, similarities)  # (B, G)
    slots = thresholds.shape[1] + 1
    padded = torch.nn.functional.pad(thresholds, (0, 1), value=torch.inf)
    rows, columns = (similarities == padded.gather(1, beaten)).nonzero(as_tuple=True)
    first_row = torch.arange(len(beaten), device=beaten.device)[:, None] * slots
    beaten += first_row  # now also tells the query
    counts = torch.bincount(beaten.view(-1), minlength=len(beaten) * slots).view(-1, slots)
    ahead = counts.sum(dim=1, keepdim=True) - counts.cumsum(dim=1)  # (B, K + 1)
    # What is as similar as a match, itself included, comes in the gallery's order.
    slot = beaten[rows, columns]
    rank = ahead.view(-1)[slot] + _places_among_equals(slot)
    is_match = matches[rows, columns]
    if int(is_match.sum()) != int(matches.sum()):
        raise ValueError(
            "some similarities are no numbers; expected finite embeddings (bf16 overflow, or a "
            "broken checkpoint?)"
        )
    return _array(rows[is_match]), _array(rank[is_match])


def _sorted_matches(similarities: Tensor, matches: Tensor) -> Tensor:
    """Similarities of each query's matches in rising order, filled up with infinity (B, K)."""
    counts = matches.sum(dim=1)
    rows, columns = matches.nonzero(as_tuple=True)
    first = counts.cumsum(0) - counts
    places = torch.arange(len(rows), device=rows.device) - first[rows]
    most = max(1, int(counts.max()))
    found = similarities.new_full((len(counts), most), torch.inf)
    found[rows, places] = similarities[rows, columns]
    return found.sort(dim=1).values


def _places_among_equals(keys: Tensor) -> Tensor:
    """(E,): how often the same key came before."""
    ordered, order = keys.sort(stable=True)
    first = torch.searchsorted(ordered, ordered)
    places = torch.empty_like(keys)
    places[order] = torch.arange(len(keys), device=keys.device) - first
    return places


def _array(tensor: Tensor) -> Integers:
    return tensor.cpu().numpy().astype(np.int64)
