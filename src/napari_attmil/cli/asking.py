"""The commands that ask an expert about cells, and read the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_attmil import bags, explore, images, workflows
from napari_attmil.bags import STRATEGIES
from napari_attmil.cli.options import CohortPath, DetectionOptions, PlaneOptions
from napari_attmil.cli.terminal import load_classifier, open_labelled_cohort, say, shown, study_of
from napari_attmil.core import check_writable, counted
from napari_attmil.workflows import check_outputs


def ask(
    cohort: CohortPath,
    model: Annotated[Path, typer.Option(help="Model file written by `attmil train`.")],
    out: Annotated[Path, typer.Option(help="CSV file for the questions.")],
    *,
    count: Annotated[int, typer.Option(min=1, help="Most cells to ask about.")] = 60,
    strategy: Annotated[
        str,
        typer.Option(
            help="disagreement (the models disagree most), highest (most probably altered), or mix."
        ),
    ] = STRATEGIES[0],
    detection: DetectionOptions,
    planes: PlaneOptions,
) -> None:
    """Write the cells whose answers teach a classifier most; fill in their last column."""
    check_outputs([out], [cohort, model, detection.weights])
    check_writable(out)
    chosen = bags.checked_strategy(strategy)
    opened = open_labelled_cohort(cohort, planes)
    classifier = load_classifier(model, detection.device)
    study = study_of(opened, detection.weights, classifier.feature_settings)
    asked = shown(
        workflows.ask_study(study, classifier, count, chosen, detection.settings, detection.device)
    )
    workflows.check_something_to_ask(asked)
    explore.write_questions(out, asked, opened.folder)
    print(f"{counted(len(asked), 'question')} written to {out}")
    print(
        "Fill in the column answer (altered, normal, cannot tell, not a cell, or a class; A, N, ? "
        f"and X for short), then: attmil answer {cohort} {out}"
    )


def answer(
    cohort: CohortPath,
    questions: Annotated[Path, typer.Argument(help="Table of `attmil ask`, filled in.")],
    *,
    healthy_class: Annotated[
        str, typer.Option(help="The class of healthy samples.", show_default="found by its name")
    ] = "",
    planes: PlaneOptions,
) -> None:
    """Keep an expert's answers about cells in the study; the next training learns from them."""
    opened = open_labelled_cohort(cohort, planes)
    healthy = images.reference_class(opened.classes, healthy_class)
    given = explore.read_answers(questions, opened, healthy)
    from napari_attmil.cells.annotations import boxes_beside

    file = boxes_beside(opened.folder, opened.samples)
    print(workflows.keep_answers(opened, file, given, questions.name))
    say(explore.answers_in_words(given))
