"""Names for the arrays that pass between the rooms."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int32]
Bools: TypeAlias = NDArray[np.bool_]
Pixels: TypeAlias = NDArray[np.uint8]
Records: TypeAlias = NDArray[np.void]
"""Structured array; its dtype stands beside whoever fills it."""
AnyFloats: TypeAlias = NDArray[np.floating[Any]]
