"""The command that measures cells and compares those with high attention with the others."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_attmil import explore, workflows
from napari_attmil.cli.options import (
    CohortPath,
    DetectionOptions,
    ModelFile,
    PlaneOptions,
    TableOut,
)
from napari_attmil.cli.terminal import load_classifier, open_labelled_cohort, shown, study_of
from napari_attmil.core import LARGEST_SEED, counted
from napari_attmil.workflows import check_outputs


def shapes(
    model: ModelFile,
    cohort: CohortPath,
    out: TableOut,
    *,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="The same seed gives the same result.")
    ] = 0,
    detection: DetectionOptions,
    planes: PlaneOptions,
) -> None:
    """Measure all cells and say, class by class, whether those with high attention differ."""
    check_outputs([out], [model, cohort, detection.weights])
    explore.check_table_file(out)
    settings = detection.settings
    opened = open_labelled_cohort(cohort, planes)
    classifier = load_classifier(model, detection.device)
    study = study_of(opened, detection.weights, classifier.feature_settings)
    steps = workflows.shapes_of_study(study, classifier, settings, detection.device, seed)
    shapes = shown(steps)
    explore.write_cells(out, [shapes.cells])
    for sentence in shapes.findings:
        print(sentence)
    print(f"{counted(len(shapes.cells), 'cell')} written to {out}")
