"""Do the cells that a classifier attends to look as the disease's do, and healthy ones like others.

    python benchmarks/shape_claims.py [--cohort simulated|planted] [--patients 12] [--members 5]

The whole way is gone: cells are found by the shipped detector, an ensemble is trained on two folds
of patients and classifies the third, so that every cell has the attention of models that have not
seen its patient; then cells are measured, and those with high attention compared with the others
of their sample, patients as the unit. The control has healthy patients only: half of them are
called another class, so that there is nothing to be learnt. What counts is what goes beyond the
healthy patients' cells with high attention. Prints a table and writes JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import platformdirs
from planted_cohort import FOLDS, HEALTHY, CohortPlan, planted_draws, typed_cells, typed_shapes
from reporting import parser, report

from napari_attmil.bags import EnsembleSettings, MILSettings, features_for, mil_preset
from napari_attmil.bags.training import EnsembleTrainer
from napari_attmil.cells import DetectionSettings
from napari_attmil.cells.detection import Detector
from napari_attmil.cli.terminal import shown
from napari_attmil.core import choose_device, finished
from napari_attmil.explore.shapes import compare_high_cells, healthy_cells, measure_shapes
from napari_attmil.explore.shapes.morphology import FEATURES, without_unit
from napari_attmil.explore.shapes.statistics import SIGNIFICANT
from napari_attmil.images import open_cohort, read_images
from napari_attmil.simulation import SimulationSettings, simulate_cohort
from napari_attmil.workflows import Study, prepare_bags

if TYPE_CHECKING:
    import argparse

    from napari_attmil.bags import Bag
    from napari_attmil.core import Device
    from napari_attmil.images import Sample

SIMULATED: Final = ("healthy", "sickle", "spherocytosis")
CONTROL: Final = "control"
PLANTED: Final = ("spherocyte", "elliptocyte", "target")
DEFINING: Final = {
    "sickle": {"elongation", "circularity", "solidity"},
    "spherocytosis": {"equivalent_diameter", "area", "central_pallor"},
    "spherocyte": {"equivalent_diameter", "area", "central_pallor"},
    "elliptocyte": {"elongation", "circularity"},
    "target": {"central_pallor"},
}
"""By which of the measures a class's own cells are told, each of them enough."""
SEEN = features_for(MILSettings())
"""What the default classifier sees of a cell."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A sample, the shapes of its cells in its order, and the fold that it is classified in."""

    bag: Bag
    shapes: pd.DataFrame
    fold: int


def main() -> None:
    """Compare class by class, then the control."""
    asked = options()
    device = choose_device(asked.device)
    detector = Detector.load(None, device)
    load = simulated if asked.cohort == "simulated" else planted
    samples = load(detector, asked.patients)
    cells = with_attention(samples, asked, device)
    rows = [compared(cells, name) for name in sorted(cells["class"].unique()) if name != HEALTHY]
    healthy = [sample for sample in samples if sample.bag.label == HEALTHY]
    rows.append(compared(with_attention(renamed(healthy), asked, device), CONTROL))
    title = (
        f"Shapes of cells with high attention, {asked.cohort}, {asked.patients} patients a class"
    )
    report(title, rows, asked.out)


