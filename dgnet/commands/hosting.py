"""Runs the HTTP application: listens, stops on signals with exit code 0, drains before it ends.

`host_all` adds an in-process queue and a worker; `host_front_end` leaves both to others.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from dgnet.commands.failures import CommandError, InputError, needs_extra
from dgnet.commands.processes import read_settings, unusable_queue
from dgnet.jobs.client import JobClient
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.jobs.storage import StorageSettings
from dgnet.service.app import create_app, let_followers_go
from dgnet.service.connections import BoundedProtocol
from dgnet.service.settings import ServiceSettings

if TYPE_CHECKING:
    from dgnet.model.checkpoints import Checkpoint
    from dgnet.model.predictor import Predictor


SILENT_PROCESS_SECONDS = 60
"""Of one front-end process among several. uvicorn's own 5 s are too short to start in on a busy
machine: the process would be killed and begun anew for ever."""


class Server(uvicorn.Server):
    """uvicorn that leaves signals to `run_until_signal`: its own way ends with the signal raised
    again, and so with another exit code than 0."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Streams of events end first: they would last as long as the jobs that they follow."""
        if isinstance(self.config.app, FastAPI):
            let_followers_go(self.config.app)
        await super().shutdown(sockets)

    async def run_until_signal(self, listener: socket.socket) -> None:
        """Serve until SIGTERM or SIGINT, then answer what is in flight; a second ends at once."""

        def stop() -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        await self.serve([listener])


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a port in use is told before anything is loaded."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CommandError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def server_config(app: FastAPI | str, *, workers: int = 1) -> uvicorn.Config:
    """How every front-end process serves; a string names a function that makes the application."""
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        http=BoundedProtocol,
        ws="none",
        workers=workers,
        log_config=None,
        access_log=False,
        timeout_worker_healthcheck=SILENT_PROCESS_SECONDS,
        timeout_graceful_shutdown=round(read_settings(WorkerSettings).shutdown_seconds),
    )


def front_end() -> FastAPI:
    """The application, with the queue that DGNET_REDIS_URL names."""
    settings = read_settings(QueueSettings)
    if settings.redis_url is None:
        raise InputError("the front end alone needs a queue: give --redis-url")
    try:
        jobs = JobClient.from_url(settings.redis_url, settings)
    except ValueError as error:
        raise unusable_queue(settings.redis_url) from error
    storage = read_settings(StorageSettings)
    job_store = JobStore(jobs.redis, settings, storage)
    return create_app(read_settings(ServiceSettings), jobs, job_store, storage)


async def host_front_end(listener: socket.socket) -> None:
    """The front end alone, in this process, until a signal."""
    await Server(server_config(front_end())).run_until_signal(listener)


def host_front_ends(listener: socket.socket, *, processes: int) -> None:
    """The front end alone, in several processes that share the socket, until a signal."""
    front_end()  # what is wrong with the settings is told here, not by every child
    config = server_config("dgnet.commands.hosting:front_end", workers=processes)
    with TemporaryDirectory(prefix="dgnet-metrics-") as folder:
        # /metrics of any process then counts all of them.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        Multiprocess(config, [listener]).run()


async def host_all(listener: socket.socket, checkpoint: Checkpoint, predictor: Predictor) -> None:
    """Front end, queue and worker in this loop, until a signal; raises what ends the worker."""
    with needs_extra("embedded"):
        from dgnet.jobs.embedded import embedded_redis
    from dgnet.commands.bulk import bulk_work
    from dgnet.worker.device import DeviceThread
    from dgnet.worker.main import Worker

    settings = read_settings(QueueSettings)
    redis = embedded_redis()
    device = DeviceThread()
    make_bulk = bulk_work(checkpoint, predictor, device, settings)
    worker = Worker(
        redis, predictor, settings, read_settings(WorkerSettings),
        device=device, bulk=make_bulk(redis) if make_bulk else None,
    )  # fmt: skip
    storage = read_settings(StorageSettings)
    job_store = JobStore(redis, settings, storage) if make_bulk else None
    app = create_app(read_settings(ServiceSettings), JobClient(redis, settings), job_store, storage)
    server = Server(server_config(app))

    def stop_serving(_: asyncio.Task[None]) -> None:
        server.should_exit = True

    working = asyncio.create_task(worker.run(), name="worker")
    # A worker that gives up takes the front end along: nobody else would do the jobs.
    working.add_done_callback(stop_serving)
    try:
        await server.run_until_signal(listener)
    finally:
        worker.stop()
        await asyncio.wait([working])
        if working.cancelled():
            raise CommandError("the worker's task was ended by somebody else; start it again")
        working.result()
