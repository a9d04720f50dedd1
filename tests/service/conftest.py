"""An app over a fake queue, and an HTTP client to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from dgnet.jobs.storage import StorageSettings
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.absent import require_programs
from tests.service.browser import PROGRAMS, Browser, headless_browser
from tests.service.fake_job_store import FakeJobStore
from tests.service.fakes import FakeJobs


@pytest.fixture(scope="session")
def browser() -> Generator[Browser]:
    require_programs(*PROGRAMS)
    with headless_browser() as browser:
        yield browser


@pytest.fixture
def jobs() -> FakeJobs:
    return FakeJobs()


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings(
        max_body_bytes=200_000, max_picture_bytes=100_000, max_pictures=4, access_log="all"
    )


@pytest.fixture
def storage(tmp_path: Path) -> StorageSettings:
    return StorageSettings(data_root=tmp_path / "data", job_destinations="s3://bucket/sets")


@pytest.fixture
def job_store(storage: StorageSettings) -> FakeJobStore:
    return FakeJobStore(storage)


@pytest.fixture
def app(
    jobs: FakeJobs, settings: ServiceSettings, job_store: FakeJobStore, storage: StorageSettings
) -> FastAPI:
    return create_app(settings, jobs, job_store, storage)


@pytest_asyncio.fixture
async def http(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
