"""Data sets as they are published, with what else lies in their folders: nothing is read wrongly in
silence.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dgnet.model.data.layouts import DataSet, LayoutName, read_dataset
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.picture import NO_CAMERA, DatasetError, Picture
from tests.model.data.trees import DUKE, MARKET, write_picture, write_pictures

Split = list[tuple[str, int, str | None]]

LTCC = (
    "train/017_1_c4_012345.png",
    "train/017_2_c5_012346.png",
    "query/094_1_c9_015833.png",
    "test/094_2_c8_015834.png",
)
PRCC = (
    "rgb/train/001/A_cropped_rgb001.jpg",
    "rgb/train/001/C_cropped_rgb002.jpg",
    "rgb/val/001/B_cropped_rgb003.jpg",
    "rgb/test/A/004/cropped_rgb001.jpg",
    "rgb/test/B/004/cropped_rgb002.jpg",
    "rgb/test/C/004/cropped_rgb003.jpg",
)
MARS = (
    "bbox_train/0001/0001C1T0001F001.jpg",
    "bbox_train/0001/0001C2T0002F001.jpg",
    "bbox_test/00-1/00-1C1T0001F001.jpg",
    "bbox_test/0000/0000C3T0001F001.jpg",
    "bbox_test/0002/0002C1T0001F001.jpg",
    "bbox_test/0002/0002C1T0001F002.jpg",
    "bbox_test/0002/0002C4T0002F001.jpg",
)
VIPER = tuple(
    f"VIPeR/cam_{camera}/{person}_{angle}.bmp"
    for person in ("000", "001", "002", "873")
    for camera, angle in (("a", 45), ("b", 90))
)
CUHK01 = tuple(
    f"campus/{person:04d}{picture:03d}.png" for person in (1, 2) for picture in (1, 2, 3, 4)
)
PRID = (
    *(f"multi_shot/cam_a/person_{n:04d}/0001.png" for n in (1, 2, 200, 201)),
    *(f"multi_shot/cam_b/person_{n:04d}/0001.png" for n in (1, 2, 200, 201)),
)
ILIDS = tuple(
    f"i-LIDS-VID/sequences/cam{camera}/person{person:03d}/cam{camera}_person{person:03d}_00317.png"
    for person in (1, 2)
    for camera in (1, 2)
)
RANDPERSON = (
    "randperson_subset/000000_c00_s00_f000264.jpg",
    "randperson_subset/000000_c01_s00_f001632.jpg",
    "randperson_subset/000001_c00_s01_f000264.jpg",
)
PERSONX = (
    "bounding_box_train/0001_c1_s1_45.jpg",
    "query/0002_c2_s1_45.jpg",
    "bounding_box_test/0002_c6_s1_45.jpg",
)
PREPARED = (
    "train_all/0002/0002_c1s1_000451_03.jpg",
    "train_all/0002/0002_c2s1_000500_01.jpg",
    "train_all/0007/0007_c1s2_000011_01.jpg",
    "train/0002/0002_c1s1_000451_03.jpg",
    "val/0002/0002_c2s1_000500_01.jpg",
    "query/0001/0001_c1s1_001051_00.jpg",
    "gallery/-1/-1_c3s2_000101_01.jpg",
    "gallery/0000/0000_c6s4_000101_01.jpg",
    "gallery/0001/0001_c2s1_000301_00.jpg",
    "multi-query/0001/0001_c1s1_001052_00.jpg",
)


def who(dataset: DataSet, pictures: Iterable[Picture]) -> Split:
    """What the data set calls a picture's person; camera and clothes."""
    return [(dataset.person_name(p.person_id), p.camera_id, p.clothes_id) for p in pictures]


