"""The commands that say what a classifier saw: in samples, and in one cell."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from napari_attmil import images, workflows
from napari_attmil.cli.options import DetectionOptions, Inputs, ModelFile, PlaneOptions, Priors
from napari_attmil.cli.terminal import (
    classified,
    load_classifier,
    open_inputs,
    open_labelled_cohort,
    shown,
)
from napari_attmil.core import CAUTION, UserError, check_writable, counted
from napari_attmil.explore import report as reports
from napari_attmil.workflows import check_outputs


def report(
    model: ModelFile,
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="HTML or PDF file to write.")],
    *,
    by_class: Annotated[
        bool,
        typer.Option(
            "--by-class",
            help="The input is a cohort (class/patient/sample/images or a cohort.csv); the report "
            "is grouped by class and compares the cells with high attention with the others.",
        ),
    ] = False,
    prior: Priors = None,
    detection: DetectionOptions,
    planes: PlaneOptions,
) -> None:
    """Classify samples and report their images, the cells that decided, and doubts in one file."""
    check_outputs([out], [model, *inputs, detection.weights])
    reports.check_suffix(out)  # before minutes of work
    check_writable(out)
    settings = detection.settings
    if by_class:
        # A report writes nothing but itself.
        study = workflows.Study.of(_cohort_of(inputs, planes), detection.weights)
        studies = [replace(study, stores_features=False)]
    else:
        studies = workflows.Study.around(open_inputs(inputs, planes), detection.weights)
    classifier = load_classifier(model, detection.device, prior)
    found = classified(studies, classifier, settings, detection.device)
    findings = [reports.Finding(one.sample, one.boxes, one.prediction) for one in found]
    with model.open("rb") as file:
        digests = {"model_sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    made_with = {**digests, "detection": settings.model_dump()}
    shown(workflows.report_samples(out, findings, classifier, str(model), made_with))
    print(f"{counted(len(findings), 'sample')} reported in {out}")
    print(CAUTION)


def cell(
    model: ModelFile,
    inputs: Inputs,
    *,
    cell_id: Annotated[int, typer.Option("--cell", help="Number of the cell in the first input.")],
    prior: Priors = None,
    detection: DetectionOptions,
    planes: PlaneOptions,
) -> None:
    """Say everything about one cell of the first sample; similar ones are sought in the others."""
    from napari_attmil.workflows import Study, asked_cell, look_at_cell

    firsts = open_inputs(inputs[:1], planes)
    if len(firsts) != 1:
        raise UserError(
            f"{inputs[0]} holds {len(firsts)} samples, but a cell is in one of them; give that "
            "sample's folder or file first, and others after it."
        )
    studies = Study.around(open_inputs(inputs, planes), detection.weights)
    classifier = load_classifier(model, detection.device, prior)
    found = classified(studies, classifier, detection.settings, detection.device)
    asked = asked_cell(found, firsts[0], cell_id)
    (study,) = (each for each in studies if asked.cells.sample in each.cohort.samples)
    print(shown(look_at_cell(asked, study, classifier, detection.device), f"Cell {cell_id}"))


def _cohort_of(inputs: list[Path], planes: PlaneOptions) -> images.Cohort:
    if len(inputs) != 1:
        raise UserError(
            f"{len(inputs)} inputs were given, but --by-class needs one cohort: give a folder "
            "class/patient/sample/images, or a cohort.csv."
        )
    return open_labelled_cohort(inputs[0], planes)
