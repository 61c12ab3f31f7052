"""Which cells of a study to ask an expert about, and how the answers are kept."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.cells import Boxes, Source, match_boxes
from napari_attmil.cells.annotations import (
    AnnotationFile,
    Annotations,
    author_name,
    new_uid,
    with_answers,
)
from napari_attmil.core import Remedy, UserError, counted
from napari_attmil.workflows.answers import answers_about
from napari_attmil.workflows.prepare import each_bag
from napari_attmil.workflows.steps import NEVER, Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from napari_attmil.bags import Classifier, Strategy
    from napari_attmil.cells import DetectionSettings
    from napari_attmil.explore import CellToAsk, GivenAnswer
    from napari_attmil.images import Cohort
    from napari_attmil.workflows.study import Study


def ask_study(
    study: Study,
    classifier: Classifier,
    count: int,
    strategy: Strategy,
    detection: DetectionSettings,
    device_name: str,
    stop: Event = NEVER,
) -> Stage[list[CellToAsk]]:
    """Return the cells of a study to ask about, the one that teaches most first.

    Only of labelled samples that are not healthy: nothing is learnt from others' answers, or the
    label says them already. Stopped early, of the samples so far.

    Yields
    ------
    Progress
        `detail` is the bag of a sample when it has been judged, otherwise None.

    Raises
    ------
    UserError
        If the strategy is unknown, there is no such sample, or none of them has cells.
    """
    from napari_attmil.bags import JudgedCells, cells_to_ask, checked_strategy
    from napari_attmil.explore import CellToAsk

    strategy = checked_strategy(strategy)  # before the long work
    study = replace(study, cohort=_diseased_part(study.cohort, classifier.healthy_class))
    samples = {sample.name: sample for sample in study.cohort.samples}
    yield Progress(0, len(study.cohort), "Loading the detector")
    detector, judged, boxes = study.detector(device_name), [], {}
    for step in each_bag(study, detector, detection, classifier.feature_settings, stop):
        if (bag := step.detail) is not None:
            said = answers_about(bag.boxes, study.annotations.get(bag.sample))
            judged.append(JudgedCells.of(classifier, replace(bag, answers=said)))
            boxes[bag.sample] = bag.boxes
        yield step
    asked = []
    for question in cells_to_ask(judged, count, strategy):
        of_sample = boxes[question.sample]
        (row,) = np.flatnonzero(of_sample.cell_id == question.cell_id)
        x_min, y_min, x_max, y_max = of_sample.xyxy[row].tolist()
        image, corners = int(of_sample.image_index[row]), (x_min, y_min, x_max, y_max)
        asked.append(CellToAsk(samples[question.sample], image, corners, question))
    return asked


def check_something_to_ask(asked: Sequence[CellToAsk]) -> None:
    """Raise UserError if a study has no cell left to ask about."""
    if not asked:
        raise UserError(
            "No cell is left to ask about: all have answers, or none was found; train the "
            "classifier again with `attmil train`."
        )


def keep_answers(
    cohort: Cohort, file: AnnotationFile, given: Sequence[GivenAnswer], source: str = ""
) -> str:
    """Write answers into a study's annotations, as one step of undo, and say what was kept.

    A cell is found by its box, whatever its id is by now; one that has no box in the annotations
    yet, because the study was never opened, gets the one that was asked about.

    Parameters
    ----------
    cohort, file
        The study.
    given
        The answers; a later one about a cell replaces an earlier one.
    source
        Where the answers come from, for the journal.

    Raises
    ------
    UserError
        If the annotations cannot be read or written.
    """
    before, by_sample = file.read_all(cohort.samples), defaultdict(list)
    for one in given:
        by_sample[one.sample].append(one)
    step, who, now = new_uid(), author_name(), datetime.now(UTC).isoformat(timespec="seconds")
    with file.at_once():
        for sample in cohort.samples:
            if answers := by_sample.get(sample.name):
                old = before.get(sample.name, Annotations()).with_free_id()
                boxed, ids = _boxed(old, answers)
                said = {
                    cell: (one.image_index, one.answer)
                    for cell, one in zip(ids, answers, strict=True)
                }
                new = replace(boxed, notes=with_answers(old.notes, said, who, now))
                title = counted(len(said), "answer")
                file.write(sample, new, title, source, step=step)
    return f"{counted(len(given), 'answer')} kept in {file.path}"


def _boxed(old: Annotations, answers: Sequence[GivenAnswer]) -> tuple[Annotations, list[int]]:
    """Return annotations with a box for each cell answered about, and the cells' ids."""
    boxes, ids = old.boxes, []
    for one in answers:
        cell = cell_asked_about(boxes, one)
        if not cell:
            cell = max(boxes.next_id, old.next_id)
            boxes = Boxes.concatenate([boxes, _box_of(one, cell)])
        ids.append(cell)
    next_id = max(old.next_id, boxes.next_id)
    return replace(old, boxes=boxes.in_order(), next_id=next_id), ids


def cell_asked_about(boxes: Boxes, one: GivenAnswer | CellToAsk) -> int:
    """Return the cell whose box overlaps most with the one asked about; 0 if none shows it."""
    here = boxes.of_image(one.image_index)
    (row,) = match_boxes(np.array([one.xyxy], dtype=np.float32), here.xyxy)
    return int(here.cell_id[row]) if row >= 0 else 0


def _box_of(one: GivenAnswer, cell_id: int) -> Boxes:
    box = Boxes.from_detections([one.image_index], [one.xyxy], [1.0])
    accepted = np.array([Source.ACCEPTED])
    return replace(box, cell_id=np.array([cell_id]), source=accepted)


def _diseased_part(cohort: Cohort, healthy: str | None) -> Cohort:
    """Return the labelled samples that are not healthy."""
    samples = tuple(s for s in cohort.samples if s.label not in (None, healthy))
    if not samples:
        raise UserError(
            f"No sample of {cohort.folder} has a class other than {healthy or 'none'}, so there is "
            "nothing to ask; give the samples their classes.",
            Remedy.GIVE_CLASSES,
        )
    return replace(cohort, samples=samples)