@pytest.mark.parametrize(
    ("layout", "files", "expected"),
    [
        (
            "ltcc",
            LTCC,
            [[("17", 4, "1"), ("17", 5, "2")], [("94", 9, "1")], [("94", 8, "2")]],
        ),
        (
            "prcc",
            PRCC,
            [
                [("1", 1, "1"), ("1", 3, "2"), ("1", 2, "1")],
                [("4", 2, "1"), ("4", 3, "2")],
                [("4", 1, "1")],
            ],
        ),
        (
            "mars",
            MARS,
            [
                [("1", 1, None), ("1", 2, None)],
                [],
                [
                    ("-1", 1, None),
                    ("0", 3, None),
                    ("2", 1, None),
                    ("2", 1, None),
                    ("2", 4, None),
                ],
            ],
        ),
        (
            # Of 0, 1, 2, 873 the first and the third are trained on; 0 is a person.
            "viper",
            VIPER,
            [
                [("000", 1, None), ("2", 1, None), ("000", 2, None), ("2", 2, None)],
                [("1", 1, None), ("873", 1, None)],
                [("1", 2, None), ("873", 2, None)],
            ],
        ),
        (
            "cuhk01",
            CUHK01,
            [
                [("1", 1, None), ("1", 1, None), ("1", 2, None), ("1", 2, None)],
                [("2", 1, None), ("2", 1, None)],
                [("2", 2, None), ("2", 2, None)],
            ],
        ),
        (
            # Of the shared 1, 2, 200 the second is tested; 201 before camera 2 is somebody else.
            "prid2011",
            PRID,
            [
                [("1", 1, None), ("200", 1, None), ("1", 2, None), ("200", 2, None)],
                [("2", 1, None)],
                [("2", 2, None), ("201", 2, None)],
            ],
        ),
        (
            "ilids_vid",
            ILIDS,
            [[("1", 1, None), ("1", 2, None)], [("2", 1, None)], [("2", 2, None)]],
        ),
        (
            # c00 of scene 0, c00 of scene 1 and c01 of scene 0 are three cameras.
            "randperson",
            RANDPERSON,
            [[("000000", 1, None), ("000000", 3, None), ("1", 2, None)], [], []],
        ),
        ("personx", PERSONX, [[("1", 1, None)], [("2", 2, None)], [("2", 6, None)]]),
        ("duke", DUKE, [[("1", 7, None)], [("5", 12, None)], [("5", 5, None)]]),
        (
            "prepared",
            PREPARED,
            [
                [("2", 1, None), ("2", 2, None), ("7", 1, None)],
                [("1", 1, None)],
                [("-1", 3, None), ("0", 6, None), ("1", 2, None)],
            ],
        ),
    ],
)
def test_a_published_tree_is_recognized_and_read(
    layout: LayoutName, files: tuple[str, ...], expected: list[Split], tmp_path: Path
) -> None:
    dataset = read_dataset(write_pictures(tmp_path, *files))
    assert dataset.layout == layout
    assert [who(dataset, dataset.splits[s]) for s in ("train", "query", "gallery")] == expected
    assert read_dataset(tmp_path, layout) == dataset
    assert not any(p.is_junk or p.is_distractor for p in dataset.train)


