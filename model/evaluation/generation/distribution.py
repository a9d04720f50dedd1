"""A list of figures in five numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgnet.arrays import AnyFloats


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How many, their mean, and the 5th, 50th and 95th percentile."""

    count: int
    mean: float
    p5: float
    p50: float
    p95: float

    @classmethod
    def of(cls, values: AnyFloats) -> Distribution:
        """The distribution of at least one value (N,)."""
        wide = values.astype(np.float64)
        p5, p50, p95 = (float(value) for value in np.percentile(wide, (5, 50, 95)))
        return cls(count=len(wide), mean=float(wide.mean()), p5=p5, p50=p50, p95=p95)

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.p5:.3f}, {self.p50:.3f}, {self.p95:.3f})"
