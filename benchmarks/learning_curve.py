"""How many patients of a class, and how many cells of a sample, are enough.

    python benchmarks/learning_curve.py [--patients 4,8,16,32] [--cells 25,50,100,200]
        [--rates 0.1,0.05] [--cohort standard|development] [--out curve.json]

Planted cohorts (`planted_cohort`): healthy and four diseases, real cells of Chula RBC-12, one
sample a patient. Single models of the default settings learn from the first patients of two
thirds of the source images, and are tested on 16 patients a class from the other third, which are
the same for every number of patients. Patients vary at 100 cells a sample, cells at 16 patients a
class; models learn from and are tested on samples of as many cells. Patients of a third draw their
cells from the same images, so that 32 of them show less variety than 32 real ones would. A row is
written as soon as it is there; a run that was stopped goes on with the same `--out`.
"""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import platformdirs
from answers import TYPES, figures, trained
from planted_cohort import FOLDS, CohortPlan, TypedCells, planted_bags, typed_cells
from reporting import keep_rows, kept_rows, parser, report
from scipy.stats import binomtest

from napari_attmil.bags import JudgedCells, features_for, mil_preset
from napari_attmil.cells.detection import Detector
from napari_attmil.core import choose_device

if TYPE_CHECKING:
    import argparse

    from napari_attmil.bags import MILSettings
    from napari_attmil.core import Device

TESTED: Final = 16
"""Patients of a class that are tested, in each of the three folds."""
MIDDLE: Final = {"patients": 16, "cells": 100}
"""What stays while the other number varies."""


def rows_of_plan(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Return each rate, number of patients and number of cells that is asked for, once."""
    pairs = [(patients, MIDDLE["cells"]) for patients in asked.patients]
    pairs += [(MIDDLE["patients"], cells) for cells in asked.cells]
    return [
        {"altered": rate, "patients": patients, "cells": cells}
        for rate, (patients, cells) in product(asked.rates, dict.fromkeys(pairs))
    ]


def judged(
    cells: TypedCells, row: dict[str, Any], asked: argparse.Namespace, device: Device
) -> dict[str, Any]:
    """Train on some patients of two folds, test on all of the third, for each fold."""
    in_fold = max(TESTED, -(-row["patients"] // (FOLDS - 1)))
    plan = CohortPlan(
        types=TYPES[asked.cohort],
        witness_rate=row["altered"],
        patients=FOLDS * in_fold,
        samples=1,
        fewest=row["cells"],
        most=row["cells"],
    )
    bags, folds = planted_bags(cells, plan)
    place = np.arange(len(bags)) % plan.patients // FOLDS  # of a patient in its class and fold
    classes = sorted({bag.label or "" for bag in bags})
    settings: MILSettings = mil_preset("default")
    tested = np.flatnonzero(place < TESTED)
    shares, scores = np.empty((len(bags), len(classes))), [np.empty(0)] * len(bags)
    for fold in range(FOLDS):
        learns = (folds != fold) & (place < row["patients"] / (FOLDS - 1))
        train = [bag for bag, is_learnt in zip(bags, learns, strict=True) if is_learnt]
        classifier = trained(train, settings.replace(seed=fold), 1, classes, device)
        for number in tested[folds[tested] == fold]:
            shares[number] = classifier.classify(bags[number]).probabilities
            scores[number] = JudgedCells.of(classifier, bags[number]).score
    named = [classes[best] for best in shares[tested].argmax(axis=1)]
    right = sum(bags[number].label == name for number, name in zip(tested, named, strict=True))
    interval = binomtest(right, len(tested)).proportion_ci(method="wilson")
    found = figures(
        [bags[number] for number in tested],
        classes,
        shares[tested],
        [scores[number] for number in tested],
    )
    return {"accuracy": right / len(tested), "low": interval.low, "high": interval.high} | found


def options() -> argparse.Namespace:
    """Return what the person asks for."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--patients", default="4,8,16,32", help="of a class to learn from")
    arguments.add_argument("--cells", default="25,50,100,200", help="of each sample")
    arguments.add_argument("--rates", default="0.1,0.05", help="shares of altered cells")
    arguments.add_argument("--cohort", choices=TYPES, default="standard")
    cache = platformdirs.user_cache_path("napari-attmil") / "planted"
    arguments.add_argument("--cache", type=Path, default=cache, help="of the cells' features")
    asked = arguments.parse_args()
    asked.patients = [int(number) for number in asked.patients.split(",")]
    asked.cells = [int(number) for number in asked.cells.split(",")]
    asked.rates = [float(rate) for rate in asked.rates.split(",")]
    return asked


def main() -> None:
    """Judge each row of the plan, and print one table."""
    asked = options()
    device = choose_device(asked.device)
    features = features_for(mil_preset("default"))
    cells = typed_cells(Detector.load(None, device), features, asked.cache)
    rows = [row for row in kept_rows(asked.out) if row["cohort"] == asked.cohort]
    for row in rows_of_plan(asked):
        if any(row.items() <= one.items() for one in rows):
            continue
        start = time.perf_counter()
        found = judged(cells, row, asked, device)
        seconds = time.perf_counter() - start
        rows.append({"cohort": asked.cohort} | row | found | {"seconds": seconds})
        keep_rows(rows, asked.out)
        print(rows[-1], flush=True)
    report(f"Learning curve, cohort {asked.cohort}, single models", rows, asked.out)


if __name__ == "__main__":
    main()
