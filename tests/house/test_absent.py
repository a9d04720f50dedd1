"""A program that is missing skips a test, and fails it in continuous integration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.absent import require_programs

ROOT = Path(__file__).parents[2]
PROVIDE = ROOT / ".ci" / "provide-chromium"


def test_what_is_there_is_no_reason_to_skip() -> None:
    require_programs("sh")


def test_what_is_missing_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program not on PATH"):
        require_programs("sh", "no-such-program")


def test_continuous_integration_fails_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"no-such-program not on PATH; .* \.ci/"):
        require_programs("no-such-program")


def provided(folder: Path, *programs: str, ci: str) -> subprocess.CompletedProcess[str]:
    """`.ci/provide-chromium` where these programs are all there is."""
    for name in programs:
        (folder / name).write_text("#!/bin/sh\necho 1000\n")
        (folder / name).chmod(0o755)
    for name in ("bash", "env"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    environment = os.environ | {"PATH": str(folder), "CI": ci}
    return subprocess.run([PROVIDE], env=environment, capture_output=True, text=True)


def test_a_browser_that_is_there_is_left_alone(tmp_path: Path) -> None:
    done = provided(tmp_path, "chromium", "chromedriver", ci="true")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_without_root_it_says_what_to_install(ci: str, status: int, tmp_path: Path) -> None:
    done = provided(tmp_path, "id", "chromium", ci=ci)
    assert done.returncode == status
    assert "apt-get install chromium chromium-driver" in done.stderr
