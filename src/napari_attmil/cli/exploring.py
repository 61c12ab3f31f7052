"""What a classifier saw, as commands: report."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_attmil.cli.options import (
    DETECTION,
    CellDiameter,
    DeviceName,
    Inputs,
    MinScore,
    ModelFile,
    Weights,
    detection_settings,
)
from napari_attmil.cli.outputs import check_outputs
from napari_attmil.cli.terminal import classified, load_classifier, open_labelled_cohort, shown
from napari_attmil.core import CAUTION, UserError, check_writable, counted

if TYPE_CHECKING:
    from napari_attmil.images import Cohort


def report(
    model: ModelFile,
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="HTML or PDF file to write.", show_default=False)],
    by_class: Annotated[
        bool,
        typer.Option(
            "--by-class",
            help="The input is a cohort (class/patient/sample/images or a cohort.csv); the report "
            "is grouped by class and compares the cells that counted with the others.",
        ),
    ] = False,
    weights: Weights = None,
    min_score: MinScore = DETECTION.min_score,
    cell_diameter: CellDiameter = None,
    device: DeviceName = "auto",
) -> None:
    """Classify samples and report their images, deciding cells and doubts in one file."""
    from napari_attmil.explore.report import Finding, check_suffix
    from napari_attmil.images import open_samples
    from napari_attmil.workflows import Study, report_samples

    check_outputs([out], [model, *inputs, weights])
    check_suffix(out)  # before minutes of work
    check_writable(out)
    detection = detection_settings(min_score, cell_diameter)
    if by_class:
        studies = [Study.of(_cohort_of(inputs), weights)]
    else:
        studies = Study.around(open_samples(inputs), weights)
    classifier = load_classifier(model, device)
    found = classified(studies, classifier, detection, device)
    findings = [Finding(one.sample, one.boxes, one.prediction) for one in found]
    with model.open("rb") as file:
        digests = {"model_sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    made_with = {**digests, "detection": detection.model_dump()}
    shown(report_samples(out, findings, classifier, str(model), made_with))
    print(f"{counted(len(findings), 'sample')} reported in {out}")
    print(CAUTION)


def _cohort_of(inputs: list[Path]) -> Cohort:
    if len(inputs) != 1:
        raise UserError(
            f"{len(inputs)} inputs were given, but --by-class needs one cohort: a folder "
            "class/patient/sample/images, or a cohort.csv."
        )
    return open_labelled_cohort(inputs[0])
