"""How fast a lane drains, from a counter of finished jobs seen now and then."""

from __future__ import annotations

import time
from collections import deque

_WINDOW_SECONDS = 30.0
_SAMPLE_SECONDS = 0.5
_SHORTEST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_UNKNOWN_SECONDS = 5.0  # nothing measured yet


class RateMeter:
    """Jobs per second over the last half minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()  # (seconds, jobs finished so far)

    def observe(self, finished: int, now: float | None = None) -> None:
        """Takes a reading of the counter; `now` in seconds of a monotonic clock."""
        now = time.monotonic() if now is None else now
        if self._samples and finished < self._samples[-1][1]:
            self._samples.clear()  # the counter began anew
        if not self._samples or now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, finished))
        while self._samples[0][0] < now - _WINDOW_SECONDS:
            self._samples.popleft()

    def seconds_for(self, jobs: float) -> float:
        """About how long that many jobs take, between 1 s and a minute."""
        if len(self._samples) < 2:
            return _UNKNOWN_SECONDS
        (first_time, first), (last_time, last) = self._samples[0], self._samples[-1]
        rate = (last - first) / (last_time - first_time)
        if rate <= 0:
            return _LONGEST_SECONDS
        return min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, jobs / rate))