def options() -> argparse.Namespace:
    """Return what the person asks for."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.set_defaults(out=Path("shape_claims.json"))
    arguments.add_argument("--cohort", choices=("simulated", "planted"), default="simulated")
    arguments.add_argument("--patients", type=int, default=12, help="of a class")
    arguments.add_argument("--members", type=int, default=5, help="models of an ensemble")
    return arguments.parse_args()


def simulated(detector: Detector, patients: int) -> list[Measured]:
    """Return a simulated cohort, its cells found and measured."""
    settings = SimulationSettings.checked(
        patients_per_class=patients, classes=SIMULATED, samples_per_patient=1, images_per_sample=3
    )
    samples: list[Measured] = []
    with TemporaryDirectory() as folder:
        for _ in simulate_cohort(Path(folder), settings):
            pass
        cohort = open_cohort(folder)
        by_name = {sample.name: sample for sample in cohort.samples}
        steps = prepare_bags(Study.of(cohort), detector, DetectionSettings(), SEEN)
        for bag in shown(steps):
            samples.append(measured(by_name[bag.sample], bag, len(samples) % FOLDS))
    return samples


def measured(sample: Sample, bag: Bag, fold: int) -> Measured:
    """Return a sample with the shapes of its cells."""
    assert bag.boxes is not None  # those of a cohort have them
    shapes = finished(measure_shapes(read_images(sample), bag.boxes, sample.pixel_size_um))
    in_memory = replace(bag, features=np.array(bag.features))  # the folder will be gone
    return Measured(in_memory, shapes, fold)


def planted(detector: Detector, patients: int) -> list[Measured]:
    """Return patients made of real, typed cells (Chula RBC-12), their cells measured."""
    cache = platformdirs.user_cache_path("napari-attmil") / "planted"
    cells = typed_cells(detector, SEEN, cache)
    shapes = typed_shapes(cells, detector, cache)
    plan = CohortPlan(types=PLANTED, patients=patients)
    return [
        Measured(bag, shapes.iloc[rows].reset_index(drop=True), fold)
        for bag, fold, rows in planted_draws(cells, plan)
    ]


def renamed(healthy: list[Measured]) -> list[Measured]:
    """Return healthy samples of which every second patient's are of another class by name."""
    patients = sorted({sample.bag.patient for sample in healthy})
    names = {patient: (HEALTHY, CONTROL)[place % 2] for place, patient in enumerate(patients)}
    return [
        replace(sample, bag=replace(sample.bag, label=names[sample.bag.patient]))
        for sample in healthy
    ]


def with_attention(
    samples: list[Measured], asked: argparse.Namespace, device: Device
) -> pd.DataFrame:
    """Return all cells with the attention of models that have not seen their patients."""
    ensemble = EnsembleSettings(members=asked.members, calibrate=False)
    tables: list[pd.DataFrame] = []
    for fold in range(FOLDS):
        learnt = [sample.bag for sample in samples if sample.fold != fold]
        trainer = EnsembleTrainer(learnt, mil_preset("default"), ensemble, device)
        shown(trainer.epochs(), f"Training without fold {fold + 1} of {FOLDS}")
        classifier = trainer.best
        for sample in samples:
            if sample.fold == fold:
                bag = sample.bag
                told = {"sample": bag.sample, "patient": bag.patient, "class": bag.label}
                attention = classifier.classify(bag).attention
                tables.append(sample.shapes.assign(attention=attention, **told))
    return pd.concat(tables, ignore_index=True)


def compared(cells: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return which features differ in a class, and whether those do that define it."""
    of_class = cells[cells["class"] == name]
    columns = [column for column in of_class if without_unit(str(column)) in FEATURES]
    healthy = healthy_cells(cells, name, "attention")
    table = compare_high_cells(of_class, "attention", list(map(str, columns)), healthy)
    found = table[table["is_found"]].to_dict("records")
    words = [
        f"{without_unit(row['feature'])} {row['effect']:+.2f} ({row['healthy']:+.2f})"
        for row in found
    ]
    also_healthy = (table["p_corrected"] < SIGNIFICANT) & ~table["is_found"]
    features = {without_unit(row["feature"]) for row in found}
    expected = not features if name == CONTROL else bool(features & DEFINING[name])
    return {
        "class": name,
        "patients": of_class["patient"].nunique(),
        "cells": len(of_class),
        "differs in (healthy)": ", ".join(words) or "nothing",
        "as in health": ", ".join(map(without_unit, table.loc[also_healthy, "feature"])),
        "smallest p": float(table["p_healthy"].min()),
        "as expected": "yes" if expected else "no",
    }


if __name__ == "__main__":
    main()
