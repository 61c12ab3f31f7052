"""Asking an expert about single cells, and keeping the answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_attmil import explore, workflows
from napari_attmil.api.runs import (
    CohortLike,
    OnProgress,
    as_classifier,
    as_cohort,
    checked_out,
    result_of,
    study_of,
)
from napari_attmil.bags import STRATEGIES
from napari_attmil.cells import DetectionSettings
from napari_attmil.images import reference_class

if TYPE_CHECKING:
    from napari_attmil.bags import Classifier, Strategy
    from napari_attmil.explore import CellToAsk


def ask(
    cohort: CohortLike,
    model: Classifier | str | Path,
    out: str | Path | None = None,
    count: int = 60,
    strategy: Strategy = STRATEGIES[0],
    *,
    detection: DetectionSettings | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    on_progress: OnProgress = None,
) -> list[CellToAsk]:
    """Return the cells whose answers teach a classifier most, as `attmil ask`.

    Parameters
    ----------
    cohort
        The study.
    model
        The classifier that is to learn, or its file.
    out
        CSV file for the questions, to be filled in; none if None.
    count
        Most cells.
    strategy
        ``"disagreement"`` (of the models), ``"highest"`` (most probably altered) or ``"mix"``.
    detection, weights, device, on_progress
        As for `detect`.

    Raises
    ------
    UserError
        If no sample has a class of diseased ones, no cell is left to ask about, or the file cannot
        be written.

    Examples
    --------
    >>> questions = attmil.ask("study", "model.safetensors", "questions.csv", count=4)
    >>> len(questions), questions[0].sample.label
    (4, 'sickle')
    """
    path = checked_out(out, cohort, model, weights)
    study, classifier = study_of(cohort, weights), as_classifier(model, device)
    settings = detection or DetectionSettings()
    steps = workflows.ask_study(study, classifier, count, strategy, settings, device)
    asked = result_of(steps, on_progress)
    workflows.check_something_to_ask(asked)
    if path is not None:
        explore.write_questions(path, asked, study.cohort.folder)
    return asked


def answer(cohort: CohortLike, questions: str | Path, healthy_class: str = "") -> str:
    """Keep the answers of a filled-in table in a study, and say what was kept.

    Parameters
    ----------
    cohort
        The study.
    questions
        The table that `ask` wrote.
    healthy_class
        The class of healthy samples; found by its name if empty.

    Raises
    ------
    UserError
        If the table cannot be read or has no answer, or the study not be written.
    """
    from napari_attmil.cells.annotations import boxes_beside

    opened = as_cohort(cohort)
    healthy = reference_class(opened.classes, healthy_class)
    given = explore.read_answers(Path(questions), opened, healthy)
    file = boxes_beside(opened.folder, opened.samples)
    return workflows.keep_answers(opened, file, given, Path(questions).name)
