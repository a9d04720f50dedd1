"""The table of the first day with a GPU: `python -m benchmarks.gpu_table OUT`.

Reads what the steps of `gpu_day.sh` left in OUT; what is not there is not measured, and says so.
`--facts FILE` notes instead what the figures belong to.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, cast

NOT_MEASURED = "not measured"
PRESETS = ("small", "paper", "detail")
SEVERAL = "bulk: codes once"
"""Beginning of the variant that counts as bulk."""

Row = tuple[str, str]


def facts(device_name: str) -> dict[str, Any]:
    """Card, driver's CUDA, library versions."""
    import torch

    from dgnet.model.devices import autocast_dtype, choose_device, kind_of

    device = choose_device(device_name)
    found: dict[str, Any] = {
        "device": kind_of(device),
        "precision": str(autocast_dtype("auto", device) or "float32").removeprefix("torch."),
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
    }
    if device.type == "cuda":
        found["capability"] = ".".join(map(str, torch.cuda.get_device_capability(device)))
        found["memory_gib"] = round(torch.cuda.mem_get_info(device)[1] / 2**30)
    return found


def rows(out: Path) -> list[Row]:
    """What is measured, and what was found."""
    about = _json(out / "facts.json")
    made: list[Row] = [("machine", ", ".join(f"{n} {v}" for n, v in about.items()))]
    made.append(("tests/gpu", _tests(out / "tests.xml")))
    for preset in PRESETS:
        for ending, words in (("", "eager"), ("-compiled", "compiled")):
            figures = _json(out / f"composites-{preset}{ending}.json")
            made.append((f"composites/s in bulk, {preset}, {words}", _bulk(figures)))
            made.append((f"ms of one swap, {preset}, {words}", _swap(figures)))
    seconds = {
        **_json(out / "training.json").get("seconds", {}),
        **_json(out / "training-compiled.json").get("seconds", {}),
    }
    plain = seconds.get("plain loop")
    for way in (
        "plain loop", "step", "step, merged batches", "step, bf16", "step, merged batches, bf16",
        "step, compiled", "step, merged batches, bf16, compiled",
    ):  # fmt: skip
        value = ""
        if way in seconds and plain:
            value = f"{1 / seconds[way]:.2f} ({plain / seconds[way]:.2f} times)"
        made.append((f"training iterations/s, {way}", value))
    for threads in (1, 8):
        figures = _json(out / f"generation-{threads}.json")
        value = ""
        if figures:
            rate, times = figures["bulk_per_second"], figures["times_naive"]
            value = f"{rate:.0f} ({times:.1f} times naive)"
        made.append((f"composites/s to the disk, threads {threads}", value))
    learned = _json(out / "learn.step.json")
    made.append(("learn", f"{learned['seconds']} s, status {learned['status']}" if learned else ""))
    pieces = sorted(out.glob("weights.tar.*"))
    sizes = sum(piece.stat().st_size for piece in pieces)
    made.append(("weights", f"{len(pieces)} pieces, {sizes / 1e6:.1f} MB" if pieces else ""))
    return [(name, value or NOT_MEASURED) for name, value in made]


def failed(out: Path) -> list[str]:
    """Steps that did not end well, each with where to look."""
    notes = [_json(path) for path in sorted(out.glob("*.step.json"))]
    return [
        f"{note['step']} ended with {note['status']} after {note['seconds']} s, see "
        f"{note['step']}.log"
        for note in notes
        if note.get("status")
    ]


def _json(path: Path) -> dict[str, Any]:
    """Nothing where there is none, or half of one."""
    try:
        return cast("dict[str, Any]", json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def _tests(path: Path) -> str:
    try:
        suites = ElementTree.parse(path).getroot().iter("testsuite")
    except (FileNotFoundError, ElementTree.ParseError):
        return ""
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in suites:
        for name in counts:
            counts[name] += int(suite.get(name) or 0)
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _variant(figures: dict[str, Any], beginning: str) -> dict[str, Any]:
    variants = cast("list[dict[str, Any]]", figures.get("rows", []))
    found = [row for row in variants if row["variant"].startswith(beginning)]
    return found[0] if found else {}


def _bulk(figures: dict[str, Any]) -> str:
    row = _variant(figures, SEVERAL)
    return f"{row['per_second']:.0f} ({row['times_naive']:.1f} times naive)" if row else ""


def _swap(figures: dict[str, Any]) -> str:
    row = _variant(figures, "swap, batch 1")
    return f"{1000 / row['per_second']:.2f}" if row else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, nargs="?", help="folder of the steps' figures")
    parser.add_argument("--facts", type=Path, help="note what the figures belong to, here")
    parser.add_argument("--device", default="cuda", help="whose facts")
    options = parser.parse_args()
    if options.facts:
        options.facts.write_text(json.dumps(facts(options.device), indent=2) + "\n")
        return
    if options.out is None:
        parser.error("expected OUT or --facts FILE")
    print("| What | Found |\n|---|---|")
    for name, value in rows(options.out):
        print(f"| {name} | {value} |")
    for line in failed(options.out):
        print(f"\n{line}")


if __name__ == "__main__":
    main()
