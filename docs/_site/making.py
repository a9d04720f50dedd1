"""Pages of the site that are made: reference of Python, commands and HTTP, and the notebook.

What they say is said in docstrings, help texts and the schema of the API; here it is laid out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from dgnet.commands.cli import app
from dgnet.markdown import plain, table

PYTHON = {
    "Inference": ["dgnet.model.predictor.Predictor"],
    "Client": ["dgnet.client"],
    "Data sets": [
        "dgnet.model.data.layouts.read_dataset",
        "dgnet.model.data.layouts.DataSet",
        "dgnet.model.data.picture.Picture",
    ],
    "Pictures": ["dgnet.pictures"],
    "Generation": [
        "dgnet.jobs.generation.spec",
        "dgnet.jobs.generation.manifest.Row",
        "dgnet.generation.job.Job",
        "dgnet.generation.local_run",
        "dgnet.generation.upload.uploading",
        "dgnet.generation.upload.pulling.pull",
    ],
}
"""What is documented for users, by heading; names are of modules, or of what is in them."""


def python_page() -> str:
    """What mkdocstrings then fills in."""
    lines = ["# Python", "", "What `from dgnet import ...` gives, and the modules behind it.", ""]
    for heading, names in PYTHON.items():
        lines += [f"## {heading}", ""]
        lines += [f"::: {name}\n    options:\n      heading_level: 3\n" for name in names]
    return "\n".join(lines)


def commands_page() -> str:
    """Every command with its help and options."""
    parts = ["# Commands", "Every command has `--help`. Exit codes: 0 done, 1 failure, 2 wrong."]
    for words, command in _commands(typer.main.get_command(app), ("dgnet",)):
        name = " ".join(words)
        arguments = [
            _value(parameter)
            for parameter in command.params
            if parameter.param_type_name == "argument"
        ]
        parts += [f"## `{name}`", "```\n" + " ".join([name, "[OPTIONS]", *arguments]) + "\n```"]
        parts.append(_paragraphs(command.help or ""))
        rows = [(_option(parameter), _cell(parameter.help or "")) for parameter in command.params]
        if rows:
            parts.append(table([("option", ""), *rows]))
    return "\n\n".join(parts) + "\n"


def openapi_page() -> str:
    """Every operation of the API, then the fields of every body."""
    from dgnet.jobs.storage import StorageSettings
    from dgnet.service.app import create_app
    from dgnet.service.settings import ServiceSettings

    nobody: Any = object()  # no request is answered here
    storage = StorageSettings(data_root=Path("data"))
    schema: dict[str, Any] = create_app(ServiceSettings(), nobody, nobody, storage).openapi()
    parts = [
        "# OpenAPI",
        "Made from the schema that a server gives at `/openapi.json`; in words: "
        "[HTTP API](../http-api.md).",
    ]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            parts += [f"## `{method.upper()} {path}`", _paragraphs(operation.get("summary", ""))]
            parts.append(_paragraphs(operation.get("description", "")))
            if parameters := operation.get("parameters"):
                rows = [
                    (f"`{one['name']}`", one["in"], _kind(one.get("schema", {})),
                     _cell(one.get("description", "")))
                    for one in parameters
                ]  # fmt: skip
                parts.append(table([("parameter", "in", "type", ""), *rows]))
            if body := operation.get("requestBody"):
                rows = [
                    (f"`{kind}`", _kind(content.get("schema", {})))
                    for kind, content in body["content"].items()
                ]
                parts.append(table([("body", "type"), *rows]))
            rows = [
                (status, ", ".join(f"`{kind}`" for kind in answer.get("content", {})),
                 _cell(answer.get("description", "")))
                for status, answer in operation["responses"].items()
            ]  # fmt: skip
            parts.append(table([("answer", "media type", ""), *rows]))
    for name, model in schema["components"]["schemas"].items():
        parts += [f"## {name}", _paragraphs(model.get("description", ""))]
        rows = [
            (f"`{field}`", _kind(value), "yes" if field in model.get("required", []) else "",
             _cell(value.get("description", "")))
            for field, value in model.get("properties", {}).items()
        ]  # fmt: skip
        if rows:
            parts.append(table([("field", "type", "required", ""), *rows]))
    return "\n\n".join(part for part in parts if part) + "\n"


def notebook_page(path: Path) -> str:
    """Its cells in their order, with what they gave when the notebook was last written."""
    notebook: dict[str, Any] = json.loads(path.read_text())
    parts: list[str] = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/jpeg" in data:
                picture = "".join(data["image/jpeg"]).strip()
                parts.append(
                    f'<img alt="What the cell gave" src="data:image/jpeg;base64,{picture}">'
                )
            elif text := "".join(output.get("text") or data.get("text/plain", "")):
                parts.append(f"```\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    children: dict[str, Any] = getattr(command, "commands", {})
    if not children:
        yield words, command
    for name, child in children.items():
        yield from _commands(child, (*words, name))


def _option(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_value(parameter)}`"
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} `{_value(parameter)}`"


def _value(parameter: Any) -> str:
    """What stands for a parameter's value."""
    return str(parameter.metavar or parameter.name.upper()).replace("|", ", ")


def _cell(text: str) -> str:
    return plain(" ".join(text.split()))


def _paragraphs(text: str) -> str:
    """Help texts and descriptions are plain words, with code between backticks."""
    return re.sub(r"[<>]", lambda match: "&lt;" if match[0] == "<" else "&gt;", text.strip())


def _kind(schema: dict[str, Any]) -> str:
    """A type in words, linked where it is a model."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for joined in ("anyOf", "oneOf", "allOf"):
        if joined in schema:
            return " or ".join(dict.fromkeys(_kind(one) for one in schema[joined]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")
