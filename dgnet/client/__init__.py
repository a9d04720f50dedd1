"""A small synchronous client of the HTTP API.

    with DGNetClient("http://127.0.0.1:8000") as client:
        composite_png = client.swap(appearance_bytes, structure_bytes)

`client.datasets` and `client.jobs` are for bulk generation. Every failure is a `DGNetError`; where
the server sent a problem, its status, kind and detail are kept. Needs httpx, httpx-sse and numpy.
"""

from dgnet.client.client import DGNetClient, PictureFormat
from dgnet.client.connection import DGNetError

__all__ = ["DGNetClient", "DGNetError", "PictureFormat"]
