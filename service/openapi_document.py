"""The OpenAPI document as it is served: what FastAPI makes of the routes, made whole.

Bodies that routes read by hand bring schemas with definitions of their own, which have to move to
where references in the document can point; refusals by the router and the middlewares are problems,
not FastAPI's own errors; and who may ask is said, which FastAPI cannot know.
"""

from __future__ import annotations

import json
from typing import Any, cast

from fastapi import FastAPI
from starlette.responses import Response

from dgnet.jobs.media_types import JSON, PROBLEM
from dgnet.service.openapi import PROBLEM_SCHEMA

Json = dict[str, Any]

_LOCAL = "#/$defs/"
_SHARED = "#/components/schemas/"
_KEY_SCHEME = "apiKey"
_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")


def complete(document: Json, *, asks_for_keys: bool) -> Json:
    """Complete `document` in place, and return it."""
    components: Json = document.setdefault("components", {})
    schemas: Json = components.setdefault("schemas", {})
    schemas |= _shared_definitions(document)
    for name in _FASTAPI_ERRORS:
        schemas.pop(name, None)
    components["securitySchemes"] = {
        _KEY_SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "One of the keys of DGNET_API_KEYS, where that is set",
        }
    }
    needed: list[Json] = [{_KEY_SCHEME: []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path.startswith("/v1/"):
                operation["security"] = needed if asks_for_keys else [{}, *needed]
            for response in operation["responses"].values():
                _mend_content(response)
    return document


def serve_complete(app: FastAPI, *, asks_for_keys: bool) -> None:
    """Have `app` answer with the whole document, which is written down once."""
    plain = app.openapi
    made: Json = {}

    def openapi() -> Json:
        if not made:
            made.update(complete(plain(), asks_for_keys=asks_for_keys))
        return made

    written: list[bytes] = []

    async def document() -> Response:
        if not written:
            written.append(json.dumps(openapi(), ensure_ascii=False).encode())
        return Response(written[0], media_type=JSON)

    app.openapi = openapi  # pyright: ignore[reportAttributeAccessIssue]
    app.add_api_route("/openapi.json", document, include_in_schema=False)


def _shared_definitions(document: Json) -> Json:
    """The definitions that lie within the document, taken out; references to them are mended."""
    found: Json = {}
    waiting: list[object] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += cast("list[object]", value)
        elif isinstance(value, dict):
            place = cast("Json", value)
            definitions: Json = place.pop("$defs", {})
            found |= definitions
            reference = place.get("$ref")
            if isinstance(reference, str) and reference.startswith(_LOCAL):
                place["$ref"] = _SHARED + reference.removeprefix(_LOCAL)
            waiting += [*place.values(), *definitions.values()]
    return found


def _mend_content(response: Json) -> None:
    content: Json = response.get("content", {})
    shown = content.get(JSON, {}).get("schema", {}).get("$ref", "")
    if shown.removeprefix(_SHARED) in _FASTAPI_ERRORS:
        content.pop(JSON)
        content[PROBLEM] = {"schema": PROBLEM_SCHEMA}