def test_mars_learns_its_queries_from_the_evaluation_code(tmp_path: Path) -> None:
    io: Any = importlib.import_module("scipy.io")  # it ships no types
    write_pictures(tmp_path, *MARS)
    assert "which tracks are queries is not known" in read_dataset(tmp_path).warnings[0]
    info = tmp_path / "info"
    info.mkdir()
    (info / "test_name.txt").write_text("\n".join(Path(name).name for name in MARS[2:]) + "\n")
    tracks = [[1, 1, -1, 1], [2, 2, 0, 3], [3, 4, 2, 1], [5, 5, 2, 4]]
    io.savemat(info / "tracks_test_info.mat", {"track_test_info": tracks})
    io.savemat(info / "query_IDX.mat", {"query_IDX": [[3]]})
    dataset = read_dataset(tmp_path)
    assert dataset.warnings == ()
    assert [picture.path.name for picture in dataset.query] == [
        "0002C1T0001F001.jpg",
        "0002C1T0001F002.jpg",
    ]
    assert [picture.person_id for picture in dataset.gallery] == [-1, 0, 2]
    io.savemat(info / "query_IDX.mat", {"query_IDX": [[5]]})
    with pytest.raises(DatasetError, match="do not tell the queries"):
        read_dataset(tmp_path)
    (info / "query_IDX.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(DatasetError, match=r"query_IDX\.mat: holds no matrix query_IDX"):
        read_dataset(tmp_path)


def test_a_set_in_two_versions_is_a_question_to_the_user(tmp_path: Path) -> None:
    write_pictures(tmp_path, *PRID, "single_shot/cam_a/person_0001.png")
    with pytest.raises(DatasetError, match=r"single_shot and multi_shot.*name one of them"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path / "single_shot").layout == "prid2011"


def test_sets_without_a_published_split_say_how_they_are_split(tmp_path: Path) -> None:
    dataset = read_dataset(write_pictures(tmp_path, *PRID))
    assert "no split of this data set was published" in dataset.warnings[0]
    assert dataset.warnings[1].startswith("1 pictures of persons above 200 before camera 1")


@pytest.mark.parametrize(
    "name",
    [
        "bounding_box_train/1488_c1s6_023021_00.jpg.jpg",
        "bounding_box_train/1488_c1s6_023021_00.JPG.jpg",
        "bounding_box_train/1488_c1s6_023021_00.png.jpg.jpg",
    ],
)
def test_a_doubled_ending_is_no_part_of_a_name(name: str, tmp_path: Path) -> None:
    dataset = read_dataset(write_pictures(tmp_path, *MARKET, name))
    assert dataset.train[-1] == Picture(path=tmp_path / name, person_id=1488, camera_id=1)
    assert dataset.warnings == ()
    pattern = r"(?P<person>-?\d+)_c(?P<camera>\d)s\d_\d+_\d\d"
    assert read_dataset(tmp_path, pattern=pattern).train[-1].person_id == 1488


@pytest.mark.parametrize(
    ("files", "odd"),
    [
        ((*MARKET[:4], "query/0001_c1s1_001051_00.jpg"), "bounding_box_train/portrait.jpg"),
        (("train/Ada/1.jpg", "train/Ada/2.jpg", "train/Bo/1.jpg"), "train/sheet.jpg"),
        (("Ada/1.jpg", "Ada/2.jpg", "Bo/1.jpg"), "Bo/old/1.jpg"),
        (LTCC, "train/portrait.jpg"),
        (PRCC, "rgb/train/001/portrait.jpg"),
        (MARS, "bbox_test/0002/portrait.jpg"),
        (VIPER, "VIPeR/cam_a/portrait.jpg"),
        (CUHK01, "campus/portrait.png"),
        (PRID, "multi_shot/cam_a/person_0001/x.png"),
        (ILIDS, "i-LIDS-VID/sequences/cam1/portrait.png"),
        (RANDPERSON, "randperson_subset/portrait.jpg"),
        (PREPARED, "gallery/0001/portrait.jpg"),
        (PREPARED, "gallery/0001/0002_c2s1_000301_00.jpg"),  # another person's than the folder's
    ],
)
def test_a_name_that_does_not_follow_is_counted_named_and_left_out(
    files: tuple[str, ...], odd: str, tmp_path: Path
) -> None:
    plain = read_dataset(write_pictures(tmp_path, *files))
    write_picture(tmp_path / odd)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == plain.layout
    assert dataset.splits == plain.splits
    assert dataset.skipped == (tmp_path / odd,)
    said = f"1 picture is left out, since the name does not follow the layout: {odd}; expected "
    assert sum(said in warning for warning in dataset.warnings) == 1


def test_training_goes_on_without_the_pictures_that_are_left_out(tmp_path: Path) -> None:
    write_pictures(tmp_path, *MARKET, "bounding_box_train/portrait.jpg")
    assert len(TrainingPictures.load(tmp_path, 16, 8)) == 4


def test_a_pattern_leaves_out_what_few_paths_it_does_not_describe(tmp_path: Path) -> None:
    write_pictures(tmp_path, "1_1.jpg", "2_1.jpg", "a.jpg")
    dataset = read_dataset(tmp_path, pattern=r"(?P<person>\d)_(?P<camera>\d)")
    assert [picture.person_id for picture in dataset.train] == [1, 2]
    assert "1 picture is left out" in dataset.warnings[0]
    write_picture(tmp_path / "b.jpg")
    with pytest.raises(DatasetError, match="finds no person in 'a'; 1 more like it"):
        read_dataset(tmp_path, pattern=r"(?P<person>\d)_(?P<camera>\d)")


def test_what_lies_there_and_is_not_read_is_counted_and_named(tmp_path: Path) -> None:
    write_pictures(
        tmp_path, *MARKET, "pytorch/train/0002/0002_c1s1_000451_03.jpg", "pytorch/x.jpg", "a.jpg"
    )
    for name in ("readme.txt", "query/Thumbs.db", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "__MACOSX").mkdir()
    dataset = read_dataset(tmp_path)
    assert dataset.warnings == (
        "3 pictures are not read, since the layout market1501 has no place for them: 1 in the data "
        "set itself, 2 in pytorch; such as a.jpg, pytorch/x.jpg, "
        "pytorch/train/0002/0002_c1s1_000451_03.jpg",
    )
    assert dataset.notes == (
        "4 files and folders that are hidden or no pictures by their ending are passed over: "
        ".hidden, readme.txt, __MACOSX/, ...",
    )


def test_a_pattern_says_which_folder_it_does_not_read(tmp_path: Path) -> None:
    write_pictures(tmp_path, *LTCC)
    dataset = read_dataset(
        tmp_path, pattern=r"(?P<person>\d+)_(?P<clothes>\d+)_c(?P<camera>\d+)_\d+"
    )
    assert who(dataset, dataset.train) == [("17", 4, "1"), ("17", 5, "2")]
    assert dataset.gallery == ()
    assert any("1 pictures are not read" in w and "1 in test" in w for w in dataset.warnings)


def test_a_pattern_follows_linked_folders_as_an_imagefolder_does(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    write_pictures(data, "P1/1.jpg", "P1/2.jpg")
    write_pictures(elsewhere, "1.jpg", "2.jpg", "deep/3.jpg")
    (data / "P2").symlink_to(elsewhere)
    (data / "P1" / "loop").symlink_to(data)
    (elsewhere / "loop").symlink_to(elsewhere)
    pattern = r"P(?P<person>\d)/(?:deep/)?\d"
    dataset = read_dataset(data, pattern=pattern)
    assert [picture.person_id for picture in dataset.train] == [1, 1, 2, 2, 2]
    assert dataset.skipped == ()


def test_a_link_back_inside_the_folder_of_a_person_is_passed_over(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_pictures(data, "a/1.jpg", "b/1.jpg")
    (data / "a" / "back").symlink_to(data)
    assert [p.path.name for p in read_dataset(data, "imagefolder").train] == ["1.jpg", "1.jpg"]


def test_folders_that_link_each_other_do_not_hold_the_reader_up(tmp_path: Path) -> None:
    for name in "abcdefgh":
        write_picture(tmp_path / name / "1.jpg")
    for name in "abcdefgh":
        for other in "abcdefgh":
            (tmp_path / name / f"to_{other}").symlink_to(tmp_path / other)
    dataset = read_dataset(tmp_path, pattern=r"(?P<person>[a-h])/.*1")
    # 8 at their places, 56 behind one link; behind two links only what is new.
    assert 8 <= len(dataset.train) <= 200


@pytest.mark.parametrize(
    ("junk", "distractors", "expected"),
    [
        (None, None, {"-1": 1, "0": 1, "1": 2, "2": 1}),
        # MARS's spelling is a number; its distractors become a person of their own.
        (None, ["none"], {"-1": 1, "0000": 1, "1": 2, "2": 1}),
        (["00-1"], ["2"], {"-1": 1, "0": 1, "0000": 1, "1": 2}),
    ],
)
def test_spellings_of_junk_and_distractors_are_options(
    junk: list[str] | None,
    distractors: list[str] | None,
    expected: dict[str, int],
    tmp_path: Path,
) -> None:
    write_pictures(tmp_path, "00-1/1.jpg", "0000/1.jpg", "0001/1.jpg", "0001/2.jpg", "0002/1.jpg")
    dataset = read_dataset(
        tmp_path, pattern=r"(?P<person>[^/]+)/\d", junk=junk, distractors=distractors
    )
    names = [dataset.person_name(picture.person_id) for picture in dataset.train]
    assert {name: names.count(name) for name in sorted(names)} == expected
    assert len({p.person_id for p in dataset.train if p.shows_a_person}) == (
        len(expected) - sum(name in ("-1", "0") for name in expected)
    )


def test_one_name_that_is_no_number_makes_nobody_of_junk_a_person(tmp_path: Path) -> None:
    write_pictures(tmp_path, "00-1/1.jpg", "0000/1.jpg", "0001/1.jpg", "ada/1.jpg")
    dataset = read_dataset(tmp_path, pattern=r"(?P<person>[^/]+)/\d")
    assert [p.person_id for p in dataset.train] == [-1, 0, 1, 2]
    assert dataset.person_names == {1: "0001", 2: "ada"}
    assert any(
        "all 2 persons are taken as names and numbered anew, since 1 of them" in warning
        and "'ada'" in warning
        for warning in dataset.warnings
    )
    assert any("person 00-1 count as junk, 1 of them" in warning for warning in dataset.warnings)


def test_spellings_that_cannot_be_meant_are_errors_or_said(tmp_path: Path) -> None:
    write_pictures(tmp_path, *MARKET)
    for junk, distractors, message in (
        (["0000"], None, "is to be junk and distractors"),
        ([""], None, "expected text as in the data set, or none"),
        (["none", "-1"], None, "none stands alone"),
        ([], ["\ud800"], "expected text"),
    ):
        with pytest.raises(DatasetError, match=message):
            read_dataset(tmp_path, junk=junk, distractors=distractors)
    dataset = read_dataset(tmp_path, junk=["bad"])
    assert "nobody is called bad, which was given as junk" in dataset.warnings
    assert dataset.person_names == {8: "-1"}
    with pytest.raises(DatasetError, match="MSMT17 has neither junk nor distractors"):
        read_dataset(tmp_path, "msmt17", junk=["none"])


def test_persons_numbered_from_zero_are_said_and_can_be_read(tmp_path: Path) -> None:
    write_pictures(
        tmp_path,
        *(f"bounding_box_train/{n:04d}_c1s1_000001_0{n}.jpg" for n in range(4)),
        "query/0000_c1s1_000001_00.jpg",
        "bounding_box_test/0000_c2s1_000001_00.jpg",
    )
    dataset = read_dataset(tmp_path)
    assert len({p.person_id for p in dataset.train if p.shows_a_person}) == 3
    assert [warning.split(",")[0] for warning in dataset.warnings] == [
        "1 train pictures of person 0 count as distractors",
        "1 query pictures of person 0 count as distractors",
    ]
    assert all("give --distractors none" in warning for warning in dataset.warnings)
    dataset = read_dataset(tmp_path, distractors=["none"])
    assert dataset.warnings == ()
    # The others keep their numbers; 0 takes the first one that is free.
    assert [picture.person_id for picture in dataset.train] == [4, 1, 2, 3]
    assert dataset.query[0].person_id == dataset.gallery[0].person_id == 4
    assert dataset.person_name(4) == "0000"


def test_a_prepared_folder_says_what_it_leaves_to_train_all(tmp_path: Path) -> None:
    write_pictures(tmp_path, *PREPARED)
    dataset = read_dataset(tmp_path)
    assert len(dataset.multi_query) == 1
    assert "persons and cameras are read from the names of pictures: 8 as in Market-1501" in (
        dataset.notes
    )
    assert "2 pictures are not read" in dataset.warnings[0]
    assert read_dataset(tmp_path / "train").layout == "prepared"
    outside = tmp_path.parent / "outside"
    outside.mkdir()
    tmp_path.rename(outside / "pytorch")
    assert who(read_dataset(outside), read_dataset(outside).query) == [("1", 1, None)]
    assert read_dataset(outside).layout == "prepared"


def test_an_imagefolder_warns_where_names_carry_cameras(tmp_path: Path) -> None:
    write_pictures(tmp_path, *PREPARED)
    dataset = read_dataset(tmp_path, "imagefolder")
    assert dataset.gallery[0].camera_id == NO_CAMERA
    assert any("names seem to tell the camera" in warning for warning in dataset.warnings)
    assert "the folder -1 is a person; if it holds junk, give --junk -1" in dataset.notes
    dataset = read_dataset(tmp_path, "imagefolder", junk=["-1"], distractors=["0"])
    assert sorted(picture.person_id for picture in dataset.gallery) == [-1, 0, 1]


LONG = "20240102030405060708"


@pytest.mark.parametrize("name", [f"{LONG}_c1s1_000451_03.jpg", f"0002_c{LONG}s1_000451_03.jpg"])
def test_a_number_of_twenty_digits_is_left_out_by_name(name: str, tmp_path: Path) -> None:
    write_pictures(tmp_path, *MARKET, f"bounding_box_train/{name}")
    dataset = read_dataset(tmp_path)
    assert len(dataset.train) == 4
    assert f"bounding_box_train/{name}; expected" in dataset.warnings[0]
    assert "at most 18 digits" in dataset.warnings[0]


def test_a_set_of_twenty_digits_is_refused_by_name(tmp_path: Path) -> None:
    write_pictures(tmp_path, f"query/{LONG}_c1s1_000451_03.jpg", f"query/{LONG}_c2s1_000451_03.jpg")
    message = rf"{LONG}_c1s1_000451_03\.jpg: .*at most 18 digits\); 1 more like it"
    with pytest.raises(DatasetError, match=message):
        read_dataset(tmp_path)


def test_a_pattern_numbers_what_is_too_long_for_a_number(tmp_path: Path) -> None:
    write_pictures(tmp_path, f"{LONG}_{LONG}.jpg", f"7_{LONG}.jpg", "7_1.jpg")
    dataset = read_dataset(tmp_path, pattern=r"(?P<person>\d+)_(?P<camera>\d+)")
    assert who(dataset, dataset.train) == [(LONG, 2, None), ("7", 1, None), ("7", 2, None)]
    assert "all 2 persons are taken as names" in dataset.warnings[0]
    assert "all 2 cameras are taken as names" in dataset.warnings[1]


def latin_1(path: Path) -> Path:
    """A picture whose name is written in Latin-1."""
    picture = write_picture(path.with_name("plain.jpg"))
    name = os.fsdecode(os.fsencode(path).decode().encode("latin-1"))
    return picture.rename(name)


def test_names_that_are_not_utf_8_are_left_out_and_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, "Ada/1.jpg", "Ada/2.jpg", "Bo/1.jpg")
    latin_1(tmp_path / "Bo" / "größer.jpg")
    dataset = read_dataset(tmp_path)
    assert len(dataset.train) == 3
    (said,) = (warning for warning in dataset.warnings if "UTF-8" in warning)
    assert r"1 names are not UTF-8 and are not read, with 1 pictures: Bo/gr\xf6\xdfer.jpg" in said
    said.encode()


def test_a_set_whose_names_are_mostly_not_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    write_pictures(tmp_path, "Ada/1.jpg", "M/1.jpg", "M/2.jpg")
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller")
    (tmp_path / "M").rename(folder)
    with pytest.raises(DatasetError, match=r"M\\xfcller/; rename them"):
        read_dataset(tmp_path)
    with pytest.raises(DatasetError, match=r"M\\xfcller: the folder's name is not UTF-8"):
        read_dataset(Path(folder))


def test_a_folder_that_cannot_be_listed_is_an_error_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path, *MARKET, "kept/1.jpg")
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "kept":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match=r"kept cannot be read \(Permission denied\)"):
        read_dataset(tmp_path)
