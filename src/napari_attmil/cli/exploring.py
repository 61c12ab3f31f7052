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
    app,
    detection_settings,
)
from napari_attmil.cli.outputs import check_outputs
from napari_attmil.cli.terminal import (
    classified,
    follow,
    load_detector,
    open_labelled_cohort,
)
from napari_attmil.core import CAUTION, UserError, check_writable, counted

if TYPE_CHECKING:
    from napari_attmil.images import Sample


@app.command()
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
    from napari_attmil.bags import Classifier
    from napari_attmil.explore import model_origin
    from napari_attmil.explore.report import Finding, check_suffix, write_report
    from napari_attmil.images import open_samples

    check_outputs([out], [model, *inputs, weights])
    check_suffix(out)  # before minutes of work
    check_writable(out)
    detection = detection_settings(min_score, cell_diameter)
    samples = _samples_of_cohort(inputs) if by_class else open_samples(inputs)
    detector = load_detector(weights, device)
    classifier = Classifier.load(model, detector.device)
    findings = [Finding(*found) for found in classified(samples, detector, detection, classifier)]
    with model.open("rb") as file:
        digests = {"model_sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    origin = model_origin(classifier, str(model), detector.digest)
    made_with = {**digests, "detection": detection.model_dump(), **origin}
    list(follow("Writing the report", write_report(out, findings, made_with)))
    print(f"{counted(len(findings), 'sample')} reported in {out}")
    print(CAUTION)


def _samples_of_cohort(inputs: list[Path]) -> list[Sample]:
    if len(inputs) != 1:
        raise UserError(
            f"{len(inputs)} inputs were given, but --by-class needs one cohort: a folder "
            "class/patient/sample/images, or a cohort.csv."
        )
    return list(open_labelled_cohort(inputs[0]).samples)
