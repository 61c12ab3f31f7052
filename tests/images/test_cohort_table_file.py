"""cohort.csv as the table of samples writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_attmil.core.errors import UserError
from napari_attmil.images import cohort_table_file
from napari_attmil.images.cohort_table_file import write_cohort_csv
from napari_attmil.images.reading import open_cohort
from napari_attmil.images.sample_rows import (
    merged,
    rows_of,
    unlisted_images,
    with_images,
    with_values,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_written_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort_table_file, "_WRITTEN", set())


@pytest.fixture
def folder(tmp_path: Path, write_tree: Callable[..., Path]) -> Path:
    return write_tree(tmp_path / "study", "P1_1.png", "P1_2.png", "P2_1.png")


def found(folder: Path) -> list[tuple[str, str, str | None, int]]:
    return [(s.name, s.patient, s.label, len(s)) for s in open_cohort(folder).samples]


def test_loose_images_become_samples_with_classes(folder: Path) -> None:
    rows = merged(rows_of(open_cohort(folder)), [0, 1])
    rows = with_values(rows, {(0, "label"): "sickle", (1, "label"): "healthy"})
    assert write_cohort_csv(folder / "cohort.csv", rows) is None
    assert (folder / "cohort.csv").read_text() == (
        "image,sample,patient,label\n"
        "P1_1.png,P1,P1,sickle\nP1_2.png,P1,P1,sickle\nP2_1.png,P2_1,P2_1,healthy\n"
    )
    assert found(folder) == [("P1", "P1", "sickle", 2), ("P2_1", "P2_1", "healthy", 1)]
    assert open_cohort(folder).table == folder / "cohort.csv"


def test_a_persons_table_keeps_its_columns_order_and_separator_and_is_kept(folder: Path) -> None:
    by_hand = "Alter;Label;IMAGE;sample;patient\n1,5;NA;.\\P2_1.png;s2;p2\n33;x;P1_1.png;s1;p1\n"
    path = folder / "cohort.csv"
    path.write_text(by_hand)
    rows = rows_of(open_cohort(folder))
    rows = with_values(rows, {(1, "label"): "Sichelzellanämie"})
    rows = with_images(rows, unlisted_images(rows, folder))
    assert write_cohort_csv(path, rows) == folder / "cohort.csv.bak"
    assert (folder / "cohort.csv.bak").read_text() == by_hand
    assert path.read_text("utf-8-sig") == (
        "Alter;Label;IMAGE;sample;patient\n"
        "1,5;NA;.\\P2_1.png;s2;p2\n"
        "33;Sichelzellanämie;P1_1.png;s1;p1\n"
        ";;P1_2.png;P1_2;P1_2\n"
    )
    assert found(folder)[1:] == [
        ("s1", "p1", "Sichelzellanämie", 1),
        ("P1_2", "P1_2", None, 1),
    ]


def test_only_what_was_not_written_by_this_program_is_kept(folder: Path) -> None:
    path, rows = folder / "cohort.csv", rows_of(open_cohort(folder))
    write_cohort_csv(path, rows)
    changed = with_values(rows, {(0, "label"): "x"})
    assert write_cohort_csv(path, changed) is None
    path.write_text(path.read_text() + "\n")
    assert write_cohort_csv(path, rows) == folder / "cohort.csv.bak"
    path.write_text(path.read_text().replace("P2_1,P2_1", "by,hand"))
    assert write_cohort_csv(path, rows) == folder / "cohort.csv.bak2"
    assert "by,hand" in (folder / "cohort.csv.bak2").read_text()


def test_lines_of_images_that_the_rows_do_not_have_stay(folder: Path) -> None:
    path = folder / "cohort.csv"
    path.write_text("image,sample,patient,label\nP1_1.png,a,p,x\nP2_1.png,b,q,y\n")
    rows = rows_of(open_cohort(folder))[:1]
    write_cohort_csv(path, with_values(rows, {(0, "sample"): "new"}))
    assert found(folder) == [("new", "p", "x", 1), ("b", "q", "y", 1)]


def test_images_are_named_relative_to_the_table_or_in_full(folder: Path, tmp_path: Path) -> None:
    rows = rows_of(open_cohort(folder))
    write_cohort_csv(tmp_path / "above.csv", rows)
    assert (tmp_path / "above.csv").read_text().splitlines()[1].startswith("study/P1_1.png,")
    (tmp_path / "elsewhere").mkdir()
    write_cohort_csv(tmp_path / "elsewhere" / "c.csv", rows)
    assert len(open_cohort(tmp_path / "elsewhere" / "c.csv")) == 3


def test_contradictions_are_refused_and_nothing_is_written(folder: Path) -> None:
    rows = with_values(rows_of(open_cohort(folder)), {(0, "sample"): "s", (1, "sample"): "s"})
    with pytest.raises(UserError, match="Sample 's' has two patients"):
        write_cohort_csv(folder / "cohort.csv", rows)
    assert not (folder / "cohort.csv").exists()


def test_a_table_that_cannot_be_read_is_not_replaced(folder: Path) -> None:
    path, rows = folder / "cohort.csv", rows_of(open_cohort(folder))
    path.write_text('image,sample,patient,label\n"P1_1.png,s1\n')
    with pytest.raises(UserError, match="is not replaced"):
        write_cohort_csv(path, rows)
    assert path.read_text().endswith('"P1_1.png,s1\n')


@pytest.mark.parametrize("folder_name", ["unknown", "NA"])
def test_class_folders_of_such_names_are_no_class(
    tmp_path: Path, write_tree: Callable[..., Path], folder_name: str
) -> None:
    write_tree(tmp_path, "healthy/P1/a.png", "sickle/P2/a.png", f"{folder_name}/P3/a.png")
    study = open_cohort(tmp_path)
    assert study.classes == ("healthy", "sickle") and len(study) == 3
    assert any(
        note == f"Folders of such a name hold samples whose class is not known: {folder_name}."
        for note in study.notes
    )


def test_labels_that_mean_no_class_are_none_and_told(folder: Path) -> None:
    (folder / "cohort.csv").write_text(
        "image,sample,patient,label\nP1_1.png,a,p,n/a\nP1_2.png,a,p,?\nP2_1.png,b,q,y\n"
    )
    study = open_cohort(folder)
    assert [s.label for s in study.samples] == [None, "y"]
    assert study.notes == (
        "'n/a' was taken to mean that the class is not known: 1 sample.",
        "'?' was taken to mean that the class is not known: 1 sample.",
    )
