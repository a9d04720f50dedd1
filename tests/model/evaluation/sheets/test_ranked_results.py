"""The picture of rankings: frames say right and wrong, in the order that was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgnet.model.data.picture import Picture
from dgnet.model.evaluation.retrieval.embedding import labeled
from dgnet.model.evaluation.retrieval.ranking import Rankings
from dgnet.model.evaluation.retrieval.similarity import CosineSimilarity
from dgnet.model.evaluation.sheets.ranked_results import (
    QUERIES,
    RIGHT,
    WRONG,
    draw_queries,
    ranked_results,
    sheet_size,
)


@pytest.fixture
def blue(tmp_path: Path) -> Path:
    path = tmp_path / "blue.png"
    Image.new("RGB", (64, 128), (0, 0, 255)).save(path)
    return path


def test_right_and_wrong_pictures_are_framed_and_junk_is_left_out(blue: Path) -> None:
    def seen(*people: tuple[int, int]) -> list[Picture]:
        return [Picture(path=blue, person_id=person, camera_id=camera) for person, camera in people]

    query_pictures = seen((1, 1), (2, 1))
    gallery_pictures = seen((1, 1), (1, 2), (2, 2))
    query = labeled(query_pictures, np.array([[1.0, 0.0], [1.0, 0.0]]))
    gallery = labeled(gallery_pictures, np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2]]))
    similarity = CosineSimilarity(query.embeddings, gallery.embeddings)
    sheet = ranked_results(
        similarity, query, gallery, query_pictures, gallery_pictures, rows=[0, 1]
    )
    assert sheet.size == sheet_size(2) == (852, 316)

    def colors(line: int, place: int) -> tuple[object, object]:
        """Of the frame and of the picture; place 0 is the query."""
        left = 4 + place * 76 + (12 if place else 0)
        top = 4 + line * 156
        return sheet.getpixel((left + 1, top + 60)), sheet.getpixel((left + 30, top + 60))

    shown = (0, 0, 255)
    # The first query's most similar picture is junk: its own camera.
    assert [colors(0, place) for place in (1, 2)] == [(RIGHT, shown), (WRONG, shown)]
    assert [colors(1, place)[0] for place in (1, 2, 3)] == [WRONG, WRONG, RIGHT]
    nothing = ((255, 255, 255), (255, 255, 255))
    assert (colors(0, 3), colors(1, 4)) == (nothing, nothing)
    assert colors(0, 0)[0] not in (RIGHT, WRONG)


def test_queries_are_drawn_from_a_seed_among_those_with_a_match() -> None:
    rows = np.arange(0, 60, 2)
    rankings = Rankings(query_rows=rows, ranks=np.zeros(30, int), ranked=np.full(60, 9))
    drawn = draw_queries(rankings, seed=1)
    assert drawn == sorted(set(drawn)) == draw_queries(rankings, seed=1)
    assert len(drawn) == QUERIES
    assert all(row % 2 == 0 for row in drawn)
    assert drawn != draw_queries(rankings, seed=2)


def test_few_queries_are_all_drawn() -> None:
    rankings = Rankings(query_rows=np.array([1]), ranks=np.array([0]), ranked=np.array([5, 5]))
    assert draw_queries(rankings, seed=0) == [1]
