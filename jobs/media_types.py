"""What HTTP calls the formats that pass between front end and clients."""

from __future__ import annotations

from typing import Final

PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
WEBP: Final = "image/webp"
NPY: Final = "application/x-npy"
NPZ: Final = "application/x-npz"
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
JSON_LINES: Final = "application/x-ndjson"
PARQUET: Final = "application/vnd.apache.parquet"
TAR: Final = "application/x-tar"
ZIP: Final = "application/zip"
EVENT_STREAM: Final = "text/event-stream"
FORM: Final = "multipart/form-data"
ANY_BYTES: Final = "application/octet-stream"

COMPOSITES: Final = (PNG, JPEG, WEBP, NPY)
"""Of a composite; the first where none is asked for."""

GRIDS: Final = (PNG, JPEG, ZIP, NPZ)
"""Of many composites: a sheet, or all of them; the first where none is asked for."""

ARCHIVES: Final = (
    ZIP,
    "application/x-zip-compressed",
    TAR,
    "application/gzip",
    "application/x-gzip",
    "application/x-gtar",
    ANY_BYTES,
)

BY_ENDING: Final = {
    ".jpg": JPEG,
    ".png": PNG,
    ".webp": WEBP,
    ".md": "text/markdown; charset=utf-8",
    ".json": JSON,
    ".jsonl": JSON_LINES,
    ".parquet": PARQUET,
    ".tar": TAR,
}
"""Of the files of a finished set; `ANY_BYTES` for any other."""


def media_type_of(content_type: str | None) -> str:
    """What a Content-Type names, in small letters and without its parameters; empty if absent."""
    return (content_type or "").partition(";")[0].strip().lower()
