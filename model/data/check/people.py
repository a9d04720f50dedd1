"""Findings about who is where: needs names only, no picture is opened."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from dgnet.model.data.check.findings import Finding, listing, name_of_file, name_of_person
from dgnet.model.data.layouts import DataSet
from dgnet.model.data.picture import Picture


def people_findings(dataset: DataSet) -> Iterator[Finding]:
    """All findings of this file's rules."""
    yield from (
        Finding(rule="data-set", subject=str(dataset.root), message=warning)
        for warning in dataset.warnings
    )
    yield from (
        Finding(rule="reading", subject=str(dataset.root), message=note) for note in dataset.notes
    )
    yield from _missing_splits(dataset)
    yield from _in_train_and_test(dataset)
    yield from _queries_without_match(dataset)
    yield from _with_one_picture(dataset)
    if dataset.has_cameras:
        yield from _under_one_camera(dataset, "training", dataset.train)
        yield from _under_one_camera(dataset, "query and gallery", dataset.query + dataset.gallery)


def _missing_splits(dataset: DataSet) -> Iterator[Finding]:
    if bool(dataset.query) == bool(dataset.gallery):
        return
    there, missing = ("query", "gallery") if dataset.query else ("gallery", "query")
    yield Finding(
        rule="missing-split",
        subject=str(dataset.root),
        message=f"has {there} pictures and no {missing} pictures: retrieval cannot be measured; "
        f"add the {missing} pictures",
    )


def _in_train_and_test(dataset: DataSet) -> Iterator[Finding]:
    train = Counter(p.person_id for p in dataset.train if p.shows_a_person)
    test = Counter(p.person_id for p in dataset.query + dataset.gallery if p.shows_a_person)
    for person in sorted(train.keys() & test.keys()):
        yield Finding(
            rule="person-in-train-and-test",
            subject=name_of_person(dataset, person),
            message=f"has {train[person]} pictures to train on and {test[person]} to test with: "
            "figures would tell nothing about strangers; move the person into one of them",
        )


def _queries_without_match(dataset: DataSet) -> Iterator[Finding]:
    if not dataset.gallery:
        return
    cameras: defaultdict[int, set[int]] = defaultdict(set)
    for picture in dataset.gallery:
        cameras[picture.person_id].add(picture.camera_id)
    for query in dataset.query:
        if not query.shows_a_person:
            message = (
                "is junk or a distractor, whom nobody searches for; take it out of the queries"
            )
        elif not cameras[query.person_id]:
            message = _no_match(dataset, query, "no picture in the gallery")
        elif query.has_camera and cameras[query.person_id] == {query.camera_id}:
            message = _no_match(
                dataset, query, f"no picture in the gallery but from camera {query.camera_id}"
            )
        else:
            continue
        yield Finding(
            rule="query-without-match", subject=name_of_file(dataset, query), message=message
        )


def _no_match(dataset: DataSet, query: Picture, lack: str) -> str:
    return (
        f"{name_of_person(dataset, query.person_id)} has {lack}: nothing found can be right, and "
        "figures leave this query out or count it as failed; add a picture or take the query out"
    )


def _with_one_picture(dataset: DataSet) -> Iterator[Finding]:
    for person, pictures in _by_person(dataset.train):
        if len(pictures) == 1:
            yield Finding(
                rule="person-with-one-picture",
                subject=name_of_person(dataset, person),
                message=f"has only {name_of_file(dataset, pictures[0])} to train on: the person's "
                "look cannot be told from the picture's; add pictures or leave the person out",
            )


def _under_one_camera(
    dataset: DataSet, where: str, pictures: Iterable[Picture]
) -> Iterator[Finding]:
    for person, found in _by_person(pictures):
        cameras = {picture.camera_id for picture in found}
        if len(found) > 1 and len(cameras) == 1 and all(picture.has_camera for picture in found):
            yield Finding(
                rule="person-under-one-camera",
                subject=name_of_person(dataset, person),
                message=f"all {len(found)} {where} pictures, such as "
                f"{listing([name_of_file(dataset, found[0])])}, are from camera {cameras.pop()}: "
                "nothing about other cameras can be learned or measured with this person",
            )


def _by_person(pictures: Iterable[Picture]) -> list[tuple[int, list[Picture]]]:
    groups: defaultdict[int, list[Picture]] = defaultdict(list)
    for picture in pictures:
        if picture.shows_a_person:
            groups[picture.person_id].append(picture)
    return sorted(groups.items())
