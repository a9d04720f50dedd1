"""Programs that a test needs and a machine may lack: a skip, but a failure where CI is set.

Continuous integration brings them (`.ci/`); a skip there would hide that nothing was tested.
"""

from __future__ import annotations

import os
import shutil

import pytest


def require_programs(*names: str) -> None:
    """Skips the test that calls where one is not on the PATH; with CI=true it fails."""
    missing = [name for name in names if shutil.which(name) is None]
    if not missing:
        return
    reason = f"{' and '.join(missing)} not on PATH"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; continuous integration has to bring it, see .ci/")
    pytest.skip(reason)
