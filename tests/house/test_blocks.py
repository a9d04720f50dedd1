"""Every block of README and docs does what it says: run as it stands, before a real service.

Each page has a folder of its own, where its blocks run in their order, with sample people under the
names that pages give to data sets. Shell blocks run in bash, which stops at the first command that
fails (a request that is refused is one); Python blocks as programs. All ask one `dgnet serve`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from tests.absent import require_programs
from tests.house.blocks import PAGES, ROOT, Block, blocks_of, prose_of
from tests.house.commands_in_words import commands_in, parse, unknown_options
from tests.processes import service, wait_until_ready
from tests.s3_server import S3Server

SAMPLES = ROOT / "dgnet" / "samples" / "people"
ADDRESS = "http://127.0.0.1:8000"
RUN_SECONDS = 600.0
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SCRIPTS = [block for block in BLOCKS if block.language in ("sh", "python")]
RUN = [block for block in SCRIPTS if block.not_run is None]
RUN_PAGES = sorted({block.page for block in RUN})

JOINT = "dgnet train joint DATA --teacher runs/teacher/checkpoint"
NOT_RUN = {
    ("CONTRIBUTING.md", "make test"),
    ("README.md", "make demo"),
    ("README.md", "docker compose up --build"),
    ("docs/evaluation.md", "dgnet train judge"),
    ("docs/experiments.md", "OMP_NUM_THREADS=1 python -m benchmarks.ablation"),
    ("docs/experiments.md", "python -m benchmarks.downstream"),
    ("docs/generation.md", "dgnet generate --job gen_..."),
    ("docs/generation.md", "pip install 'dgnet[hub]'"),
    ("docs/start.md", "pip install 'dgnet[train]'"),
    ("docs/start.md", "dgnet train adapt DATA"),
    ("docs/torchreid.md", "pip install torchreid"),
    ("docs/torchreid.md", "import argparse"),
    ("docs/torchreid.md", "import json"),
    (
        "docs/training.md",
        "dgnet train joint DATA --teacher runs/teacher/checkpoint --preset detail",
    ),
    ("docs/training.md", "torchrun --standalone"),
    ("docs/training.md", "torchrun --nnodes 2"),
    ("docs/training.md", "dgnet checkpoint import"),
}
"""All blocks that are not run, by page and beginning; each says on its page why."""

OWN_NAMES = {"docs/people.md": {"DIR"}}
"""Data sets that a page makes itself."""


@dataclass(frozen=True)
class Stand:
    """What all pages run before."""

    server: str
    programs: Path
    store: dict[str, str]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stand]:
    require_programs("bash", "curl")
    programs = tmp_path_factory.mktemp("programs")
    write_program(programs / "dgnet", f'exec "{sys.executable}" -m dgnet "$@"')
    for name in ("python", "python3"):
        write_program(programs / name, f'exec "{sys.executable}" "$@"')
    # A request that is refused ends curl well, unless it is told otherwise.
    write_program(programs / "curl", f'exec "{shutil.which("curl")}" --fail-with-body "$@"')
    data_root = tmp_path_factory.mktemp("data-root")
    shutil.copytree(SAMPLES, data_root / "market1501")
    settings = {"DGNET_DATA_ROOT": str(data_root)}
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(S3Server())
        process, server = stack.enter_context(service("--device", "cpu", settings=settings))
        wait_until_ready(process, server)
        yield Stand(server, programs, store.environment)


def write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def prepare(folder: Path, page: str) -> None:
    """The data sets and folders that pages name."""
    for name in {"DATA", "DIR", "HELD_OUT", "market1501"} - OWN_NAMES.get(page, set()):
        (folder / name).symlink_to(SAMPLES)
    for name in ("dgnet", "model", "constraints.txt"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "docs" / "people").mkdir(parents=True)
    pictures = sorted((SAMPLES / "query").iterdir())
    for name in (
        "STREETS/P12/cam3_000123.jpg", "STREETS/P12/cam4_000124.jpg", "STREETS/P13/cam3_000125.jpg",
        "DOORS/train/ada-front-1.jpg", "DOORS/train/ada-back-1.jpg", "DOORS/train/bo-front-1.jpg",
        *(f"TRIPLES/{number:04d}_{role}_{person:04d}.jpg"
          for number in (0, 1)
          for role, person in (("appearance", 1), ("structure", 2), ("truth", 1))),
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pictures[sum(name.encode()) % len(pictures)], folder / name)
    shutil.copy(pictures[0], folder / "a.jpg")
    shutil.copy(pictures[-1], folder / "b.jpg")
    for kind in ("zip", "gztar"):
        shutil.make_archive(str(folder / "market"), kind, SAMPLES)
    for block in blocks_of(ROOT / page):
        if block.file is not None:
            (folder / block.file).write_text(block.smaller())


def run(block: Block, folder: Path, stand: Stand) -> None:
    script = block.smaller().replace(ADDRESS, stand.server)
    if block.language == "sh":
        command = ["bash", "-euo", "pipefail", "-c", script]
    else:
        program = stand.programs / "block.py"
        program.write_text(script)
        command = [sys.executable, str(program)]
    kept = {name: text for name, text in os.environ.items() if not name.startswith("DGNET_")}
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=RUN_SECONDS,
        env=kept | stand.store | {
            "PATH": f"{stand.programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(folder / "cache"), "HF_HOME": str(folder / "cache"),
            "DGNET_DEVICE": "cpu",
        },
    )  # fmt: skip
    told = f"{block.where} ended with {done.returncode}\n{script}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, told
    assert "Traceback" not in done.stderr, told


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN_PAGES)
def test_blocks_of_a_page_run_as_they_stand(page: str, stand: Stand, tmp_path: Path) -> None:
    prepare(tmp_path, page)
    for block in RUN:
        if block.page == page:
            run(block, tmp_path, stand)
    if page == "README.md":
        with Image.open(tmp_path / "composite.png") as composite:
            assert composite.size == (64, 128)
        assert (tmp_path / "set.tar").stat().st_size > 8 * 1000  # eight composites
    if page == "docs/evaluation.md":
        assert json.loads((tmp_path / "figures.json").read_text())


@pytest.mark.parametrize("block", SCRIPTS, ids=lambda block: block.where)
def test_a_block_can_be_read_by_its_language(block: Block) -> None:
    if block.language == "python":
        compile(block.text, block.where, "exec")
        return
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", block.text, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
    for module in re.findall(r"python -m ([\w.]+)", block.text):
        assert find_spec(module) is not None, module


@pytest.mark.parametrize("block", SCRIPTS, ids=lambda block: block.where)
def test_its_commands_are_those_of_the_command_line(block: Block) -> None:
    for words in commands_in(block.text) if block.language == "sh" else []:
        parse(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_have_the_options_that_it_names(page: Path) -> None:
    mentions = re.findall(r"`(dgnet [^`]+)`", prose_of(page))
    wrong = {mention: unknown_options(mention) for mention in mentions}
    assert {mention: names for mention, names in wrong.items() if names} == {}


def test_no_other_block_is_left_out() -> None:
    left_out = [block for block in SCRIPTS if block.not_run is not None]
    named = {
        (page, beginning): [
            block.where
            for block in left_out
            if block.page == page and block.text.startswith(beginning)
        ]
        for page, beginning in NOT_RUN
    }
    assert {beginning for beginning, found in named.items() if len(found) != 1} == set()
    assert len(left_out) == len(NOT_RUN)
    assert len(RUN) > 2 * len(left_out)


def test_a_reason_names_tests_that_there_are() -> None:
    for block in SCRIPTS:
        assert block.not_run is None or len(block.not_run) > 10
        for name in re.findall(r"tests/[\w/.]+\.py", block.not_run or ""):
            assert (ROOT / name).is_file(), f"{block.where} names {name}"


COMMAND = re.compile(
    r"\s*\$?\s*(dgnet|curl|make|pip|python3?|docker|torchrun|import|from [\w.]+ import)(?=\s|$)"
)


def test_no_command_hides_where_nothing_runs_it() -> None:
    pictures = [block for block in BLOCKS if block.language == ""]
    hidden = [
        f"{block.where}: {line}"
        for block in pictures
        for line in block.text.splitlines()
        if COMMAND.match(line)
    ]
    indented = [
        f"{page.name}:{number}: {line}"
        for page in PAGES
        for number, line in enumerate(prose_of(page).splitlines(), 1)
        if line.startswith("    ") and COMMAND.match(line)
    ]
    assert hidden + indented == []


def test_every_comment_that_looks_like_a_marker_is_one() -> None:
    """A misspelt one, or one apart from its fence, would be passed over."""
    for page in PAGES:
        used = sum(
            (block.not_run is not None) + bool(block.run_with) + (block.file is not None)
            for block in blocks_of(page)
        )
        assert len(re.findall(r"<!--", page.read_text())) == used, page.name


def test_readme_and_docs_are_found() -> None:
    assert {"README.md", "docs/generation.md", "docs/http-api.md"} <= set(RUN_PAGES)
    languages = {block.language for block in RUN if block.page == "README.md"}
    assert languages == {"sh", "python"}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```bash\nls\n```\n", "is none of"),
        ("  ```sh\nls\n```\n", "begins its line"),
        ("~~~sh\nls\n~~~\n", "not ~~~"),
        ("```sh\nls\n", "never ends"),
    ],
)
def test_a_block_of_another_form_is_refused(text: str, wrong: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(AssertionError, match=wrong):
        blocks_of(tmp_path / "page.md")


def test_markers_are_read(tmp_path: Path) -> None:
    markers = "<!-- file: a.yaml -->\n<!-- run with: 1000=8, DATA=small, 8=3 -->"
    page = f"{markers}\n```yaml\n1000 DATA 10000 8\n```\n"
    (tmp_path / "page.md").write_text(page)
    (block,) = blocks_of(tmp_path / "page.md")
    assert (block.file, block.not_run, block.line) == ("a.yaml", None, 3)
    assert block.smaller() == "8 small 10000 3\n"
    (tmp_path / "page.md").write_text("<!-- not run: needs a GPU -->\n```sh\ndgnet serve\n```\n")
    (block,) = blocks_of(tmp_path / "page.md")
    assert (block.file, block.not_run) == (None, "needs a GPU")
