"""Two people's copies are joined although one of them has put images into other samples since."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from napari_attmil.cells.annotations.annotation_file import FILE_NAME, AnnotationFile
from napari_attmil.cells.annotations.file_merge import merge_files
from napari_attmil.cells.boxes import Boxes
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path

BOTH_IMAGES = Boxes.from_detections([0, 1], [[50, 50, 60, 60], [50, 50, 61, 60]], [0.9, 0.9])


def samples_of(folder: Path, *names: str) -> tuple[Sample, ...]:
    """Return samples of one-letter images."""
    return tuple(
        Sample(name, name, None, tuple(Frame(folder / letter) for letter in name)) for name in names
    )


def opened(folder: Path, *names: str) -> Session:
    """Return a session of which the last sample is shown."""
    folder.mkdir(exist_ok=True)
    session, samples = Session(), samples_of(folder, *names)
    session.open_cohort(Cohort(samples, folder), AnnotationFile(folder / FILE_NAME))
    session.show(samples[-1])
    return session


def copied(source: Path, target: Path) -> Path:
    target.mkdir()
    with (
        closing(sqlite3.connect(source / FILE_NAME)) as old,
        closing(sqlite3.connect(target / FILE_NAME)) as new,
    ):
        old.backup(new)
    return target


def merged(mine: Path, theirs: Path, out: Path, *names: str) -> tuple[dict[str, list[float]], int]:
    """Merge; return the right edges of each image's boxes, and the number of conflicts."""
    first, second, third = (folder / FILE_NAME for folder in (mine, theirs, out))
    results = list(merge_files(first, second, third, samples_of(mine, *names)))
    edges = {}
    for name, kept in AnnotationFile(out / FILE_NAME).read_all(samples_of(out, *names)).items():
        for index, letter in enumerate(name):
            edges[letter] = sorted(kept.boxes.of_image(index).xyxy[:, 2].tolist())
    return edges, sum(len(result.conflicts) for result in results)


@pytest.mark.parametrize("who", ["mine", "theirs"])
def test_a_detection_of_images_that_are_apart_now_stays(tmp_path: Path, who: str) -> None:
    mine = tmp_path / "mine"
    session = opened(mine, "ab")
    session.editor.add(0, [0, 0, 10, 9])
    session.editor.add(1, [0, 0, 11, 9])
    theirs = copied(mine, tmp_path / "theirs")
    hers = opened(theirs, "ab")
    (session if who == "mine" else hers).editor.merge(BOTH_IMAGES)
    hers.editor.add(0, [80, 0, 90, 9])
    hers.editor.delete([2])
    opened(mine, "b", "a").editor.add(0, [30, 0, 40, 9])
    expected = {"a": [10, 40, 60, 90], "b": [61]}
    assert merged(mine, theirs, tmp_path / "out", "a", "b") == (expected, 0)
    assert merged(tmp_path / "out", theirs, tmp_path / "again", "a", "b") == (expected, 0)


def test_a_cell_that_has_another_id_in_the_other_copy_is_the_same_cell(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    opened(mine, "a", "b").editor.add(0, [0, 0, 11, 9])
    theirs = copied(mine, tmp_path / "theirs")
    hers = opened(theirs, "b", "a")
    hers.editor.add(0, [0, 0, 10, 9])  # cell 1, as is mine of the other image
    hers.editor.add(0, [20, 0, 30, 9])
    hers.notes.write([2], "hers")
    session = opened(mine, "ab")
    session.editor.move(1, [0, 0, 12, 9])
    session.editor.add(1, [40, 0, 50, 9])
    expected = {"a": [10, 30], "b": [12, 50]}
    assert merged(mine, theirs, tmp_path / "out", "ab") == (expected, 0)
    assert merged(tmp_path / "out", theirs, tmp_path / "again", "ab") == (expected, 0)
    (sample,) = samples_of(tmp_path / "out", "ab")
    kept = AnnotationFile(tmp_path / "out" / FILE_NAME).read(sample)
    assert kept is not None
    ((noted, note),) = kept.notes.items()
    assert note.text == "hers"
    assert kept.boxes.xyxy[kept.boxes.index_of([noted]), 2].tolist() == [30]


@pytest.mark.parametrize("first_is_empty", [True, False])
def test_what_they_deleted_where_images_were_apart_is_deleted(
    tmp_path: Path, first_is_empty: bool
) -> None:
    mine = tmp_path / "mine"
    session = opened(mine, "a", "b")
    session.editor.add(0, [0, 0, 11, 9])
    session.editor.add(0, [30, 0, 41, 9])
    if not first_is_empty:
        opened(mine, "b", "a").editor.add(0, [70, 0, 80, 9])
    theirs = copied(mine, tmp_path / "theirs")
    opened(theirs, "b", "a").editor.add(0, [0, 0, 10, 9])
    opened(theirs, "a", "b").editor.delete([2])
    opened(mine, "ab").editor.add(1, [60, 0, 70, 9])
    first = [10] if first_is_empty else [10, 80]
    expected = {"a": first, "b": [11, 70]}
    assert merged(mine, theirs, tmp_path / "out", "ab") == (expected, 0)
