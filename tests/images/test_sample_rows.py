"""Samples in a table: what a person types, pastes, merges and takes from names."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_attmil.core.errors import UserError
from napari_attmil.images.labels import known_label
from napari_attmil.images.name_patterns import EXAMPLES, from_names, guessed_pattern
from napari_attmil.images.sample_rows import (
    FIELDS,
    Rows,
    SampleRow,
    cells_of_text,
    filled_down,
    merged,
    merged_by_name,
    parted,
    pasted,
    problems,
    remarks,
    with_values,
)

FOLDER = Path("/study")


def flat(*names: str) -> Rows:
    """Return a row for each image, as a folder of loose images opens."""
    stems = [Path(name).stem for name in names]
    return tuple(
        SampleRow(stem, stem, "", (FOLDER / name,)) for name, stem in zip(names, stems, strict=True)
    )


def values(rows: Rows) -> list[tuple[str, str, str, int]]:
    return [(row.sample, row.patient, row.label, len(row.images)) for row in rows]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        *((text, None) for text in ("", " ", "NA", "n/a", "Unknown", "?", "-", "NaN", "None")),
        ("nasal", "nasal"),
        (" sickle ", "sickle"),
        ("0", "0"),
    ],
)
def test_what_means_that_no_class_is_known(text: str, label: str | None) -> None:
    assert known_label(text) == label


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("P1\tsickle\nP2\thealthy\n", [["P1", "sickle"], ["P2", "healthy"]]),
        ("P1\r\nP2\r\n", [["P1"], ["P2"]]),
        ('"a\nb"\tx\n"say ""hi"""\ty', [["a\nb", "x"], ['say "hi"', "y"]]),
        ("1,5\t2,5\n", [["1,5", "2,5"]]),
        ("1,5\n2,5\n", [["1,5"], ["2,5"]]),
        ("P1;1,5\nP2;2,5", [["P1", "1,5"], ["P2", "2,5"]]),
        ("sample,class\ns1,x\n", [["sample", "class"], ["s1", "x"]]),
        ("one", [["one"]]),
        ("P1\t\n\tx\n", [["P1", ""], ["", "x"]]),
    ],
)
def test_copied_text_becomes_cells(text: str, cells: list[list[str]]) -> None:
    assert cells_of_text(text) == cells


def test_pasted_cells_fill_rows_from_a_place_on_and_what_does_not_fit_is_said() -> None:
    rows = flat("a.tif", "b.tif", "c.tif")
    new, left = pasted(rows, 1, "patient", [["P1", "x"], ["P2", "y"], ["P3", "z"]])
    assert values(new) == [("a", "a", "", 1), ("b", "P1", "x", 1), ("c", "P2", "y", 1)]
    assert left == "Left out: 1 line below the last row."
    new, left = pasted(rows, 0, "label", [["x", "too far"]])
    assert new[0].label == "x" and left == "Left out: the columns right of the class."
    assert pasted(rows, 0, "sample", [["A", "B", "C"]])[1] == ""


def test_a_pasted_table_with_heads_finds_its_rows_by_image_or_sample() -> None:
    rows = flat("a.tif", "b.tif")
    cells = [["Class", "Image", "Remark"], ["x", "b.tif", "1"], ["y", "deep/a.tif", "2"]]
    new, left = pasted(rows, 1, "label", [*cells, ["z", "lost.tif", ""]])
    assert values(new) == [("a", "a", "y", 1), ("b", "b", "x", 1)]
    assert left == "No row has lost.tif."
    by_sample = [["Sample", "Patient ID", "Diagnosis"], ["B", "P9", "x"]]
    assert values(pasted(rows, 0, "sample", by_sample)[0])[1] == ("b", "P9", "x", 1)


