"""`python -m tests.commands.dies_at RUN N train ...` is `dgnet train ...` that kills itself.

By SIGKILL, just before the Nth time that it touches a file or folder below RUN. With N = 0 it
lives, and says at the end how often it did.
"""

from __future__ import annotations

import os
import signal
import sys

from dgnet.commands.cli import main

TOUCHES = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod")


def watch(run: str, dies_at: int) -> None:
    """Count what Python tells of the file system, and die in time."""
    touched = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal touched
        if event in TOUCHES and str(arguments[0]).startswith(run):
            touched += 1
            if touched == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    if not dies_at:
        import atexit

        atexit.register(lambda: print(f"touched {touched}"))


if __name__ == "__main__":
    watch(sys.argv[1], int(sys.argv[2]))
    del sys.argv[1:3]
    main()
