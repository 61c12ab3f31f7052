"""The command that measures cells and compares those with high attention with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from napari_attmil.cli.options import CohortPath, DetectionOptions, ModelFile, TableOut
from napari_attmil.cli.outputs import check_outputs
from napari_attmil.cli.terminal import load_classifier, open_labelled_cohort, shown, study_of
from napari_attmil.core import LARGEST_SEED, counted

if TYPE_CHECKING:
    import pandas as pd

    from napari_attmil.bags import Bag, Classifier
    from napari_attmil.images import Cohort


def shapes(
    model: ModelFile,
    cohort: CohortPath,
    out: TableOut,
    *,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="The same seed gives the same result.")
    ] = 0,
    detection: DetectionOptions,
) -> None:
    """Measure all cells and say, class by class, whether those with high attention differ."""
    from napari_attmil.explore import check_table_file, write_cells
    from napari_attmil.workflows import prepare_bags

    check_outputs([out], [model, cohort, detection.weights])
    check_table_file(out)
    settings = detection.settings
    opened = open_labelled_cohort(cohort)
    classifier = load_classifier(model, detection.device)
    study = study_of(opened, detection.weights, classifier.feature_settings)
    detector = study.detector(detection.device)
    bags = shown(prepare_bags(study, detector, settings, classifier.feature_settings))
    tables = [_cells_of(opened, bag, classifier) for bag in bags]
    write_cells(out, tables)
    _print_findings(tables, classifier.healthy_class, seed)
    print(f"{counted(sum(map(len, tables)), 'cell')} written to {out}")


def _cells_of(cohort: Cohort, bag: Bag, classifier: Classifier) -> pd.DataFrame:
    """Return the cells of one sample with attention, contributions and shapes."""
    from napari_attmil.explore import study_table
    from napari_attmil.workflows import CellsAtHand, measure_cells

    sample = next(sample for sample in cohort.samples if sample.name == bag.sample)
    assert bag.boxes is not None  # bags of a cohort have them
    boxes = bag.boxes.sorted_by_image()
    steps = measure_cells([CellsAtHand(sample, boxes)], cohort.samples)
    (measured,) = shown(steps, f"Measuring the cells of {sample.name}")
    return study_table(sample, boxes, classifier.classify(bag), measured.columns)


def _print_findings(tables: list[pd.DataFrame], healthy_class: str | None, seed: int) -> None:
    """Print what differs, class by class."""
    import pandas as pd

    from napari_attmil.explore.shapes import (
        compare_high_cells,
        findings_in_words,
        healthy_cells,
        shape_columns,
    )

    cells = pd.concat(tables, ignore_index=True)
    for name in sorted(map(str, cells["class"].unique())):
        of_class = cells[cells["class"] == name]
        healthy = healthy_cells(cells, name, "attention", healthy_class)
        columns = shape_columns(of_class)
        compared = compare_high_cells(of_class, "attention", columns, healthy, seed)
        for sentence in findings_in_words(compared):
            print(f"{name}: {sentence}" if name else sentence)
