"""The data card's plots: composites by person and by camera, histograms of scores.

Drawn on Agg with matplotlib's own defaults and without metadata: the same summary always gives the
same bytes with one version of matplotlib, which ships no types and is kept within this file.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

from dgnet.generation.output.summary import BINS, Histogram, Summary
from dgnet.jobs.generation.manifest import Score

SIZE_INCHES = (8.0, 3.0)
DOTS_PER_INCH = 100
BINS_SHOWN = 50

PLOTS_FOLDER = "plots"
PERSONS_PLOT = f"{PLOTS_FOLDER}/persons.png"
CAMERAS_PLOT = f"{PLOTS_FOLDER}/cameras.png"


def score_plot(name: str) -> str:
    """Path of a score's histogram below the output folder."""
    return f"{PLOTS_FOLDER}/{name}.png"


def require_matplotlib() -> None:
    """Raises ImportError here, not after hours, where matplotlib is not installed."""
    importlib.import_module("matplotlib.backends.backend_agg")


def plots(
    persons: Iterable[int], summary: Summary, minimums: Mapping[Score, float]
) -> dict[str, bytes]:
    """PNG files by path below the output folder, of all `persons` who may have composites;
    histograms have a line where a filter cuts.
    """
    counts = sorted((summary.persons[person] for person in persons), reverse=True)
    cameras = {str(camera): summary.cameras[camera] for camera in summary.known_cameras}
    if None in summary.cameras:
        cameras["not known"] = summary.cameras[None]
    made = {
        PERSONS_PLOT: _plot(
            lambda axes: axes.stairs(counts, fill=True),
            "persons who give the appearance, most composites first",
        )
    }
    if cameras:
        made[CAMERAS_PLOT] = _plot(
            lambda axes: axes.bar(list(cameras), list(cameras.values())), "camera of the structure"
        )
    for name, histogram in sorted(summary.scores.items()):
        drawing = _drawing(histogram, minimums.get(name))
        made[score_plot(name)] = _plot(drawing, name.replace("_", " "))
    return made


def _drawing(histogram: Histogram, minimum: float | None) -> Callable[[Any], object]:
    """Fewer and wider bins than are counted, from the smallest to the largest value, and a line
    with its value at what is dropped below.
    """
    width = BINS // BINS_SHOWN
    counts = [sum(histogram.bins[first : first + width]) for first in range(0, BINS, width)]
    step = (histogram.high - histogram.low) / BINS_SHOWN
    edges = [histogram.low + step * number for number in range(BINS_SHOWN + 1)]

    def draw(axes: Any) -> None:
        axes.stairs(counts, edges, fill=True)
        if minimum is not None:
            axes.axvline(minimum, color="black", linestyle="--", label=f"kept from {minimum:g} on")
            axes.legend()

    return draw


def _plot(draw: Callable[[Any], object], x_label: str) -> bytes:
    with _defaults():
        figure: Any = importlib.import_module("matplotlib.figure").Figure(
            figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained"
        )
        axes = figure.add_subplot()
        draw(axes)
        axes.set_ylim(bottom=0)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel(x_label)
        axes.set_ylabel("composites")
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


@contextmanager
def _defaults() -> Generator[None]:
    """Whatever matplotlibrc the user has."""
    style: Any = importlib.import_module("matplotlib.style")
    with style.context("default", after_reset=True):
        yield
