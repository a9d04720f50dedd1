"""HEAD as GET everywhere: the same status and headers, no body, and nothing is made to be sent.

Health checks, download managers and `curl -I` ask so. The route runs as for GET until its answer
begins; then it is cancelled, since the bytes that would follow, or events for hours, go to nobody.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Between those who refuse requests and those who answer them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        as_get: Scope = {**scope, "method": "GET"}
        begins: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        async def note_the_beginning(message: Message) -> None:
            if message["type"] == "http.response.start" and not begins.done():
                begins.set_result(message)

        answering = asyncio.ensure_future(self._app(as_get, receive, note_the_beginning))
        try:
            await asyncio.wait({answering, begins}, return_when=asyncio.FIRST_COMPLETED)
            if not begins.done():
                await answering  # raises what went wrong
                return
            if "route" in as_get:  # for the metrics, which know the outer scope alone
                scope["route"] = as_get["route"]
        finally:
            if not answering.done():
                answering.cancel()
                await asyncio.wait({answering})
        await send(begins.result())
        await send({"type": "http.response.body", "body": b"", "more_body": False})
