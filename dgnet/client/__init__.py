"""Clients of the HTTP API: `Client` waits in its thread, `AsyncClient` in an event loop.

    with Client("http://127.0.0.1:8000") as client:
        composite_png = client.swap("appearance.jpg", "structure.jpg")

`client.datasets` and `client.jobs` are for bulk generation; what they answer are the service's own
models, `dgnet.jobs.views`. Every failure is a `DGNetError`; where the server sent a problem, its
status, kind and detail are kept, and a job that failed is a `JobFailed` with the job's own error.
Needs httpx, httpx-sse, Pillow and numpy.
"""

from dgnet.client.async_client import AsyncClient, PictureFormat
from dgnet.client.client import Client
from dgnet.client.errors import DGNetError, JobFailed

DGNetClient = Client
"""As `Client` was called first."""

__all__ = ["AsyncClient", "Client", "DGNetClient", "DGNetError", "JobFailed", "PictureFormat"]
