"""Where `dgnet generate` writes: a folder, or by way of a work folder to a URL."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgnet.commands.failures import CommandError, InputError, needs_extra
from dgnet.commands.interruption import sigterm_interrupts
from dgnet.commands.progress import progress_bar
from dgnet.commands.talk import say
from dgnet.jobs.generation.spec import url_problem

if TYPE_CHECKING:
    from dgnet.generation.upload.uploading import UploadProgress


@dataclass(frozen=True, kw_only=True)
class Target:
    """The folder that the job is made in, and the URL that its files are then put to."""

    folder: Path
    url: str | None = None
    keep_work: bool = True
    """Whether the folder stays after its files have arrived at the URL."""

    @classmethod
    def of(cls, output: str | None, *, work: Path | None, keep_work: bool) -> Target:
        """The target that `--output` or the spec names; raises InputError for a wrong one."""
        if output is None:
            raise InputError("no output: give --output, or output.destination in the spec")
        if "://" not in output:
            if work is not None or keep_work:
                raise InputError(
                    "--work and --keep-work are for an output that is a URL; a folder is written "
                    "to directly"
                )
            return cls(folder=Path(output))
        if problem := url_problem(output):
            raise InputError(f"the output cannot be used: {problem}")
        with needs_extra("generate"):
            from dgnet.generation.upload.work import work_folder
        return cls(folder=work or work_folder(output), url=output, keep_work=keep_work)

    def __str__(self) -> str:
        return self.url or str(self.folder)

    def take_folder(self, identity: dict[str, Any], *, resume: bool) -> bool:
        """Whether the complete set is at the URL already; else the place is taken for it."""
        if self.url is None:
            return False
        from dgnet.generation.upload.uploading import take_destination

        complete = take_destination(self.url, identity, resume=resume)
        if complete:
            self._tidy()
        return complete

    def upload(self, *, again: str = "run the same command with --resume") -> None:
        """Put the files of a complete job to the URL, if there is one; `again` tells how an upload
        that was interrupted is carried on.
        """
        if self.url is None:
            return
        from dgnet.generation.upload.uploading import upload

        try:
            with sigterm_interrupts(), progress_bar() as bar:
                task = bar.add_task("files uploaded", total=None)

                def report(progress: UploadProgress) -> None:
                    bar.update(task, completed=progress.done, total=progress.files)

                done = upload(self.folder, self.url, report=report)
        except KeyboardInterrupt:
            raise CommandError(
                f"the upload to {self.url} was interrupted; what arrived is kept: {again}"
            ) from None
        self._tidy()
        say(
            f"{done.files} files at {self.url}, {done.sent} of them sent now "
            f"({done.bytes_sent / 1e6:.1f} MB)"
        )

    def _tidy(self) -> None:
        if not self.keep_work:
            shutil.rmtree(self.folder, ignore_errors=True)
