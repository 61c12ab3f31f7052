"""A table saved for a part of a study keeps the rest of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from napari_attmil.core.errors import UserError
from napari_attmil.images.reading import open_cohort
from napari_attmil.images.sample_rows import Rows, rows_of, with_values
from napari_attmil.images.whole_tables import as_listed, other_rows, write_whole_table

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def study(tmp_path: Path, write_tree: Callable[..., Path]) -> Path:
    patients = ("healthy/h1", "healthy/h2", "sick/s1", "sick/s2")
    files = (f"{patient}/s/{k}.png" for patient in patients for k in (0, 1))
    return write_tree(tmp_path / "study", *files)


def save_part(study: Path, rows: Rows) -> None:
    table = study / "cohort.csv"
    write_whole_table(table, rows, other_rows(rows, table))


def lines_of_others(study: Path) -> list[str]:
    lines = (study / "cohort.csv").read_text().splitlines()
    return [line for line in lines if "/s1/" not in line]


def found(folder: Path) -> list[tuple[str, str, str | None, int]]:
    return sorted((s.name, s.patient, s.label, len(s)) for s in open_cohort(folder).samples)


def test_the_first_table_has_the_other_samples_as_the_folders_tell(study: Path) -> None:
    part = rows_of(open_cohort([study / "sick" / "s1" / "s"]))
    part = with_values(part, {(row, "label"): "very sick" for row in range(len(part))})
    assert [(row.sample, row.patient) for row in part] == [("0", "0"), ("1", "1")]
    save_part(study, part)
    assert found(study) == [
        ("0", "0", "very sick", 1),
        ("1", "1", "very sick", 1),
        ("h1/s", "h1", "healthy", 2),
        ("h2/s", "h2", "healthy", 2),
        ("s2/s", "s2", "sick", 2),
    ]
    assert open_cohort(study).notes == ()


def test_a_table_that_is_there_keeps_its_other_lines(study: Path) -> None:
    save_part(study, rows_of(open_cohort(study)))
    kept = lines_of_others(study)
    part = rows_of(open_cohort([study / "sick" / "s1"]))
    save_part(study, part)
    assert [
        line for line in (study / "cohort.csv").read_text().splitlines() if "/s1/" not in line
    ] == kept
    assert len(open_cohort(study)) == 3 + len(part)


def test_names_of_the_part_are_not_taken_for_others(
    tmp_path: Path, write_tree: Callable[..., Path]
) -> None:
    folder = write_tree(tmp_path / "slides", "a.png", "b.png", "c.png")
    part = with_values(
        rows_of(open_cohort([folder / "a.png"])),
        {(0, "sample"): "b", (0, "patient"): "c", (0, "label"): "sick"},
    )
    save_part(folder, part)
    assert found(folder) == [
        ("b", "c", "sick", 1),
        ("c", "slides/c", None, 1),
        ("slides/b", "b", None, 1),
    ]


def test_names_that_the_table_uses_otherwise_are_refused(
    tmp_path: Path, write_tree: Callable[..., Path]
) -> None:
    folder = write_tree(tmp_path / "slides", "a.png", "b.png")
    save_part(folder, rows_of(open_cohort(folder)))
    before = (folder / "cohort.csv").read_text()
    part = with_values(rows_of(open_cohort([folder / "a.png"])), {(0, "sample"): "b"})
    with pytest.raises(UserError, match="Sample 'b' has two patients, 'a' and 'b'"):
        save_part(folder, part)
    assert (folder / "cohort.csv").read_text() == before


def test_a_table_of_another_name_is_of_the_rows_alone(study: Path) -> None:
    part = rows_of(open_cohort([study / "sick" / "s1"]))
    assert other_rows(part, study / "mine.csv") == ()


def test_images_that_a_cohort_csv_leaves_out_are_told(study: Path) -> None:
    table = "image,sample,patient,label\nsick/s1/s/0.png,a,p,sick\n"
    (study / "cohort.csv").write_text(table)
    (study / "reports").mkdir()
    (study / "healthy" / "h1" / "s" / "0.png").rename(study / "reports" / "figure.png")
    assert open_cohort(study).notes == ("6 images in the folder not listed in cohort.csv.",)
    (study / "mine.csv").write_text(table)
    assert open_cohort(study / "mine.csv").notes == ()


def test_images_with_only_the_home_folder_in_common_are_a_study_of_the_first_ones_folder(
    tmp_path: Path, write_tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = write_tree(tmp_path / "home", "data/a/a.png", "data/b/b.png", "pictures/c.png")
    data = home / "data"
    files = [data / "a" / "a.png", data / "b" / "b.png", home / "pictures" / "c.png"]
    assert open_cohort(files).folder == home
    monkeypatch.setattr(Path, "home", lambda: home)
    assert open_cohort(files).folder == data / "a"
    assert open_cohort(files[:2]).folder == data
    assert open_cohort([files[1], write_tree(tmp_path, "x.png") / "x.png"]).folder == data / "b"
    assert [s.name for s in open_cohort(files).samples] == ["a", "b", "c"]


def test_a_part_has_the_names_that_the_table_gives_its_images(study: Path) -> None:
    (study / "cohort.csv").write_text(
        "image,sample,patient,label\n"
        "sick/s1/s/0.png,anna 1,anna,sickle\n"
        "sick/s1/s/1.png,anna 1,anna,sickle\n"
        "healthy/h1/s/0.png,1,bert,ok\n"
    )
    both = as_listed(open_cohort(study / "sick" / "s1"), study)
    assert [(s.name, s.patient, s.label, len(s)) for s in both.samples] == [
        ("anna 1", "anna", "sickle", 2)
    ]
    assert (both.folder, both.table, both.notes) == (study, study / "cohort.csv", ())
    one = as_listed(open_cohort([study / "sick" / "s1" / "s" / "1.png"]), study)
    assert [(s.name, [f.path.name for f in s.frames]) for s in one.samples] == [
        ("anna 1", ["1.png"])
    ]
    mixed = [study / "healthy" / "h1" / "s" / f"{k}.png" for k in (0, 1)]
    assert [(s.name, s.patient, s.label) for s in as_listed(open_cohort(mixed), study).samples] == [
        ("1", "bert", "ok"),
        ("s/1", "1", None),
    ]


def test_a_part_keeps_its_own_names_where_no_table_lists_it(study: Path) -> None:
    part = open_cohort(study / "sick" / "s1")
    (study / "cohort.csv").write_text(
        "image,sample,patient,label\nsick/s1/s/0.png,a,p,x\nsick/s1/s/1.png,a,q,x\n"
    )
    faulty = as_listed(part, study)
    assert (faulty.samples, faulty.table) == (part.samples, None)
    assert faulty.notes[-1].startswith("The table was not used: cohort.csv, row 3: sample 'a' has")
    (study / "cohort.csv").write_text("image,sample,patient,label\nhealthy/h1/s/0.png,a,p,x\n")
    assert as_listed(part, study) is part
    (study / "cohort.csv").write_text("image,sample,patient,label\nsick/s1/s/0.png,a,p,x\n")
    assert as_listed(part, study / "sick") is part
