"""The command that measures cells and compares those with high attention with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from napari_attmil import bags, explore, workflows
from napari_attmil.cli.options import CohortPath, DetectionOptions, ModelFile, TableOut
from napari_attmil.cli.outputs import check_outputs
from napari_attmil.cli.terminal import load_classifier, open_labelled_cohort, shown, study_of
from napari_attmil.core import LARGEST_SEED, counted
from napari_attmil.explore import shapes as comparisons

if TYPE_CHECKING:
    import pandas as pd


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
    check_outputs([out], [model, cohort, detection.weights])
    explore.check_table_file(out)
    settings = detection.settings
    opened = open_labelled_cohort(cohort)
    classifier = load_classifier(model, detection.device)
    study = study_of(opened, detection.weights, classifier.feature_settings)
    detector = study.detector(detection.device)
    steps = workflows.prepare_bags(study, detector, settings, classifier.feature_settings)
    tables = [_cells_of(study, bag, classifier) for bag in shown(steps)]
    explore.write_cells(out, tables)
    _print_findings(tables, classifier.healthy_class, seed)
    print(f"{counted(sum(map(len, tables)), 'cell')} written to {out}")


def _cells_of(study: workflows.Study, bag: bags.Bag, classifier: bags.Classifier) -> pd.DataFrame:
    """Return the cells of one sample with attention, contributions and shapes."""
    sample = next(sample for sample in study.cohort.samples if sample.name == bag.sample)
    kept = study.annotations.get(bag.sample)
    assert bag.boxes is not None  # bags of a cohort have them
    boxes = bag.boxes.sorted_by_image()
    steps = workflows.measure_cells([workflows.CellsAtHand(sample, boxes)], study.cohort.samples)
    (measured,) = shown(steps, f"Measuring the cells of {sample.name}")
    prediction, notes = classifier.classify(bag), {} if kept is None else kept.notes
    return explore.study_table(sample, boxes, prediction, measured.columns, notes=notes)


def _print_findings(tables: list[pd.DataFrame], healthy_class: str | None, seed: int) -> None:
    """Print what differs, class by class."""
    import pandas as pd  # takes half a second

    cells = pd.concat(tables, ignore_index=True)
    for name in sorted(map(str, cells["class"].unique())):
        of_class = cells[cells["class"] == name]
        healthy = comparisons.healthy_cells(cells, name, "attention", healthy_class)
        columns = comparisons.shape_columns(of_class)
        compared = comparisons.compare_high_cells(of_class, "attention", columns, healthy, seed)
        for sentence in comparisons.findings_in_words(compared):
            print(f"{name}: {sentence}" if name else sentence)
