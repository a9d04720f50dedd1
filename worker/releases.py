"""Whether another release is newer: several run side by side while an installation is brought up to
date.
"""

from __future__ import annotations

import re

from dgnet.release import RELEASE


def is_newer(release: str, than: str = RELEASE) -> bool:
    """Whether `release` came after `than`; what tells no number came before all."""
    return _numbers(release) > _numbers(than)


def _numbers(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d{1,9}", release)]
