"""What the check of a data set counts and finds; every expectation follows from the few names."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest
from PIL import Image

from dgnet.model.data.check import RULES, DatasetReport, Finding, check_dataset, files
from dgnet.model.data.layouts import read_dataset
from tests.model.data.trees import MARKET, VERI, write_msmt17, write_picture, write_pictures


def check(root: Path, *names: str) -> DatasetReport:
    return check_dataset(read_dataset(write_pictures(root, *names) if names else root))


def found(report: DatasetReport) -> list[tuple[str, str]]:
    return [(finding.rule, finding.subject) for finding in report.findings]


def only(report: DatasetReport) -> Finding:
    assert len(report.findings) == 1, found(report)
    return report.findings[0]


# Of two persons with two pictures each, by cameras 1 and 2, 1 and 3.
PAIRS = {
    "train": {
        "full_grid": {"all": 12, "fewest_of_a_person": 6},
        "cross_identity": {"all": 8, "fewest_of_a_person": 4},
        "same_camera": {"all": 2, "fewest_of_a_person": 1},
        "cross_camera": {"all": 6, "fewest_of_a_person": 3},
    },
    "query": {},
    "gallery": {},
    "multi_query": {},
}


def test_pictures_people_cameras_junk_and_distractors_are_counted_by_split(tmp_path: Path) -> None:
    report = check(tmp_path, *MARKET)
    assert found(report) == []
    assert report.to_json() == {
        "root": str(tmp_path),
        "layout": "market1501",
        "splits": {
            "train": {"pictures": 4, "people": 2, "cameras": 3, "junk": 0, "distractors": 0},
            "query": {"pictures": 1, "people": 1, "cameras": 1, "junk": 0, "distractors": 0},
            "gallery": {"pictures": 3, "people": 1, "cameras": 3, "junk": 1, "distractors": 1},
            "multi_query": {"pictures": 1, "people": 1, "cameras": 1, "junk": 0, "distractors": 0},
        },
        # Cameras 1, 2, 3 and 6.
        "total": {"pictures": 9, "people": 3, "cameras": 4, "junk": 1, "distractors": 1},
        "pairs": PAIRS,
        "width": {"min": 8, "median": 8, "max": 8},
        "height": {"min": 16, "median": 16, "max": 16},
        "counts": {"error": 0, "warning": 0, "note": 0},
        "findings": [],
    }


def test_the_table_says_the_same_and_leaves_absent_splits_out(tmp_path: Path) -> None:
    table = check(tmp_path, *MARKET[:4]).to_table().splitlines()
    assert table == [
        f"{tmp_path}: read as market1501",
        "",
        "| split | pictures | people | cameras | junk | distractors |",
        "|-------|---------:|-------:|--------:|-----:|------------:|",
        "| train |        4 |      2 |       3 |    0 |           0 |",
        "| all   |        4 |      2 |       3 |    0 |           0 |",
        "",
        "sizes in pixels (min, median, max): width 8, 8, 8; height 16, 16, 16",
        "nothing suspicious was found",
    ]


def test_damaged_files_are_errors_and_the_others_are_still_read(tmp_path: Path) -> None:
    write_pictures(tmp_path, *MARKET)
    empty, text, cut = (tmp_path / MARKET[number] for number in (0, 4, 5))
    empty.write_bytes(b"")
    text.write_text("404 not found")
    # Long enough that the cut is among the pixels: such a file opens without complaint.
    Image.effect_noise((64, 128), 50).save(cut)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = check(tmp_path)
    assert found(report)[:3] == [
        ("unreadable-file", MARKET[0]),
        ("unreadable-file", MARKET[4]),
        ("unreadable-file", MARKET[5]),
    ]
    assert report.errors == 3
    assert "nothing (0 bytes)" in report.findings[0].message
    assert "of no known format (13 bytes that begin with 34 30 34" in report.findings[1].message
    assert "truncated" in report.findings[2].message
    assert report.total.pictures == 9


def test_a_picture_of_absurd_size_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_PIXELS", 8 * 16 - 1)
    report = check(tmp_path, *MARKET[:2])
    assert "announces 8 x 16 pixels; at most 127 pixels" in report.findings[0].message
    assert report.to_json()["width"] is None
    assert "no file is readable" in report.to_table()


def test_the_same_content_under_two_persons_is_an_error(tmp_path: Path) -> None:
    write_pictures(tmp_path, *MARKET)
    shutil.copy(tmp_path / MARKET[0], tmp_path / MARKET[2])
    finding = only(check(tmp_path))
    assert (finding.rule, finding.severity) == ("duplicate-with-other-person", "error")
    assert finding.subject == MARKET[0]
    assert f"(train, person 2) has the same content as {MARKET[2]} (train, person 7)" in (
        finding.message
    )


def test_a_copy_among_junk_contradicts_nobody(tmp_path: Path) -> None:
    write_pictures(tmp_path, *MARKET)
    shutil.copy(tmp_path / MARKET[7], tmp_path / MARKET[5])
    assert found(check(tmp_path)) == [("duplicate-file", MARKET[5])]


def test_copies_within_a_split_and_across_splits_are_warnings(tmp_path: Path) -> None:
    write_pictures(tmp_path, *MARKET)
    shutil.copy(tmp_path / MARKET[0], tmp_path / MARKET[1])
    # The query's picture under another camera of the gallery would be found by itself.
    shutil.copy(tmp_path / MARKET[4], tmp_path / MARKET[7])
    report = check(tmp_path)
    assert found(report) == [
        ("duplicate-file", MARKET[0]),
        ("duplicate-across-splits", MARKET[4]),
    ]
    assert report.errors == 0
    assert report.findings[1].message.startswith(f"(query) has the same content as {MARKET[7]}")


def test_queries_kept_in_the_gallery_or_in_gt_bbox_do_no_harm(tmp_path: Path) -> None:
    write_pictures(tmp_path, *VERI, "image_test/0002_c002_00030600_0.jpg")
    shutil.copy(tmp_path / VERI[1], tmp_path / "image_test" / Path(VERI[1]).name)
    report = check(tmp_path)
    assert ("query-in-gallery", VERI[1]) in found(report)
    market = write_pictures(tmp_path / "market", *MARKET)
    shutil.copy(market / MARKET[4], market / MARKET[8])
    assert found(check(market)) == []


def test_a_person_in_train_and_test_is_an_error(tmp_path: Path) -> None:
    report = check(tmp_path, *MARKET, "bounding_box_test/0007_c1s1_000001_00.jpg")
    assert ("person-in-train-and-test", "person 7") in found(report)
    assert report.errors == 1
    assert "has 2 pictures to train on and 1 to test with" in report.findings[0].message


def test_the_halves_of_msmt17_never_share_a_person(tmp_path: Path) -> None:
    report = check(write_msmt17(tmp_path))
    assert report.total.people == 3
    assert found(report) == [("person-with-one-picture", "person train/0001")]


def test_queries_that_cannot_be_found_are_warnings(tmp_path: Path) -> None:
    same_camera = "query/0003_c2s1_000001_00.jpg"
    nobody = "query/0004_c1s1_000001_00.jpg"
    junk = "query/-1_c1s1_000001_00.jpg"
    report = check(
        tmp_path, *MARKET, same_camera, nobody, junk, "bounding_box_test/0003_c2s1_000009_00.jpg"
    )
    messages = {
        finding.subject: finding.message
        for finding in report.findings
        if finding.rule == "query-without-match"
    }
    assert set(messages) == {same_camera, nobody, junk}
    assert "person 3 has no picture in the gallery but from camera 2" in messages[same_camera]
    assert "person 4 has no picture in the gallery:" in messages[nobody]
    assert "junk or a distractor" in messages[junk]


def test_without_cameras_any_picture_of_the_gallery_matches(tmp_path: Path) -> None:
    report = check(
        tmp_path,
        *("train/Ada/1.jpg", "train/Ada/2.jpg", "query/Bo/1.jpg", "query/Cy/1.jpg"),
        "gallery/Bo/2.jpg",
    )
    assert found(report) == [("data-set", str(tmp_path)), ("query-without-match", "query/Cy/1.jpg")]


def test_people_seen_once_or_by_one_camera_are_named(tmp_path: Path) -> None:
    report = check(
        tmp_path,
        *MARKET,
        "bounding_box_train/0008_c1s1_000001_00.jpg",
        "bounding_box_train/0009_c4s1_000001_00.jpg",
        "bounding_box_train/0009_c4s1_000002_00.jpg",
    )
    assert found(report) == [
        ("person-with-one-picture", "person 8"),
        ("person-under-one-camera", "person 9"),
    ]
    assert "all 2 training pictures" in report.findings[1].message
    assert "are from camera 4" in report.findings[1].message


@pytest.mark.parametrize(("split", "missing"), [(4, "gallery"), (7, "query")])
def test_half_of_a_test_set_is_a_warning(split: int, missing: str, tmp_path: Path) -> None:
    report = check(tmp_path, MARKET[split])
    assert [finding.rule for finding in report.findings] == ["missing-split"]
    assert f"no {missing} pictures" in report.findings[0].message


def test_findings_come_by_severity_and_many_of_a_rule_are_counted(tmp_path: Path) -> None:
    write_pictures(tmp_path, *(f"{person:04d}_c1_f1.jpg" for person in range(1, 25)))
    (tmp_path / "0001_c1_f1.jpg").write_bytes(b"")
    report = check(tmp_path)
    table = report.to_table()
    lines = table.splitlines()
    assert [line for line in lines if line.startswith(("error", "warning", "note"))] == [
        "error: unreadable-file (1)",
        "warning: data-set (1)",
        "warning: person-with-one-picture (24)",
    ]
    assert table.count("has only") == 20
    assert lines[-1] == "  ... and 4 more"
    assert len(report.to_json()["findings"]) == 26
    assert report.to_json()["counts"] == {"error": 1, "warning": 25, "note": 0}


def test_progress_counts_each_file_once(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    dataset = read_dataset(write_pictures(tmp_path, *MARKET))
    check_dataset(dataset, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 9) for done in range(1, 10)]


def test_more_files_than_are_read_at_a_time_are_all_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_FILES_AT_A_TIME", 2)
    paths = [write_picture(tmp_path / f"{number}.png") for number in range(5)]
    assert list(files.inspect_files([*paths, paths[0]])) == paths


def test_the_data_guide_explains_every_rule() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    rows = [line for line in guide.splitlines() if line.startswith("| `")]
    explained = {row.split("`")[1]: row.split("|")[2].strip() for row in rows}
    assert {rule: explained.get(rule) for rule in RULES} == RULES
