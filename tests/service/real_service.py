"""`dgnet serve` as a process of its own, with a redis-server and a worker whose model is a fake."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes import service, wait_until_ready
from tests.redis_server import RedisServer
from tests.worker.harness import WorkerProcess, queue_settings


@dataclass(frozen=True)
class RealService:
    """Where it is."""

    url: str
    redis_url: str
    process_id: int

    def open_files(self, below: Path) -> int:
        """How many files below a folder the process has open."""
        names: list[str] = []
        for descriptor in Path(f"/proc/{self.process_id}/fd").iterdir():
            try:
                names.append(str(descriptor.readlink()))
            except FileNotFoundError:  # closed meanwhile
                continue
        return sum(name.startswith(f"{below}/") for name in names)


@contextmanager
def real_service(data_root: Path, **settings: object) -> Generator[RealService]:
    """The service once it is ready; `settings` as fields, such as `api_keys`."""
    queue = queue_settings()
    fields = {**queue.model_dump(exclude_none=True), "data_root": data_root, **settings}
    variables = {f"DGNET_{name.upper()}": str(value) for name, value in fields.items()}
    data_root.mkdir(parents=True, exist_ok=True)
    with RedisServer() as redis:
        worker = WorkerProcess(redis.url, queue, seconds_per_batch=0.0)
        try:
            with service("--redis-url", redis.url, settings=variables) as (process, url):
                wait_until_ready(process, url)
                yield RealService(url, redis.url, process.pid)
        finally:
            worker.kill()
