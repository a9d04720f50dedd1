"""Names for the arrays of the renderer: those of every room, and two of its own."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgnet.arrays import AnyFloats as AnyFloats
from dgnet.arrays import Bools as Bools
from dgnet.arrays import Doubles as Doubles
from dgnet.arrays import Floats as Floats
from dgnet.arrays import Pixels as Pixels

Ints: TypeAlias = NDArray[np.int32]
Records: TypeAlias = NDArray[np.void]
"""Structured array; its dtype stands beside whoever fills it."""
