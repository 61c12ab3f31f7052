from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_attmil.bags import Question
from napari_attmil.core.errors import UserError
from napari_attmil.explore.question_table import (
    CellToAsk,
    answers_in_words,
    read_answers,
    write_questions,
)
from napari_attmil.images.cohort import Cohort, Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    samples = (
        Sample("h", "h", "healthy", (Frame(tmp_path / "h.tif"),)),
        Sample(
            "=m", "m", "malaria", (Frame(tmp_path / "=m.tif", 0), Frame(tmp_path / "=m.tif", 1))
        ),
    )
    return Cohort(samples, tmp_path)


def written(cohort: Cohort, *answers: str) -> Path:
    """Return a table of questions about cells 1, 2, ... that was filled in with some answers."""
    path = cohort.folder / "questions.csv"
    cells = [
        CellToAsk(cohort.samples[1], 1, (1, 2, 11.5, 12), Question("=m", number, 0.9, 0.1))
        for number in range(1, len(answers) + 1)
    ]
    write_questions(path, cells, cohort.folder)
    head, *rows = path.read_text("utf-8").splitlines()
    assert head.endswith(",altered,doubt,answer")
    filled = [f"{row}{answer}" for row, answer in zip(rows, answers, strict=True)]
    path.write_text("\n".join([head, *filled]), "utf-8")
    return path


def test_answers_come_back_to_the_cells_that_were_asked_about(cohort: Cohort) -> None:
    path = written(cohort, "Altered", "N", "", "?", "not a cell", "malaria", "healthy")
    given = read_answers(path, cohort, "healthy")
    assert [(one.cell_id, one.answer) for one in given] == [
        (1, "altered"),
        (2, "not altered"),
        (4, "cannot tell"),
        (5, "not a cell"),
        (6, "altered: malaria"),
        (7, "not altered"),
    ]
    first = given[0]
    assert (first.sample, first.image_index, first.xyxy) == ("=m", 1, (1, 2, 11.5, 12))
    assert answers_in_words(given).startswith("2 not altered, 1 altered")


def test_table_of_a_spreadsheet_with_commas_in_numbers_is_read(cohort: Cohort) -> None:
    path = written(cohort, "a")
    path.write_text(path.read_text("utf-8").replace(",", ";").replace("11.50", "11,50"), "utf-8")
    assert read_answers(path, cohort, "healthy")[0].xyxy == (1, 2, 11.5, 12)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (",perhaps", ",perhaps", "Row 2 .* has the answer 'perhaps'; write one of a, n"),
        ("frame", "page", "no column frame"),
        ("m.tif", "n.tif", "Row 2 .* image '=n.tif', which is not in the study"),
        (",1.00,", ",one,", "Row 2 .* lacks a number"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_row(
    cohort: Cohort, old: str, new: str, reason: str
) -> None:
    path = written(cohort, "perhaps" if "perhaps" in old else "a")
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(UserError, match=reason):
        read_answers(path, cohort, "healthy")
