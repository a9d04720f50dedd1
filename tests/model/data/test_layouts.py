"""Readers of whole data sets: which layout, whose picture, from which camera, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from dgnet.model.data.layouts import DataSet, LayoutName, detect_layout, read_dataset
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.picture import NO_CAMERA, DatasetError, Picture
from tests.model.data.trees import (
    CUHK03,
    DUKE,
    MARKET,
    MSMT_LISTS,
    VERI,
    write_msmt17,
    write_pictures,
)

TREES: dict[LayoutName, tuple[str, ...]] = {
    "market1501": MARKET,
    "duke": DUKE,
    "cuhk03": CUHK03,
    "veri776": VERI,
    "imagefolder": ("Ada/1.jpg", "Ada/2.jpg", "Bo/1.jpg"),
}


def ids(pictures: Iterable[Picture]) -> list[tuple[int, int]]:
    return [(picture.person_id, picture.camera_id) for picture in pictures]


def names(pictures: Iterable[Picture]) -> list[str]:
    return [picture.path.name for picture in pictures]


def fails(message: str) -> AbstractContextManager[pytest.ExceptionInfo[DatasetError]]:
    return pytest.raises(DatasetError, match=message)


@pytest.mark.parametrize("layout", TREES)
def test_a_layout_is_detected_from_folders_and_names(layout: LayoutName, tmp_path: Path) -> None:
    write_pictures(tmp_path, *TREES[layout])
    assert detect_layout(tmp_path) == layout
    assert read_dataset(tmp_path) == read_dataset(tmp_path, layout)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("0002_c1s1_000451_03.jpg", "market1501"),
        ("0001_c7_f0106449.jpg", "duke"),
        ("0001_c1_1.png", "cuhk03"),
        ("0001_c001_00016450_0.jpg", "veri776"),
    ],
)
def test_a_folder_of_pictures_alone_is_all_for_training(
    name: str, layout: LayoutName, tmp_path: Path
) -> None:
    write_pictures(tmp_path, name)
    dataset = read_dataset(tmp_path)
    assert (dataset.layout, names(dataset.train)) == (layout, [name])
    assert (dataset.query, dataset.gallery, dataset.multi_query) == ((), (), ())


def test_market1501_has_junk_distractors_and_more_queries(tmp_path: Path) -> None:
    dataset = read_dataset(write_pictures(tmp_path, *MARKET))
    assert ids(dataset.train) == [(2, 1), (2, 2), (7, 1), (7, 3)]
    assert ids(dataset.query) == [(1, 1)]
    assert ids(dataset.gallery) == [(-1, 3), (0, 6), (1, 2)]
    assert ids(dataset.multi_query) == [(1, 1)]
    assert dataset.has_cameras
    assert dataset.warnings == ()


def test_files_that_archives_bring_along_are_passed_over(tmp_path: Path) -> None:
    write_pictures(tmp_path, *MARKET)
    for name in ("query/Thumbs.db", "query/._0001_c1s1_001051_00.jpg", "query/.DS_Store"):
        (tmp_path / name).write_bytes(b"no picture")
    (tmp_path / "__MACOSX").mkdir()
    assert names(read_dataset(tmp_path).query) == ["0001_c1s1_001051_00.jpg"]


def test_duke_is_read_and_its_withdrawal_said(tmp_path: Path) -> None:
    dataset = read_dataset(write_pictures(tmp_path, *DUKE))
    assert ids(dataset.train + dataset.query + dataset.gallery) == [(1, 7), (5, 12), (5, 5)]
    assert len(dataset.warnings) == 1
    assert "withdrawn by its authors" in dataset.warnings[0]


def test_veri776_has_cameras_of_three_digits(tmp_path: Path) -> None:
    dataset = read_dataset(write_pictures(tmp_path, *VERI))
    assert ids(dataset.train + dataset.query + dataset.gallery) == [(1, 1), (2, 2), (2, 17)]


@pytest.mark.parametrize("version", ["detected", "labeled"])
def test_cuhk03_is_read_from_its_one_version_or_the_folder_above(
    version: str, tmp_path: Path
) -> None:
    write_pictures(tmp_path / version, *CUHK03)
    for folder in (tmp_path, tmp_path / version):
        dataset = read_dataset(folder)
        assert dataset.layout == "cuhk03"
        assert ids(dataset.train + dataset.query + dataset.gallery) == [(1, 1), (3, 1), (3, 2)]


def test_both_versions_of_cuhk03_are_a_question_to_the_user(tmp_path: Path) -> None:
    for version in ("detected", "labeled"):
        write_pictures(tmp_path / version, *CUHK03)
    with fails(r"holds detected and labeled.*name one of them, such as .*detected"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("mask_train_v2", "mask_test_v2")], ids=["V1", "V2"]
)
def test_msmt17_numbers_the_persons_of_train_and_test_apart(
    train: str, test: str, tmp_path: Path
) -> None:
    dataset = read_dataset(write_msmt17(tmp_path, train=train, test=test))
    assert dataset.layout == "msmt17"
    assert ids(dataset.train) == [(1, 1), (1, 4), (2, 15)]
    assert ids(dataset.query) == [(100_001, 1)]
    assert ids(dataset.gallery) == [(100_001, 12)]
    assert dataset.person_name(1) == "train/0000"
    assert dataset.person_name(100_001) == "test/0000"
    assert dataset.train[0].path == tmp_path / train / "0000/0000_000_01_0303morning_0008_0.jpg"
    assert not any(p.is_distractor for p in dataset.train + dataset.query + dataset.gallery)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0000/0000_000_01_0303morning_0008_0.jpg", "is not PATH PERSON"),
        ("0000/0000_000_01_0303morning_0008_0.jpg zero", "is not PATH PERSON"),
        ("0000/0000_000_01_0303morning_0008_0.jpg -1", "is not PATH PERSON"),
        ("../0000_000_01_0303morning_0008_0.jpg 0", "is not PATH PERSON"),
        ("/0000/0000_000_01_0303morning_0008_0.jpg 0", "is not PATH PERSON"),
        ("0000/0000_000_01_0303morning_0008_0.jpg 100000", "expected a number below 100000"),
        ("0000/0000_999_01_0303morning_0008_0.jpg 0", r"0000_999_01_\w+\.jpg does not exist"),
        ("0000/0000_000_01_0303morning_0008_0.jpg 7", "is person 7 here and person 0 earlier"),
    ],
)
def test_a_wrong_line_of_a_list_is_named(line: str, message: str, tmp_path: Path) -> None:
    write_msmt17(tmp_path)
    (tmp_path / "list_train.txt").write_text(f"{MSMT_LISTS['list_train.txt']}\n{line}\n")
    with fails(rf"list_train\.txt, line 4: .*{message}"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["portrait.jpg", "0000_000_XX_0303morning_0008_0.jpg"])
def test_a_listed_name_without_a_camera_is_left_out_unless_most_are_like_that(
    name: str, tmp_path: Path
) -> None:
    write_msmt17(tmp_path)
    lists = tmp_path / "list_train.txt"
    lists.write_text(f"{MSMT_LISTS['list_train.txt']}0000/{name} 0\n")
    dataset = read_dataset(tmp_path)
    assert ids(dataset.train) == [(1, 1), (1, 4), (2, 15)]
    assert dataset.skipped == (tmp_path / "train/0000" / name,)
    assert (
        f"1 picture is left out, since the name does not follow the layout: train/0000/{name}"
        in (dataset.warnings[0])
    )
    lists.write_text(f"{MSMT_LISTS['list_train.txt']}0000/{name} 0\n0000/b.jpg 0\n")
    with fails(rf"list_train\.txt, line 3: {name} does not follow MSMT17; 1 more like it"):
        read_dataset(tmp_path)


def test_lists_may_repeat_a_picture_and_it_counts_once(tmp_path: Path) -> None:
    write_msmt17(tmp_path)
    (tmp_path / "list_val.txt").write_text(MSMT_LISTS["list_train.txt"])
    dataset = read_dataset(tmp_path)
    assert len(dataset.train) == 2
    assert dataset.warnings[0].startswith("2 lines of the lists repeat")


def test_lists_without_pictures_or_lines_are_errors(tmp_path: Path) -> None:
    (tmp_path / "list_train.txt").write_text(MSMT_LISTS["list_train.txt"])
    with fails(r"no folder of them; expected train \(V1\) or mask_train_v2 \(V2\)"):
        read_dataset(tmp_path)
    (tmp_path / "train").mkdir()
    with fails(r"line 1: .*does not exist; 1 more like it"):
        read_dataset(tmp_path)
    (tmp_path / "list_train.txt").write_text("\n")
    with fails(r"list_train\.txt: holds no line"):
        read_dataset(tmp_path)
    (tmp_path / "list_train.txt").write_bytes(b"\xff\xfe0\x00")
    with fails(r"list_train\.txt: not text in UTF-8"):
        read_dataset(tmp_path)


def test_an_imagefolder_keeps_names_and_has_no_cameras(tmp_path: Path) -> None:
    dataset = read_dataset(write_pictures(tmp_path, "-1/a.jpg", "0000/a.jpg", "Zoë B./a.webp"))
    assert ids(dataset.train) == [(1, NO_CAMERA), (2, NO_CAMERA), (3, NO_CAMERA)]
    assert [dataset.person_name(number) for number in (1, 2, 3)] == ["-1", "0000", "Zoë B."]
    assert not dataset.has_cameras
    assert len(dataset.warnings) == 1
    assert "cameras are not known" in dataset.warnings[0]


def test_a_person_of_an_imagefolder_is_the_same_in_all_splits(tmp_path: Path) -> None:
    write_pictures(
        tmp_path, "train/Ada/1.jpg", "train/Bo/1.jpg", "query/Cy/1.jpg", "gallery/Cy/2.jpg"
    )
    (tmp_path / "labels").mkdir()
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "imagefolder"
    persons = [[p.person_id for p in split] for split in dataset.splits.values()]
    assert persons == [[1, 2], [3], [3], []]
    assert "folders beside train, query, gallery are passed over: labels" in dataset.warnings


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["Ada/1.jpg", "stray.jpg"], r"stray\.jpg: a picture outside the folder of a person"),
        (["Ada/1.jpg", "Bo/2024/1.jpg"], "2024: a folder inside the folder of a person"),
        (["Ada/1.jpg", "Bo/notes.txt"], "Bo: holds no picture"),
        (["train/Ada/1.jpg", "query/notes.txt"], "query: holds no folder of a person"),
    ],
)
def test_an_imagefolder_with_pictures_in_the_wrong_place_is_an_error(
    files: list[str], message: str, tmp_path: Path
) -> None:
    write_pictures(tmp_path, *(name for name in files if name.endswith(".jpg")))
    for name in (name for name in files if not name.endswith(".jpg")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with fails(message):
        read_dataset(tmp_path, "imagefolder")


def test_a_pattern_explains_paths_with_or_without_their_ending(tmp_path: Path) -> None:
    write_pictures(tmp_path, "P12/cam3_000123.jpg", "P12/cam10_000124.jpg", "P7/cam3_000125.png")
    for pattern in (
        r"P(?P<person>\d+)/cam(?P<camera>\d+)_(?P<frame>\d+)",
        r"P(?P<person>\d+)/cam(?P<camera>\d+)_\d+\.(?:jpg|png)",
    ):
        dataset = read_dataset(tmp_path, pattern=pattern)
        assert dataset.layout == "pattern"
        assert ids(dataset.train) == [(12, 10), (12, 3), (7, 3)]
        assert dataset.person_names == {}
        assert dataset.warnings == ()


def test_a_pattern_may_find_names_and_be_without_cameras(tmp_path: Path) -> None:
    write_pictures(tmp_path, "ada-1.jpg", "bo-front-1.jpg", "bo-back-2.jpg")
    dataset = read_dataset(
        tmp_path, pattern=r"(?P<person>[a-z]+)-(?:(?P<camera>[a-z]+)-)?(?P<frame>\d+)"
    )
    assert ids(dataset.train) == [(1, NO_CAMERA), (2, 1), (2, 2)]
    assert dataset.person_name(2) == "bo"
    assert "the camera of 1 of 3 pictures is not known" in dataset.warnings[0]
    everywhere = read_dataset(tmp_path, "pattern", r"(?P<person>[a-z]+)-.*")
    assert not everywhere.has_cameras


def test_a_pattern_reads_splits_and_says_what_zero_and_minus_one_mean(tmp_path: Path) -> None:
    write_pictures(tmp_path, "train/3_1.jpg", "query/0_1.jpg", "bounding_box_test/-1_2.jpg")
    dataset = read_dataset(tmp_path, pattern=r"(?P<person>-?\d+)_(?P<camera>\d+)")
    assert [ids(split) for split in dataset.splits.values()] == [[(3, 1)], [(0, 1)], [(-1, 2)], []]
    assert [warning.split(",")[0] for warning in dataset.warnings] == [
        "pictures of person -1 count as junk",
        "pictures of person 0 count as distractors",
    ]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(?P<person>\d+", "is no regular expression: missing \\)"),
        (r"(?P<camera>\d+)_.*", r"lacks the group person; write \(\?P<person>"),
        (r"(?P<person>\d+)_(?P<cam>\d+)", "has the groups cam; known are person, camera, frame"),
        (
            r"(?P<person>\d+)",
            r"finds no person in '3_1'; 1 more like it; it must describe the whole",
        ),
    ],
)
def test_a_bad_pattern_is_an_error_that_says_why(
    pattern: str, message: str, tmp_path: Path
) -> None:
    write_pictures(tmp_path, "3_1.jpg", "4_1.jpg")
    with fails(message):
        read_dataset(tmp_path, pattern=pattern)


def test_a_wrong_name_in_the_middle_is_named_with_the_rule(tmp_path: Path) -> None:
    write_pictures(
        tmp_path,
        *MARKET,
        "query/0001_c1_001051_00.jpg",
        "query/0001_c2s1_000001_00.jpg",
        "query/portrait.jpg",
    )
    with fails(r"0001_c1_001051_00\.jpg: .*does not follow Market-1501.*; 1 more like it"):
        read_dataset(tmp_path)


def test_a_split_without_pictures_is_an_error(tmp_path: Path) -> None:
    write_pictures(tmp_path, *MARKET)
    for path in (tmp_path / "query").iterdir():
        path.unlink()
    with fails(r"query: holds no picture"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ((), "nothing"),
        (("portrait.jpg",), "portrait.jpg"),
        (("bounding_box_train/a.jpg", "query/b.jpg"), "bounding_box_train/, query/"),
        (("set/bounding_box_train/0002_c1s1_000451_03.jpg",), "set/, set/bounding_box_train/"),
    ],
)
def test_a_folder_of_no_layout_is_an_error_that_lists_what_was_sought(
    files: tuple[str, ...], found: str, tmp_path: Path
) -> None:
    write_pictures(tmp_path, *files)
    with fails("no layout that is known here") as error:
        read_dataset(tmp_path)
    message = str(error.value)
    for sought in ("bounding_box_train", "image_train", "list_train.txt", "imagefolder"):
        assert sought in message
    assert f"Found: {found}" in message


def test_requests_that_cannot_be_meant_are_errors(tmp_path: Path) -> None:
    with fails("no such folder"):
        read_dataset(tmp_path / "gone")
    with fails("needs a pattern"):
        read_dataset(tmp_path, "pattern")
    with fails("a pattern was given for the layout duke"):
        read_dataset(tmp_path, "duke", ".*")
    with fails("no folder of a VeRi-776 data set; expected image_train, image_query, image_test"):
        read_dataset(tmp_path, "veri776")
    with fails(r"no list of an MSMT17 data set; expected list_train\.txt"):
        read_dataset(tmp_path, "msmt17")


def test_a_split_that_is_needed_and_missing_is_an_error(tmp_path: Path) -> None:
    dataset = DataSet(layout="duke", root=tmp_path, train=(picture_of(3),))
    assert dataset.split("train") == dataset.train
    with fails(r"read as duke, it has no gallery pictures, only train \(1\)"):
        dataset.split("gallery")


def picture_of(person_id: int) -> Picture:
    return Picture(path=Path("x.jpg"), person_id=person_id, camera_id=1)


def test_training_takes_the_persons_of_the_train_split_of_any_layout(tmp_path: Path) -> None:
    msmt17 = write_msmt17(tmp_path / "msmt17")
    pictures = TrainingPictures.load(msmt17, 16, 8)
    assert pictures.persons.person_ids == (1, 2)
    assert len(pictures) == 3
    faces = write_pictures(tmp_path / "faces", "a1.jpg", "a2.jpg", "b1.jpg")
    pictures = TrainingPictures.load(faces, 16, 8, pattern=r"(?P<person>\w)\d")
    labels = pictures.picture_batch(0, 3, seed=0).labels
    assert sorted(int(label) for label in labels) == [0, 0, 1]
    write_pictures(tmp_path / "test", *MARKET[4:8])
    with fails(r"it has no train pictures, only query \(1\), gallery \(3\)"):
        TrainingPictures.load(tmp_path / "test", 16, 8)
