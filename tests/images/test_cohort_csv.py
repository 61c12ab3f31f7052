"""Cohorts from tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from napari_attmil.core.errors import UserError
from napari_attmil.images.reading import (
    open_cohort,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


TABLE = "image,sample,patient,label\na.png,s1,p1,x\nmore/e.png,s1,p1,x\nc.png,s2,p2,y\n"
EXPECTED = [("s1", "p1", "x", ["a.png", "more/e.png"]), ("s2", "p2", "y", ["c.png"])]


@pytest.fixture
def write_table(tmp_path: Path, write_tree: Callable[..., Path]) -> Callable[..., Path]:
    """Return a writer of cohort.csv beside the images a.png to d.png, which it may list."""

    def write(text: str, encoding: str = "utf-8") -> Path:
        write_tree(tmp_path, "a.png", "b.png", "c.png", "d.png", "more/e.png")
        path = tmp_path / "cohort.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def as_read(path: Path) -> list[tuple[str, str, str | None, list[str]]]:
    return [
        (s.name, s.patient, s.label, [f.path.relative_to(path.parent).as_posix() for f in s.frames])
        for s in open_cohort(path).samples
    ]


@pytest.mark.parametrize(
    ("change", "encoding"),
    [
        (lambda text: text, "utf-8"),
        (lambda text: text, "utf-8-sig"),
        (lambda text: text, "utf-16"),
        (lambda text: text.replace(",", ";"), "utf-8"),
        (lambda text: "sep=;\r\n" + text.replace(",", ";").replace("\n", "\r\n"), "cp1252"),
        (lambda text: text.replace(",", "\t"), "utf-8"),
        (lambda text: text.replace("\n", "\r"), "utf-8"),
        (lambda text: text.replace("image,", "Image ,").replace("label", "LABEL"), "utf-8"),
        (lambda text: text.replace("/", "\\"), "utf-8"),
        (lambda text: text.replace("more/e.png", "./more/../more/e.png"), "utf-8"),
        (lambda text: text.replace("\n", "\n\n,,,\n"), "utf-8"),
        (lambda text: text.replace("\n", ",\n").replace("label,", "label,remark"), "utf-8"),
        (lambda text: text.replace("a.png", '"a.png"').replace(",s1", ", s1 "), "utf-8"),
    ],
    ids=[
        *("plain", "bom", "utf-16", "semicolon", "excel", "tab", "old-mac", "case", "backslash"),
        *("dots", "blank", "more-columns", "quotes"),
    ],
)
def test_table_is_understood_however_spreadsheets_write_it(
    change: Callable[[str], str], encoding: str, write_table: Callable[..., Any]
) -> None:
    assert as_read(write_table(change(TABLE), encoding)) == EXPECTED


def test_columns_may_stand_in_any_order(write_table: Callable[..., Any]) -> None:
    text = "label,remark,image,patient,sample\nx,,a.png,p1,s1\n"
    assert as_read(write_table(text)) == [("s1", "p1", "x", ["a.png"])]


def test_names_in_windows_encoding_keep_their_letters(write_table: Callable[..., Any]) -> None:
    path = write_table(TABLE.replace("p1", "Müller"), "cp1252")
    assert open_cohort(path).patients == ("Müller", "p2")


def test_table_in_a_folder_is_believed_rather_than_the_folders(
    tmp_path: Path, write_tree: Callable[..., Any], write_table: Callable[..., Any]
) -> None:
    write_table(TABLE)
    write_tree(tmp_path, "z/P1/s/x.png")
    study = open_cohort(tmp_path)
    assert study.classes == ("x", "y")
    assert study.folder == tmp_path


def test_image_listed_twice_is_counted_once_and_it_is_said(write_table: Callable[..., Any]) -> None:
    path = write_table(TABLE + "./a.png,s1,p1,x\n")
    assert as_read(path) == EXPECTED
    assert open_cohort(path).notes == (
        "Rows that repeat an image were left out: 1.",
        "2 images in the folder not listed in cohort.csv.",
    )


def test_labels_that_differ_in_case_only_are_pointed_out(write_table: Callable[..., Any]) -> None:
    notes = open_cohort(write_table(TABLE.replace(",y", ",X"))).notes
    assert notes == (
        "Labels 'x' and 'X' differ in case only; they are two classes.",
        "2 images in the folder not listed in cohort.csv.",
    )


def test_samples_whose_class_is_not_known_may_have_no_label(
    write_table: Callable[..., Any],
) -> None:
    study = open_cohort(write_table(TABLE + "b.png,s9,p9,\n"))
    assert study.samples[-1].label is None
    assert study.classes == ("x", "y")
    assert study.notes == ("1 image in the folder not listed in cohort.csv.",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,sample,label\na.png,s,x\n", "has no column 'patient'.*image, sample, label"),
        ("Label,label,image,sample,patient\n", "more than one column 'label'"),
        ("", "is empty; it needs columns"),
        (" \n;;\n", "has no column 'image'"),
        ("image,sample,patient,label\n", "a header but no rows"),
        (TABLE + "b.png,,p1,x\n", "row 5: the column 'sample' is empty"),
        (TABLE + "b.png,s1,p1\n", "row 5: the column 'label' is empty"),
        (TABLE + "b.png,s3,p1,y\n", "row 5: patient 'p1' has label 'y', but 'x' in row 2"),
        (TABLE + "b.png,s1,p1,y\n", "row 5: patient 'p1' has label 'y', but 'x' in row 2"),
        (TABLE + "b.png,s1,p2,y\n", "row 5: sample 's1' has patient 'p2', but 'p1' in row 2"),
        (TABLE + "a.png,s2,p2,y\n", "row 5: image 'a.png' is in sample 's2', but row 2 has it"),
        (TABLE + "lost.png,s3,p3,y\n", r"row 5: there is no image file 'lost.png'.*1 of 4"),
        (TABLE + "more,s3,p3,y\n", "row 5: there is no image file 'more'"),
        (TABLE + "notes.txt,s3,p3,y\n", "row 5: there is no image file 'notes.txt'"),
        ("PK\3\4 rest of a workbook", "is a workbook, not text"),
        (TABLE + '"b.png,s1\n', "cannot be read as a table"),
    ],
    ids=lambda value: value if " " in value and "\n" not in value else "",
)
def test_faulty_table_is_explained_with_row_and_column(
    text: str, message: str, write_table: Callable[..., Any]
) -> None:
    with pytest.raises(UserError, match=rf"cohort\.csv.*{message}"):
        open_cohort(write_table(text))


def test_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_bytes(b"\x81\x8d\x00\xff" * 20)
    with pytest.raises(UserError, match="is not text"):
        open_cohort(path)


def test_a_name_of_thousands_of_characters_is_not_shown_but_counted(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text(f"image,sample,patient,label\na.png,{'s' * 9000},p,\n")
    with pytest.raises(UserError, match=r"row 2: the column 'sample' holds 9,000 characters"):
        open_cohort(tmp_path / "cohort.csv")
