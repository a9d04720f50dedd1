"""Sets on disk: equal bytes whatever the processes, a kill and a resume; plans that cannot be."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dgnet.people.world import World
from dgnet.people.writing.plan import PlanError, RenderPlan, pictures_of, truth
from dgnet.people.writing.run import JOURNAL, RenderError, render_set, units_of

PLAN = RenderPlan(
    seed=5, people=4, pictures=4, cameras=2, test_people=2, truths=1, masks=True
)  # fmt: skip


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered") / "set"
    render_set(PLAN, folder)
    return folder


def table(path: Path) -> list[dict[str, object]]:
    return pq.read_table(path).to_pylist()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def test_a_set_has_the_layout_of_market1501(rendered: Path) -> None:
    train = sorted(path.name for path in (rendered / "bounding_box_train").iterdir())
    query = sorted(path.name for path in (rendered / "query").iterdir())
    gallery = sorted(path.name for path in (rendered / "bounding_box_test").iterdir())
    assert {name[:4] for name in train} == {"0001", "0002"}
    assert {name[:4] for name in query} == {name[:4] for name in gallery} == {"0003", "0004"}
    assert len(train) == 8
    assert [name[:7] for name in query] == ["0003_c1", "0003_c2", "0004_c1", "0004_c2"]
    # Every query has a gallery picture of its person before another camera.
    assert {name[:7] for name in gallery} == {name[:7] for name in query}


def test_attributes_have_a_row_for_each_picture_and_are_constant_for_a_person(
    rendered: Path,
) -> None:
    rows = table(rendered / "attributes.parquet")
    assert all((rendered / str(row["path"])).exists() for row in rows)
    assert len(rows) == 16
    people: dict[object, set[tuple[object, ...]]] = defaultdict(set)
    for row in rows:
        people[row["person"]].add((row["top_hex"], row["bottom_hex"], row["bag"], row["hair"]))
    assert {len(kinds) for kinds in people.values()} == {1}


def test_joints_of_the_table_lie_on_the_masks(rendered: Path) -> None:
    for row in table(rendered / "attributes.parquet"):
        file = (rendered / "masks" / str(row["path"])).with_suffix(".png")
        with Image.open(file) as picture:
            mask = np.asarray(picture)
        for name, place in row.items():
            if name.startswith("joint_"):
                column, line, visible = cast("list[float]", place)
                if visible == 2:
                    assert mask[int(line), int(column)] == 255


def test_triples_name_both_people_and_differ_from_the_set(rendered: Path) -> None:
    (row,) = table(rendered / "truths.parquet")
    names = sorted(path.name for path in (rendered / "truths").iterdir())
    first, second = row["appearance_person"], row["structure_person"]
    assert {first, second} == {3, 4}
    assert names == [
        f"0000_appearance_{first:04d}.jpg", f"0000_structure_{second:04d}.jpg",
        f"0000_truth_{first:04d}.jpg",
    ]  # fmt: skip


def test_the_card_says_license_and_command(rendered: Path) -> None:
    card = (rendered / "README.md").read_text()
    assert "CC0 1.0" in card
    assert "dgnet people render -o DIR --people 4 --pictures 4 --cameras 2" in card
    assert "persons 3 to 4" in card
    assert "{" not in card.replace("```json\n{", "")


def test_any_number_of_processes_gives_the_same_bytes(rendered: Path, tmp_path: Path) -> None:
    render_set(PLAN, tmp_path / "set", processes=2)
    assert digest(tmp_path / "set") == digest(rendered)


def test_a_killed_run_resumes_to_the_same_bytes(rendered: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    code = (
        "from pathlib import Path; from tests.people.test_writing import PLAN;"
        "from dgnet.people.writing.run import render_set; import sys;"
        "render_set(PLAN, Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    deadline = time.monotonic() + 120
    while len(list(folder.glob("bounding_box_train/0002*.jpg"))) < 1:
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
    process.kill()
    process.wait()
    assert not (folder / "README.md").exists()
    assert (folder / JOURNAL).exists()
    with pytest.raises(RenderError, match="--resume"):
        render_set(PLAN, folder)
    render_set(PLAN, folder, resume=True)
    assert digest(folder) == digest(rendered)


def test_a_finished_set_is_left_alone(rendered: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in rendered.rglob("*.jpg")}
    render_set(PLAN, rendered, resume=True)
    assert before == {path: path.stat().st_mtime_ns for path in rendered.rglob("*.jpg")}


def test_progress_counts_every_file_of_a_resumed_set(tmp_path: Path) -> None:
    plan = RenderPlan(seed=5, people=2, pictures=1, cameras=1, splits="train")
    seen: list[tuple[int, int]] = []
    render_set(plan, tmp_path / "set", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_a_killed_rendering_process_is_said_and_its_work_resumed(
    rendered: Path, tmp_path: Path
) -> None:
    """One of the processes dies as if for memory: the run ends clearly, and can be carried on."""
    code = (
        "import multiprocessing, os, signal, sys, threading, time\n"
        "from pathlib import Path\n"
        "from dgnet.people.writing.run import ProcessLostError, render_set\n"
        "from tests.people.test_writing import PLAN\n"
        "def kill_one():\n"
        "    while not list(Path(sys.argv[1]).glob('bounding_box_train/*.jpg')):\n"
        "        time.sleep(0.01)\n"
        "    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)\n"
        "if __name__ == '__main__':\n"
        "    threading.Thread(target=kill_one, daemon=True).start()\n"
        "    try:\n"
        "        render_set(PLAN, Path(sys.argv[1]), processes=2)\n"
        "    except ProcessLostError as error:\n"
        "        sys.exit(str(error))\n"
    )
    script = tmp_path / "render.py"
    script.write_text(code)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "set")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=300,
    )
    assert done.returncode == 1
    assert "one of 2 rendering processes was killed" in done.stderr
    render_set(PLAN, tmp_path / "set", resume=True)
    assert digest(tmp_path / "set") == digest(rendered)


def test_another_plan_cannot_resume(rendered: Path) -> None:
    other = RenderPlan(seed=6, people=4, pictures=4, cameras=2, test_people=2, truths=1, masks=True)
    with pytest.raises(RenderError, match="another set"):
        render_set(other, rendered, resume=True)


def test_folders_with_other_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(RenderError, match="not empty"):
        render_set(PLAN, tmp_path, resume=True)
    with pytest.raises(RenderError, match="is a file"):
        render_set(PLAN, tmp_path / "precious.txt")
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"pictures": 2}, "without a match"),
        ({"cameras": 1}, "without a match"),
        ({"people": 0}, "people: 0, expected 1 to 9999"),
        ({"cameras": 10}, "cameras: 10, expected 1 to 9"),
        ({"test_people": 5}, "test people: 5, expected 1 to 4"),
        ({"test_people": 1}, "need two people"),
        ({"worlds": 2}, "two people of each world, one has 1"),
        ({"worlds": 12}, "worlds: 12, expected 1 to 11"),
        ({"splits": "train"}, "there are none"),
    ],
)
def test_plans_that_cannot_be_say_what_to_change(
    changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(PlanError, match=complaint):
        RenderPlan(**{**asdict(PLAN), **changes})  # pyright: ignore[reportArgumentType]


def test_units_cover_every_picture_once() -> None:
    plan = RenderPlan(seed=1, people=3, pictures=5, cameras=2, test_people=2, truths=45)
    units = units_of(plan)
    assert sum(unit.pictures for unit in units) == 15 + 3 * 45
    assert [unit.first for unit in units if unit.kind == "truths"] == [0, 30]


def test_truths_are_of_two_test_persons() -> None:
    plan = RenderPlan(seed=1, people=30, pictures=5, cameras=2, test_people=4, truths=200)
    pairs = [truth(plan, number) for number in range(200)]
    assert all(one.appearance != one.structure for one in pairs)
    assert {one.appearance for one in pairs} == {27, 28, 29, 30}
    assert len({(one.appearance, one.structure) for one in pairs}) == 12


def test_worlds_share_persons_cameras_and_truths_among_them() -> None:
    plan = RenderPlan(seed=1, people=9, pictures=8, cameras=4, worlds=3, test_people=6, truths=200)
    seeds = [plan.seed_of(world) for world in range(3)]
    assert seeds[0] == 1
    assert len(set(seeds)) == 3
    for person in range(1, 10):
        number = (person - 1) % 3
        for one in pictures_of(plan, World(seeds[number], 4), person):
            assert one.camera_number in range(4 * number + 1, 4 * number + 5)
            assert f"_c{one.camera_number}s{number + 1}_" in one.name
    people = {0: {4, 7}, 1: {5, 8}, 2: {6, 9}}
    for one in (truth(plan, number) for number in range(200)):
        assert {one.appearance, one.structure} == people[one.world]
    # Units of a world follow one another, and none is missing.
    units = [unit.first for unit in units_of(plan) if unit.kind == "person"]
    assert units == [1, 4, 7, 2, 5, 8, 3, 6, 9]


def test_a_set_of_two_worlds_shows_different_places(tmp_path: Path) -> None:
    plan = RenderPlan(seed=5, people=4, pictures=2, cameras=2, worlds=2, splits="train", truths=31)
    render_set(plan, tmp_path / "set", processes=2)
    rows = table(tmp_path / "set" / "attributes.parquet")
    assert [row["person"] for row in rows] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert [row["world"] for row in rows] == [1, 1, 2, 2, 1, 1, 2, 2]
    assert {row["camera"] for row in rows if row["world"] == 2} <= {3, 4}
    triples = table(tmp_path / "set" / "truths.parquet")
    assert [row["number"] for row in triples] == list(range(31))
    assert [row["world"] for row in triples] == [1] * 30 + [2]
    alone = RenderPlan(seed=5, people=1, pictures=2, cameras=2, splits="train")
    render_set(alone, tmp_path / "alone")
    first = "bounding_box_train/0001_c"
    for name, digest_of in digest(tmp_path / "alone").items():
        if name.startswith(first):
            assert digest(tmp_path / "set")[name] == digest_of
    assert "2 cameras in each of 2 worlds" in (tmp_path / "set" / "README.md").read_text()


def test_cameras_of_a_person_take_turns() -> None:
    plan = RenderPlan(seed=5, people=2, pictures=12, cameras=9, test_people=1)
    pictures = list(pictures_of(plan, World(5, 9), 2))
    cameras = [one.camera for one in pictures]
    count = len(set(cameras))
    assert 3 <= count <= 6
    assert cameras == [cameras[k % count] for k in range(12)]
    assert [one.folder for one in pictures] == ["query"] * count + ["bounding_box_test"] * (
        12 - count
    )
