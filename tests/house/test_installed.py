"""The package as its users have it: built, installed, and run where files have our old names.

Other people's packages come from this environment, so that nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.house.rooms import ROOMS, ROOT

BUILD_SDIST = "from setuptools import build_meta; print(build_meta.build_sdist('dist'))"


def run(
    *arguments: str | Path, where: Path, python: Path = Path(sys.executable)
) -> subprocess.CompletedProcess[str]:
    """This Python, or another, without the paths that tests are run with."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("DGNET_")
    }
    done = subprocess.run(
        [python, *arguments], cwd=where, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def pip(*arguments: str | Path, where: Path) -> None:
    run("-m", "pip", "--quiet", "--disable-pip-version-check", *arguments, where=where)


def fresh_environment(folder: Path) -> Path:
    """Its Python; packages that it has not itself are this environment's."""
    run("-m", "venv", "--without-pip", folder, where=folder.parent)
    ours = Path(sysconfig.get_path("purelib"))
    theirs = folder / ours.relative_to(sys.prefix)
    (theirs / "dependencies.pth").write_text(f"{ours}\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What containers build from: the paths that `.dockerignore` lets in."""
    folder = tmp_path_factory.mktemp("checkout")
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    for name in (line[1:] for line in lines if line.startswith("!")):
        if (ROOT / name).is_dir():
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=without)
        else:
            shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    """Built from the source distribution, so that both are whole."""
    archive = run("-c", BUILD_SDIST, where=checkout).stdout.splitlines()[-1]
    options = ("--no-deps", "--no-index", "--no-build-isolation")
    pip("wheel", *options, "-w", "wheels", f"dist/{archive}", where=checkout)
    (found,) = (checkout / "wheels").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    python = fresh_environment(tmp_path_factory.mktemp("installed") / "environment")
    pip("--python", python, "install", "--no-deps", "--no-index", wheel, where=wheel.parent)
    return python


@pytest.fixture(scope="module")
def editable(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    python = fresh_environment(tmp_path_factory.mktemp("editable") / "environment")
    options = ("--no-deps", "--no-index", "--no-build-isolation")
    pip("--python", python, "install", *options, "--editable", checkout, where=checkout)
    return python


@pytest.fixture(params=["installed", "editable"])
def python(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder whose files have the names of our rooms, as many a project's have."""
    for name in ROOMS:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not what was meant')\n")
    (tmp_path / "worker.py").unlink()
    (tmp_path / "worker").mkdir()
    return tmp_path


def test_nothing_but_dgnet_is_put_beside_other_packages(installed: Path) -> None:
    (packages,) = (installed.parents[1] / "lib").glob("python*/site-packages")
    names = {path.name for path in packages.iterdir()}
    assert {name for name in names if not name.startswith("dgnet")} == {"dependencies.pth"}
    assert (packages / "dgnet" / "py.typed").is_file()
    assert not any(path.is_symlink() for path in packages.rglob("*"))


def test_the_commands_are_there(python: Path, elsewhere: Path) -> None:
    shown = run("-m", "dgnet", "--help", where=elsewhere, python=python).stdout
    assert all(name in shown for name in ("serve", "worker", "swap", "people", "generate"))
    script = subprocess.run(
        [python.with_name("dgnet"), "--version"], cwd=elsewhere, capture_output=True, text=True
    )
    assert (script.returncode, script.stdout.split()[0]) == (0, "dgnet")


def test_the_client_loads_neither_torch_nor_the_front_end(python: Path, elsewhere: Path) -> None:
    code = (
        "import sys, dgnet\n"
        "assert 'torch' not in sys.modules\n"
        "from dgnet.client import DGNetClient\n"
        "print(sorted({'torch', 'redis', 'fastapi', 'dgnet.service'} & sys.modules.keys()))"
    )
    assert run("-c", code, where=elsewhere, python=python).stdout == "[]\n"


def test_files_of_the_package_come_along(python: Path, elsewhere: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "import dgnet\n"
        "for name in ('model/weights/small/model.safetensors', 'people/assets/body.npz',\n"
        "             'people/writing/card.md', 'samples/people/set.json',\n"
        "             'service/static/page/api.js'):\n"
        "    assert (Path(dgnet.__file__).parent / name).is_file(), name"
    )
    run("-c", code, where=elsewhere, python=python)


def test_two_people_are_swapped_and_embedded(installed: Path, elsewhere: Path) -> None:
    python = installed
    query = ROOT / "dgnet" / "samples" / "people" / "query"
    one, other = sorted(query.glob("*.jpg"))[0], sorted(query.glob("*.jpg"))[-1]
    swap = ("swap", "--appearance", one, "--structure", other, "-o", "composite.png")
    run("-m", "dgnet", *swap, where=elsewhere, python=python)
    assert (elsewhere / "composite.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    run("-m", "dgnet", "embed", one, other, "-o", "two.npz", where=elsewhere, python=python)
    assert (elsewhere / "two.npz").stat().st_size > 0
