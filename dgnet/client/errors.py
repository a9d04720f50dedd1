"""How a client fails: what the server said, kept as it said it."""

from __future__ import annotations

from typing import Any

import httpx

from dgnet.jobs.media_types import PROBLEM
from dgnet.jobs.views import GenerationView


class DGNetError(Exception):
    """The server refused or could not be reached; `str(error)` says why and what to do.

    `status` is the HTTP status, None when no answer came; `code` the kind of problem, such as
    "not-a-picture"; `index` the position of the picture at fault, where one is.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
        index: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds
        self.index = index

    def about(self, what: str, index: int) -> DGNetError:
        """The same error, which says of what and of which one of several."""
        self.args = (f"{what}: {self}",)
        self.index = index
        return self

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later: nobody answered, or somebody was too busy."""
        return self.status is None or self.status in (429, 502, 503, 504)


class JobFailed(DGNetError):
    """A generation job that ended without its set; `str(error)` says why in the job's own words.

    `job` is the job as it was, `code` the kind of its error, such as "bad-job".
    """

    def __init__(self, job: GenerationView) -> None:
        why = job.error.detail if job.error else "it was stopped and may be resumed"
        code = job.error.type.rpartition(":")[2] if job.error else job.state
        status = job.error.status if job.error else 409
        super().__init__(f"job {job.id} is {job.state}: {why}", status=status, code=code)
        self.job = job

    @property
    def may_pass(self) -> bool:
        """Not by itself: somebody has to resume the job."""
        return False


def error_of(response: httpx.Response) -> DGNetError:
    """The server's problem as an exception; answers of others (a proxy, say) by their status."""
    problem: dict[str, Any] = {}
    if response.headers.get("content-type", "").startswith(PROBLEM):
        problem = response.json()
    retry_after = response.headers.get("retry-after", "")
    title = problem.get("title", f"{response.url.host} answered {response.status_code}")
    detail = problem.get("detail", response.text[:200])
    return DGNetError(
        f"{title}: {detail}" if detail else title,
        status=response.status_code,
        code=str(problem.get("type", "")).rpartition(":")[2] or None,
        request_id=problem.get("request_id"),
        retry_after_seconds=float(retry_after) if retry_after.isdigit() else None,
        index=problem.get("index"),
    )
