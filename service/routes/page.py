"""/: a page that swaps two pictures and makes data sets. Static files, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

router = APIRouter()
STATIC_DIRECTORY = Path(__file__).parent.parent / "static"
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
