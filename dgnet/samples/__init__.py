"""The sample people that come with the package, for `dgnet demo`, the tests and first steps.

24 rendered persons x 8 pictures in Market-1501 layout; people/README.md tells their origin.
"""

from __future__ import annotations

from pathlib import Path

SAMPLE_PEOPLE = Path(__file__).parent / "people"
