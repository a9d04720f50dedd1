"""The reader of Market-1501 names."""

from pathlib import Path

import pytest

from dgnet.model.data.market1501 import DatasetError, PersonIndex, Picture, parse_name, read_split


def touch(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).touch()


def test_a_name_states_person_and_camera() -> None:
    path = Path("0002_c1s1_000451_03.jpg")
    assert parse_name(path) == Picture(path=path, person_id=2, camera_id=1)


def test_junk_and_distractors_are_recognized() -> None:
    junk = parse_name(Path("-1_c3s2_000101_01.jpg"))
    distractor = parse_name(Path("0000_c6s4_000101_01.jpg"))
    assert (junk.person_id, junk.is_junk, junk.is_distractor) == (-1, True, False)
    assert (distractor.person_id, distractor.is_junk, distractor.is_distractor) == (0, False, True)


def test_a_split_is_sorted_by_name_and_passes_over_other_files(tmp_path: Path) -> None:
    touch(tmp_path, "0010_c1s1_000001_00.jpg", "0002_c2s1_000001_00.png", "Thumbs.db")
    assert [(p.person_id, p.camera_id) for p in read_split(tmp_path)] == [(2, 2), (10, 1)]


def test_a_missing_folder_is_named_together_with_the_expected_ones(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere: no such folder.*bounding_box_train"):
        read_split(tmp_path / "nowhere")


def test_an_empty_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"{tmp_path.name}: holds no picture"):
        read_split(tmp_path)


@pytest.mark.parametrize(
    "name", ["portrait.jpg", "0002_c1_000451_03.jpg", "-2_c1s1_000001_00.jpg", "0002_c1s1_1.jpg"]
)
def test_a_wrong_name_is_an_error_that_states_the_rule(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "0001_c1s1_000001_00.jpg", name)
    with pytest.raises(DatasetError, match=rf"{name}: .*0002_c1s1_000451_03\.jpg"):
        read_split(tmp_path)


def test_labels_are_contiguous_over_the_sorted_persons_without_junk_and_distractors() -> None:
    ids = [30, 7, -1, 0, 30, 12]
    persons = PersonIndex.of(Picture(path=Path(), person_id=i, camera_id=1) for i in ids)
    assert persons.person_ids == (7, 12, 30)
    assert [persons.label(i) for i in (7, 12, 30)] == [0, 1, 2]
    assert 0 not in persons
    with pytest.raises(DatasetError, match="person -1 is none of the 3 persons"):
        persons.label(-1)
