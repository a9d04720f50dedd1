"""`dgnet demo`: the product in one minute, on sample people, through the ordinary HTTP API.

Starts `dgnet serve` as a process of its own, waits until it is ready, asks for composites and
embeddings a few requests at a time and for a data set as a generation job, writes everything into
one folder and stops the server.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from dgnet.commands.failures import CommandError
from dgnet.commands.options import CheckpointOption, DeviceOption, Precision, PrecisionOption

START_SECONDS: Final = 300.0
STOP_SECONDS: Final = 40.0


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path(
        "demo-output"
    ),
    composites: Annotated[
        int, typer.Option(min=1, max=5000, help="Composites in the augmented data set.")
    ] = 100,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Start the service, swap sample people, write pictures, embeddings and a data set, stop."""
    from dgnet.commands import showcase

    output.mkdir(parents=True, exist_ok=True)
    with running_service(
        output / "server.log", checkpoint=checkpoint, device=device, precision=precision
    ) as server:
        typer.echo(f"the service answers at {server}")
        showcase.write_composite(output, server)
        showcase.write_grid(output, server)
        showcase.write_embeddings(output, server)
        showcase.write_dataset(output / "dataset", server, count=composites)
    typer.echo(f"done; everything is in {output.resolve()}")


@contextmanager
def running_service(
    log: Path, *, checkpoint: Path | None, device: str, precision: Precision
) -> Generator[str]:
    """The address of a ready `dgnet serve` on a free port, which is stopped at the end."""
    command = [sys.executable, "-m", "dgnet", "serve", "--host", "127.0.0.1", "--port", "0"]
    command += ["--device", device, "--precision", precision]
    if checkpoint is not None:
        command += ["--checkpoint", str(checkpoint)]
    # Neither queue, keys nor storage of a real installation concern a demonstration.
    not_ours = {"DGNET_REDIS_URL", "DGNET_API_KEYS"}
    environment = {name: value for name, value in os.environ.items() if name not in not_ours}
    with (
        TemporaryDirectory(prefix="dgnet-demo-") as data_root,
        log.open("wb") as log_file,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
            env={**environment, "DGNET_DATA_ROOT": data_root},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            announcement = process.stdout.readline()  # ends at once if the process does
            if not announcement:
                raise CommandError(f"the service did not start: {last_line(log)}")
            server = announcement.split()[1]
            wait_until_ready(process, server, log)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until_ready(process: subprocess.Popen[str], server: str, log: Path) -> None:
    """Ask /readyz until it says 200; raises CommandError if the service ends or is too slow."""
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise CommandError(f"the service ended while starting: {last_line(log)}")
        try:
            with urllib.request.urlopen(f"{server}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise CommandError(f"the service was not ready after {START_SECONDS:g} s; see {log}")


def last_line(log: Path) -> str:
    """What a process said last."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"nothing in {log}"
