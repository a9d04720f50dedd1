"""Pictures as the files of a request, and how much of them one request may have.

Bounds are below the defaults of a server; one that allows less refuses with 413.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dgnet.client.errors import DGNetError
from dgnet.client.wires import Wire
from dgnet.pictures import AnyPicture, PictureRefused, web_file

# Of a server by default: 64 pictures, 10 MB.
PICTURES_PER_REQUEST: Final = 32
BYTES_PER_REQUEST: Final = 8_000_000


async def sent_files(wire: Wire, pictures: Sequence[tuple[AnyPicture, str]]) -> list[bytes]:
    """Files of pictures, of which messages have names; DGNetError for one that cannot be read."""

    def read() -> list[bytes]:
        files: list[bytes] = []
        for picture, name in pictures:
            try:
                files.append(web_file(picture))
            except PictureRefused as refused:
                raise DGNetError(f"{name} {refused.what}", code=refused.reason) from refused
            except OSError as error:
                raise DGNetError(f"{name} cannot be read ({error.strerror})") from error
        return files

    return await wire.aside(read)
