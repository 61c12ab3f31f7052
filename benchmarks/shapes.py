"""Whether the shapes that define a disease are found in the cells that count, and only there.

A cohort is simulated, its true boxes are measured (no detector, no features), and cells with a
high score are compared to the others with the patient as the unit. The score stands for the
attention of a classifier: in the diseased classes it is higher in altered cells, as the README's
area under the ROC curve of 0.95 says; in the control it is drawn without regard to the cells.
Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_attmil.cells import Boxes
from napari_attmil.core import finished
from napari_attmil.explore.shapes import (
    compare_high_cells,
    findings_in_words,
    measure_shapes,
    shape_columns,
)
from napari_attmil.explore.shapes.statistics import SIGNIFICANT
from napari_attmil.images import open_cohort, read_images
from napari_attmil.simulation import SimulationSettings, simulate_cohort

if TYPE_CHECKING:
    from napari_attmil.images import Sample

SHIFT = 2.33
"""Between two normal scores of an area under the ROC curve of 0.95."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=10)
    parser.add_argument("--controls", type=int, default=200, help="Random scores that are tried.")
    parser.add_argument("--look", choices=("unstained", "stained"), default="unstained")
    parser.add_argument("--out", type=Path, default=Path("shapes.json"))
    options = parser.parse_args()
    cells, cells_per_s = measured_cohort(options.patients, options.look)
    found = cells[shape_columns(cells)[0]].notna().mean()
    print(f"{len(cells)} cells, {found:.0%} measured, {cells_per_s:.0f} cells/s")
    rng = np.random.default_rng(0)
    cells["score"] = rng.normal(size=len(cells)) + SHIFT * cells["altered"]
    report: dict[str, object] = {
        "cells": len(cells),
        "measured": float(found),
        "cells_per_s": cells_per_s,
    }
    report["classes"] = {name: compared(cells, name) for name in cells["class"].unique()}
    report["false_findings"] = false_findings(cells[cells["class"] == "healthy"], options.controls)
    print(f"control: {report['false_findings']:.3f} of random scores give a finding")
    options.out.write_text(json.dumps(report, indent=2), "utf-8")


def measured_cohort(patients: int, look: str) -> tuple[pd.DataFrame, float]:
    """Return the true cells of a simulated cohort with their shapes, and cells a second."""
    settings = SimulationSettings.checked(patients_per_class=patients, look=look)
    tables, seconds = [], 0.0
    with TemporaryDirectory() as folder:
        for _ in simulate_cohort(Path(folder), settings):
            pass
        truth = pd.read_csv(Path(folder) / "truth.csv")
        for sample in open_cohort(folder).samples:
            boxes, rows = true_boxes(sample, truth, Path(folder))
            images = list(read_images(sample))  # decoding is not what is measured
            start = time.perf_counter()
            shapes = finished(measure_shapes(images, boxes, sample.pixel_size_um))
            seconds += time.perf_counter() - start
            names = {"sample": sample.name, "patient": sample.patient, "class": sample.label}
            tables.append(shapes.assign(altered=rows["altered"].to_numpy(), **names))
    cells = pd.concat(tables, ignore_index=True)
    return cells, len(cells) / seconds


def true_boxes(sample: Sample, truth: pd.DataFrame, folder: Path) -> tuple[Boxes, pd.DataFrame]:
    """Return the cells that a sample truly has, and their rows of the truth."""
    paths = [frame.path.relative_to(folder).as_posix() for frame in sample.frames]
    rows = truth[truth["image"].isin(paths)]
    image = rows["image"].map({path: index for index, path in enumerate(paths)})
    xyxy = rows[["x_min", "y_min", "x_max", "y_max"]].to_numpy(float)
    return Boxes.from_detections(image.to_numpy(), xyxy, np.ones(len(rows))), rows


def compared(cells: pd.DataFrame, name: str) -> list[dict[str, object]]:
    """Print and return what differs in a class."""
    of_class = cells[cells["class"] == name]
    table = compare_high_cells(of_class, "score", shape_columns(cells))
    for sentence in findings_in_words(table, "score"):
        print(f"{name}: {sentence}")
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def false_findings(healthy: pd.DataFrame, controls: int) -> float:
    """Return how many of the random scores of healthy cells give any finding, 0 to 1."""
    found = 0
    for seed in range(controls):
        scored = healthy.assign(score=np.random.default_rng(seed).normal(size=len(healthy)))
        table = compare_high_cells(scored, "score", shape_columns(healthy), seed=seed)
        found += bool((table["p_corrected"] < SIGNIFICANT).any())
    return found / max(controls, 1)


if __name__ == "__main__":
    main()
