"""The sample people that come with the package, for `dgnet demo`, the tests and first steps.

24 rendered persons x 8 pictures in Market-1501 layout, with attributes and data card, as `dgnet
people render` writes them. Their seed is not that of the training set: the weights that ship have
seen neither these people nor their places.
"""

from __future__ import annotations

from pathlib import Path

SAMPLE_PEOPLE = Path(__file__).parent / "people"