def test_filling_down_takes_the_first_chosen_row() -> None:
    rows = with_values(flat("a.tif", "b.tif", "c.tif"), {(1, "label"): "x", (1, "patient"): "P"})
    filled = filled_down(rows, [2, 1], ["label"])
    assert values(filled) == [("a", "a", "", 1), ("b", "P", "x", 1), ("c", "c", "x", 1)]


def test_merged_rows_are_one_sample_named_by_what_their_names_share() -> None:
    rows = with_values(flat("P1_1.tif", "x.tif", "P1_2.tif"), {(2, "label"): "sickle"})
    one = merged(rows, [0, 2])
    assert values(one) == [("P1", "P1", "sickle", 2), ("x", "x", "", 1)]
    assert [image.name for image in one[0].images] == ["P1_1.tif", "P1_2.tif"]
    assert merged(rows, [1]) == rows
    # Nothing in common: the first row's name. A patient that was given stays.
    given = with_values(rows, {(0, "patient"): "anna", (1, "patient"): "anna"})
    assert values(merged(given, [0, 1]))[0] == ("P1_1", "anna", "", 2)


def test_parted_rows_are_a_sample_an_image_of_the_same_patient() -> None:
    rows = merged(flat("P1_1.tif", "P1_2.tif", "b.tif"), [0, 1])
    assert values(parted(rows, [0, 1])) == [
        ("P1/P1_1", "P1", "", 1),
        ("P1/P1_2", "P1", "", 1),
        ("b", "b", "", 1),
    ]


def test_rows_of_one_name_become_one_with_the_first_known_class() -> None:
    rows = tuple(
        SampleRow("s", "p", label, (FOLDER / f"{n}.tif",)) for n, label in enumerate(("?", "x"))
    )
    assert values(merged_by_name(rows)) == [("s", "p", "x", 2)]


@pytest.mark.parametrize(
    ("pattern", "expected", "fitted"),
    [
        ("{class}/**", [("a1", "p1", "healthy", 2), ("b1", "p2", "sickle", 1)], 3),
        ("{CLASS}/{patient}/*", [("a1", "A", "healthy", 2), ("b1", "B", "sickle", 1)], 3),
        ("{patient}_*", [("a1", "a1", "", 2), ("b1", "b1", "", 1)], 3),
        ("{patient}_*.tif", [("a1", "a1", "", 2), ("b1", "b1", "", 1)], 3),
        ("B1_{class}", [("a1", "p1", "", 2), ("b1", "p2", "1", 1)], 1),
        ("nothing{class}", [("a1", "p1", "", 2), ("b1", "p2", "", 1)], 0),
    ],
)
def test_names_of_files_and_folders_give_fields_by_a_pattern(
    pattern: str, expected: list[tuple[str, str, str, int]], fitted: int
) -> None:
    rows = (
        SampleRow("a1", "p1", "", (FOLDER / "healthy/A/a1_1.tif", FOLDER / "healthy/A/a1_2.tif")),
        SampleRow("b1", "p2", "", (FOLDER / "sickle/B/b1_1.tif",)),
    )
    new, count = from_names(rows, pattern, FOLDER)
    assert (values(new), count) == (expected, fitted)


def test_a_pattern_of_samples_merges_and_parts_images() -> None:
    rows = flat("s1_1.tif", "s2_1.tif", "s1_2.tif")
    new, _ = from_names(rows, "{sample}_*", FOLDER)
    assert values(new) == [("s1", "s1", "", 2), ("s2", "s2", "", 1)]
    mixed = (SampleRow("day1", "day1", "", tuple(row.images[0] for row in rows)),)
    new, _ = from_names(mixed, "{patient}_*", FOLDER)
    assert values(new) == [("day1/s1", "s1", "", 2), ("day1/s2", "s2", "", 1)]


