"""Runs a notebook cell by cell, as Jupyter does, and writes down what its cells gave.

Jupyter's own runner brings some thirty packages; the notebook of the docs needs Python, text and
pictures alone. `python -m tests.house.notebook docs/notebook.ipynb` runs it anew and keeps what
its cells give.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image

Cell = dict[str, Any]


def run_notebook(path: Path) -> dict[str, Any]:
    """The notebook with new outputs; whatever a cell raises passes through."""
    notebook: dict[str, Any] = json.loads(path.read_text())
    names: dict[str, Any] = {"__name__": "__main__"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, 1):
        cell["execution_count"] = number
        cell["outputs"] = _run("".join(cell["source"]), f"cell {number}", names, number)
    return notebook


def _run(source: str, where: str, names: dict[str, Any], number: int) -> list[Cell]:
    tree = ast.parse(source, where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    value: object = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, where, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), where, "eval"), names)
    outputs: list[Cell] = []
    if text := printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(text)})
    if value is not None:
        outputs.append(
            {
                "output_type": "execute_result",
                "execution_count": number,
                "metadata": {},
                "data": _shown(value),
            }
        )
    return outputs


def _shown(value: object) -> dict[str, Any]:
    if not isinstance(value, Image.Image):
        return {"text/plain": _lines(repr(value))}
    file = io.BytesIO()
    value.convert("RGB").save(file, "JPEG", quality=90)  # a tenth of a PNG: it is kept in git
    size = f"{value.width} x {value.height} pixels"
    return {"image/jpeg": base64.b64encode(file.getvalue()).decode(), "text/plain": [size]}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def write_notebook(path: Path, notebook: dict[str, Any]) -> None:
    """As Jupyter lays it out."""
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    place = Path(sys.argv[1])
    write_notebook(place, run_notebook(place))
