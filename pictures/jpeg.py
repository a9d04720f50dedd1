"""JPEG files in memory, encoded outside of the interpreter lock.

Pillow encodes into Python objects such as `BytesIO` with the lock held, so that every other thread
waits, the one that feeds the device among them; into a file descriptor it encodes without. Each
thread therefore has one memory file of its own and encodes into that. The bytes are the same.
"""

from __future__ import annotations

import io
import os
import threading

from PIL import Image

MOST_KEPT_BYTES = 2**20
"""Of a thread's memory file: what a larger picture took is given back."""


class _MemoryFile:
    """What Pillow asks of a file that has a descriptor; closed with its thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.process = os.getpid()

    def fileno(self) -> int:
        return self._descriptor

    def flush(self) -> None:
        """Nothing waits outside of the descriptor."""

    def written(self) -> bytes:
        """Everything since the last `rewind`."""
        return os.pread(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_CUR), 0)

    def rewind(self) -> None:
        """Forget what was written."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        if os.fstat(self._descriptor).st_size > MOST_KEPT_BYTES:
            os.ftruncate(self._descriptor, 0)

    def __del__(self) -> None:
        os.close(self._descriptor)


_of_thread = threading.local()


def jpeg(image: Image.Image, *, quality: int, subsampling: int | str = 0) -> bytes:
    """The file of an RGB picture.

    Without subsampling (4:4:4), if nothing else is said: at the sizes of persons halved color
    planes blur the very clothes that were swapped.
    """
    file = _memory_file()
    if file is None:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
        return buffer.getvalue()
    try:
        image.save(file, "JPEG", quality=quality, subsampling=subsampling)  # pyright: ignore[reportArgumentType]
        return file.written()
    finally:
        file.rewind()


def _memory_file() -> _MemoryFile | None:
    """The thread's own; None where the system has none."""
    file: _MemoryFile | None = getattr(_of_thread, "file", None)
    if file is None or file.process != os.getpid():  # a forked process shares the place in it
        try:
            file = _of_thread.file = _MemoryFile(os.memfd_create("jpeg"))
        except (AttributeError, OSError):
            return None
    return file
