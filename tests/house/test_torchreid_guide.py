"""docs/torchreid.md: its scripts are run as they stand, on sample people and few composites."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dgnet.commands.cli import main

ROOT = Path(__file__).parents[2]
PEOPLE = ROOT / "dgnet" / "samples" / "people"
SMALL = (
    "--model", "osnet_x0_25", "--from-scratch", "--height", "64", "--epochs", "1",
    "--batch", "16", "--workers", "0",
)  # fmt: skip


@pytest.mark.slow
def test_its_scripts_train_on_real_pictures_and_composites(tmp_path: Path) -> None:
    made = ("--count", "16", "--size", "64x32", "--label", "uniform", "--device", "cpu")
    with pytest.raises(SystemExit) as stop:
        main(["generate", str(PEOPLE), *made, "-o", str(tmp_path / "composites")])
    assert stop.value.code == 0
    page = (ROOT / "docs" / "torchreid.md").read_text()
    script, soft_labels = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    # The second takes the place of the first's engine; here it follows it, so that both run.
    (tmp_path / "train.py").write_text(f"{script}\nprint('soft labels')\n{soft_labels}")
    done = subprocess.run(
        [sys.executable, "train.py", str(PEOPLE), "composites", *SMALL],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = re.search(r"train +\| +(\d+) \| +(\d+) \| +\d+", done.stdout)
    assert summary is not None
    assert summary.groups() == ("8", str(8 * 8 + 16))  # persons, pictures
    hard, soft = done.stdout.split("soft labels\n")
    for trained in (hard, soft):
        assert re.search(r"mAP: \d", trained)
