"""Starts the command line as processes of their own, and waits until a service is ready."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
START_SECONDS = 300.0
STOP_SECONDS = 90.0


@contextmanager
def command(
    *arguments: str, module: str = "dgnet", settings: Mapping[str, str] | None = None
) -> Generator[subprocess.Popen[str]]:
    """`python -m module arguments`, with these DGNET_... settings and nobody else's; in
    float32, for what `auto` chooses hangs on the processor.
    """
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("DGNET_")}
    environment |= {"DGNET_PRECISION": "fp32", **(settings or {})}
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def service(
    *arguments: str, module: str = "dgnet", settings: Mapping[str, str] | None = None
) -> Generator[tuple[subprocess.Popen[str], str]]:
    """`dgnet serve` on a free port: the process and its address. Ready only if a worker is."""
    serve = ("serve", "--port", "0", *arguments)
    with command(*serve, module=module, settings=settings) as process:
        assert process.stdout is not None
        announcement = process.stdout.readline()
        assert announcement, f"the service ended with {process.wait()}"
        yield process, announcement.split()[1]


def wait_until_ready(process: subprocess.Popen[str], server: str) -> None:
    """Polls /readyz until it is 200."""
    give_up_at = time.monotonic() + START_SECONDS
    while readiness(server) != 200:
        assert process.poll() is None, f"the service ended with {process.returncode}"
        assert time.monotonic() < give_up_at, f"{server} is not ready after {START_SECONDS} s"
        time.sleep(0.05)


def wait_until_listening(process: subprocess.Popen[str], server: str) -> None:
    """Polls until somebody answers, ready or not."""
    give_up_at = time.monotonic() + START_SECONDS
    while readiness(server) is None:
        assert process.poll() is None, f"the service ended with {process.returncode}"
        assert time.monotonic() < give_up_at, f"{server} is silent after {START_SECONDS} s"
        time.sleep(0.05)


def readiness(server: str) -> int | None:
    """Status of /readyz, None if nobody answers."""
    try:
        with urllib.request.urlopen(f"{server}/readyz", timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None
