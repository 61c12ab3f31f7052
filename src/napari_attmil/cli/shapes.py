"""The command that measures cells and asks whether those that decided look different."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_attmil.cli.options import (
    DETECTION,
    CellDiameter,
    CohortPath,
    DeviceName,
    MinScore,
    ModelFile,
    Seed,
    Weights,
    app,
    detection_settings,
)
from napari_attmil.cli.outputs import check_outputs
from napari_attmil.cli.terminal import follow, load_detector, open_labelled_cohort, prepare
from napari_attmil.core import counted

if TYPE_CHECKING:
    import pandas as pd

    from napari_attmil.bags import Bag, Classifier
    from napari_attmil.images import Cohort


@app.command()
def shapes(
    model: ModelFile,
    cohort: CohortPath,
    out: Annotated[
        Path, typer.Option(help="CSV or Parquet file for the cells.", show_default=False)
    ],
    seed: Seed = 0,
    weights: Weights = None,
    min_score: MinScore = DETECTION.min_score,
    cell_diameter: CellDiameter = None,
    device: DeviceName = "auto",
) -> None:
    """Measure all cells, and say class by class whether those with high attention differ."""
    from napari_attmil.bags import Classifier
    from napari_attmil.explore import check_table_file, write_cells

    check_outputs([out], [model, cohort, weights])
    check_table_file(out)
    detection = detection_settings(min_score, cell_diameter)
    opened = open_labelled_cohort(cohort)
    detector = load_detector(weights, device)
    classifier = Classifier.load(model, detector.device)
    bags = prepare(opened, detector, detection, classifier.feature_settings)
    tables = [_cells_of(opened, bag, classifier) for bag in bags]
    write_cells(out, tables)
    _tell(tables, classifier.healthy_class, seed)
    print(f"{counted(sum(map(len, tables)), 'cell')} written to {out}")


def _cells_of(cohort: Cohort, bag: Bag, classifier: Classifier) -> pd.DataFrame:
    """Return the cells of one sample with attention, contributions and shapes."""
    from napari_attmil.explore import study_table
    from napari_attmil.explore.shapes import measure_shapes
    from napari_attmil.images import common_pixel_size_um, read_images

    sample = next(sample for sample in cohort.samples if sample.name == bag.sample)
    assert bag.boxes is not None  # bags of a cohort have them
    boxes = bag.boxes.sorted_by_image()
    size_um = common_pixel_size_um(sample, cohort.samples)
    steps = measure_shapes(read_images(sample), boxes, size_um)
    *_, last = follow(f"Measuring the cells of {sample.name}", steps)
    assert last.shapes is not None  # the last progress value has them
    return study_table(sample, boxes, classifier.classify(bag), last.shapes)


def _tell(tables: list[pd.DataFrame], healthy_class: str | None, seed: int) -> None:
    """Print what differs, for each class of the cohort."""
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
