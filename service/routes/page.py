"""/: a page that swaps pictures and makes data sets; /docs; the sample people that the page shows.

Static files and what ships with the package, nothing from elsewhere.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from dgnet.jobs.dataset_names import is_wanted
from dgnet.jobs.media_types import TAR
from dgnet.jobs.tarball import TarEntry, files_below, tar_range, tar_size
from dgnet.samples import SAMPLE_PEOPLE
from dgnet.service.ranges import ranged_response

router = APIRouter()
STATIC_DIRECTORY = Path(__file__).parent.parent / "static"
SAMPLES: Final = "/samples"
SHOWN_SPLIT: Final = "query"
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class PageFiles(StaticFiles):
    """What lives under /static. Browsers ask whether a file has changed before they use it again:
    scripts of two releases do not work together."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """As `StaticFiles` has it, with the header."""
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = PAGE_HEADERS["Cache-Control"]
        return response


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page; its script and style live under /static."""
    return FileResponse(STATIC_DIRECTORY / "index.html", headers=PAGE_HEADERS)


@router.get("/docs", include_in_schema=False)
async def reference() -> FileResponse:
    """The API reference."""
    return FileResponse(STATIC_DIRECTORY / "docs.html", headers=PAGE_HEADERS)


@router.get(SAMPLES, include_in_schema=False)
async def samples() -> JSONResponse:
    """Where one picture of each sample person is, and all of them as a data set."""
    pictures = [f"{SAMPLES}/{SHOWN_SPLIT}/{name}" for name in _shown_people()]
    return JSONResponse({"pictures": pictures, "dataset": f"{SAMPLES}/people.tar"})


@router.get(f"{SAMPLES}/people.tar", include_in_schema=False)
async def sample_dataset(request: Request) -> Response:
    """The sample people as an archive that POST /v1/datasets takes."""
    size_bytes = sum(entry.size_bytes for entry in _sample_files())
    return ranged_response(
        request,
        size_bytes=tar_size(iter(_sample_files())),
        etag=f'"samples-{size_bytes:x}"',
        media_type=TAR,
        filename="people.tar",
        read=lambda start, stop: tar_range(iter(_sample_files()), start, stop),
    )


@cache
def _shown_people() -> tuple[str, ...]:
    by_person: dict[str, str] = {}
    for path in sorted((SAMPLE_PEOPLE / SHOWN_SPLIT).glob("*.jpg")):
        by_person.setdefault(path.name.partition("_")[0], path.name)
    return tuple(by_person.values())


@cache
def _sample_files() -> tuple[TarEntry, ...]:
    return tuple(files_below(SAMPLE_PEOPLE, lambda name: is_wanted(PurePosixPath(name))))
