"""Texts that leave the program: cells of CSV files, and lines on a terminal."""

from __future__ import annotations

import pytest

from napari_attmil.core.words import as_cell, from_cell, printable


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+patient", "'+patient"),
        ("-a.tif", "'-a.tif"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\tx", "'\tx"),
        ("-12.5", "-12.5"),
        ("+3", "+3"),
        ("a=b", "a=b"),
        ("'quoted'", "'quoted'"),
        ("", ""),
    ],
)
def test_a_cell_is_no_formula_and_numbers_stay(text: str, cell: str) -> None:
    assert as_cell(text) == cell
    assert from_cell(cell) == text


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[31mb\x07c\x9b2J\n\td") == "a\ufffd[31mb\ufffdc\ufffd2J\n\td"
