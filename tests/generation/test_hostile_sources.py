"""Pictures of a source that are none, or made to harm: reported and left out, at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgnet.generation.making.encoding import encode_composite
from dgnet.generation.output.sheet import GAP_PIXELS, sheet
from dgnet.generation.output.sources import SeenSources
from dgnet.jobs.generation.manifest import Row, Written
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from tests.generation.jobs import job_of, manifest, run
from tests.pictures.made import EPS
from tests.pictures.test_hostile import BOMBS, jpeg_of_scans

Networks = tuple[Checkpoint, Predictor]
HARMFUL = (EPS, jpeg_of_scans(3000), BOMBS["png"], BOMBS["tiff"])


@pytest.mark.parametrize("keep", [{}, {"minimum_realism_percentile": 0}])
def test_a_job_reports_each_and_goes_on(
    keep: dict[str, float], people: Path, networks: Networks, tmp_path: Path
) -> None:
    bad = sorted(people.iterdir())[: len(HARMFUL) + 1]
    for path, data in zip(bad, HARMFUL, strict=False):
        path.write_bytes(data)
    bad[-1].unlink()
    os.mkfifo(bad[-1])  # nobody will ever write to it
    started = time.perf_counter()
    done = run(job_of(people, networks, count=60, keep=keep), tmp_path / "out")
    assert time.perf_counter() - started < 120
    rows = manifest(tmp_path / "out")
    names = {path.name for path in bad}
    used = {row[f"{role}_path"] for row in rows for role in ("appearance", "structure")}
    assert set(done.unreadable) == names & used
    assert done.kept > 0
    for row in rows:
        harmed = not names.isdisjoint({row["appearance_path"], row["structure_path"]})
        assert row["kept"] is not harmed


def test_the_sheet_shows_sources_upright(people: Path, networks: Networks, tmp_path: Path) -> None:
    """As the composite beside them was made from them."""
    job = job_of(people, networks)
    upright = np.zeros((32, 16, 3), np.uint8)
    upright[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    path = people / job.listing.paths[0]
    lying = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    lying.save(path.with_suffix(".png"), exif=exif)
    path.with_suffix(".png").replace(path)
    composite = np.zeros((32, 16, 3), np.uint8)
    (tmp_path / "made.png").write_bytes(encode_composite(composite, job.spec.output))
    row = Row(
        position=0, written=Written("made.png", "", 0), appearance=job.listing.origin(0),
        structure=job.listing.origin(0), labels={}, scores={}, dropped=None,
    )  # fmt: skip
    drawn, unreadable = sheet([row], job.listing, tmp_path, SeenSources())
    assert drawn is not None
    assert not unreadable
    shown = np.asarray(drawn)
    for place in range(2):
        left = GAP_PIXELS + 16 * place
        cell = shown[GAP_PIXELS : GAP_PIXELS + 32, left : left + 16]
        assert np.array_equal(cell, upright)
