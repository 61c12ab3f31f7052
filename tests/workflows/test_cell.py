"""What is read of a sample for one cell is read once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.cells import Boxes
from napari_attmil.cells.annotations import NOT_A_CELL, Annotations, Note
from napari_attmil.core.progress import finished
from napari_attmil.workflows.cell import AskedCell, CellReader, look_at_cell
from napari_attmil.workflows.prepare import CellsAtHand
from napari_attmil.workflows.study import Study

if TYPE_CHECKING:
    from napari_attmil.images import Cohort


def test_an_answer_that_moves_no_box_measures_no_cell_again(cohort: Cohort) -> None:
    study, reader = Study.of(cohort), CellReader()
    xyxy = np.array([[1, 1, 20, 20], [22, 2, 40, 20], [2, 22, 20, 40]], dtype=np.float32)
    boxes = Boxes.from_detections(np.zeros(3), xyxy, np.ones(3))
    notes = {3: Note(0, (NOT_A_CELL,))}

    def ask(annotations: Annotations) -> object:
        asked = AskedCell(CellsAtHand(cohort.samples[0], annotations.cells), 1)
        finished(look_at_cell(asked, study, reader=reader))
        return reader.shapes[cohort.samples[0].name][1]

    first = ask(Annotations(boxes, notes=notes))
    assert ask(Annotations(boxes, notes=notes | {2: Note(0, ("altered",))})) is first
    assert ask(Annotations(boxes)) is not first
    moved = replace(boxes, xyxy=xyxy + np.float32(1))
    assert ask(Annotations(moved)) is not ask(Annotations(boxes))