def test_samples_of_one_name_stay_apart_where_patients_or_classes_differ() -> None:
    rows = flat("ann_1.tif", "ben_1.tif", "ann_2.tif", "ben_2.tif", "ben_2.png")
    new, _ = from_names(rows, "{patient}_{sample}", FOLDER)
    assert values(new) == [
        ("ann/1", "ann", "", 1),
        ("ben/1", "ben", "", 1),
        ("ann/2", "ann", "", 1),
        ("ben/2", "ben", "", 2),
    ]
    new, _ = from_names(flat("sick_1.tif", "well_1.tif", "well_2.tif"), "{class}_{sample}", FOLDER)
    assert values(new) == [
        ("sick/1", "sick/1", "sick", 1),
        ("well/1", "well/1", "well", 1),
        ("2", "2", "well", 1),
    ]


@pytest.mark.parametrize("pattern", ["", "*.tif", "{who}_*", "{class}_{label}", "{class"])
def test_a_pattern_without_a_known_field_is_refused(pattern: str) -> None:
    with pytest.raises(UserError, match="does not tell what is what"):
        from_names(flat("a.tif"), pattern, FOLDER)


def test_the_pattern_that_is_proposed_fits_all_images() -> None:
    assert guessed_pattern(flat("s1_1.tif", "s1_2.tif"), FOLDER) == "{sample}_*"
    deep = (SampleRow("x", "x", "", (FOLDER / "a/b/c.tif",)),)
    assert guessed_pattern(deep, FOLDER) == "{class}/**"
    named = flat("healthy_p1_1.tif", "healthy_p1_2.tif", "healthy_p2_1.tif", "sickle_p3_1.tif")
    assert guessed_pattern(named, FOLDER) == "{class}_{patient}_*"
    turned = flat("p1_healthy_1.tif", "p2_healthy_1.tif", "p3_sickle_1.tif")
    assert guessed_pattern(turned, FOLDER) == "{patient}_{class}_*"
    numbered = flat("smear_1_a.tif", "smear_2_a.tif", "smear_3_a.tif")  # one name is no class
    assert guessed_pattern(numbered, FOLDER) == "{sample}_*"
    shared = flat("healthy_p1_1.tif", "sickle_p1_1.tif", "sickle_p2_1.tif")  # whose p1 is unclear
    assert guessed_pattern(shared, FOLDER) == "{sample}_*"
    assert all("{" in pattern for pattern in EXAMPLES)


def test_contradictions_are_problems_of_their_row() -> None:
    rows = tuple(
        SampleRow(*texts, (FOLDER / f"{n}.tif",))
        for n, texts in enumerate(
            [("s1", "p1", "x"), ("s1", "p2", "x"), ("s2", "p1", "y"), ("", "p3", "NA")]
        )
    )
    assert [(p.row, p.field) for p in problems(rows)] == [
        (3, "sample"),
        (1, "patient"),
        (2, "label"),
    ]
    assert problems(rows)[1].text == (
        "Sample 's1' has two patients, 'p1' and 'p2'; a sample has one: correct a row."
    )
    assert problems(rows)[2].text.startswith("Patient 'p1' has two classes, 'x' and 'y'")
    same = with_values(rows[:1] * 2, {(0, "label"): "NA", (1, "label"): "?"})
    assert problems(same) == []


def test_remarks_count_and_warn_of_what_makes_results_look_better() -> None:
    rows = with_values(flat("a.tif", "b.tif", "c.tif"), {(0, "label"): "x", (1, "label"): "NA"})
    told = remarks(rows)
    assert told[0] == "3 images, 3 samples, 3 patients, 1 class."
    assert told[1] == "2 samples without a class: not trained on."
    assert told[2].startswith("Every sample is a patient of its own.")
    assert told[3] == "'NA' was taken to mean that the class is not known: 1 sample."
    one = with_values(
        rows, {(n, f): t for n in range(3) for f, t in zip(FIELDS, "spx", strict=True)}
    )
    assert remarks(one) == [
        "3 images, 1 sample, 1 patient, 1 class.",
        "Rows of the same sample become one sample.",
    ]
