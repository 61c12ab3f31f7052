"""Patients whose every cell is known: is the disease named, and are its cells found.

    python benchmarks/planted_cells.py [--rates 0.02,0.05,0.1,0.2] [--preset paper]
        [--methods table-1|all|names] [--runs 5] [--draws 1] [--cohort standard|development]
        [--workers 2] [--out folder] [--change weight_decay=1e-5 guidance=0]

Real, typed cells of Chula RBC-12 (`planted_cohort`), found by the shipped detector. Methods and
settings were chosen on the cohort "development", whose diseases are other types of cells; the
cohort "standard" is what is reported. Source images are split into the three folds first. With a
detector that finds a few cells more the patients are drawn otherwise: `--draws` gives means over
several cohorts. An evaluation that is stopped goes on where it stood when it is called again with
the same `--out`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pandas as pd
import platformdirs
from planted_cohort import DEVELOPMENT_TYPES, STANDARD_TYPES, CohortPlan, planted_bags, typed_cells
from reporting import parser, report

from napari_attmil.bags import EnsembleSettings, Preset, features_for, mil_preset
from napari_attmil.cells.detection import Detector
from napari_attmil.cli.stages import method_names
from napari_attmil.cli.terminal import shown
from napari_attmil.core import Workers, choose_device
from napari_attmil.evaluation import EvaluationSettings, cross_validate, write_report

if TYPE_CHECKING:
    import argparse

    from napari_attmil.core import Device

COHORTS = {"standard": STANDARD_TYPES, "development": DEVELOPMENT_TYPES}


def options() -> argparse.Namespace:
    """Return what the person asks for."""
    arguments = parser(__doc__.splitlines()[0])
    cache = platformdirs.user_cache_path("napari-attmil") / "planted"
    arguments.set_defaults(out=cache / "results")
    arguments.add_argument("--cohort", choices=COHORTS, default="standard")
    arguments.add_argument("--rates", default="0.1", help="shares of altered cells, with commas")
    arguments.add_argument("--preset", choices=get_args(Preset), default="default")
    arguments.add_argument("--methods", default="table-1")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--draws", type=int, default=1, help="cohorts, drawn with other seeds")
    members = EnsembleSettings().members
    arguments.add_argument("--members", type=int, default=members, help="of the ensemble; 0: none")
    arguments.add_argument("--change", nargs="*", default=[], help="settings, as name=value")
    arguments.add_argument("--controls", action="store_true")
    arguments.add_argument("--cache", type=Path, default=cache)
    arguments.add_argument("--workers", type=int, default=1, help="processes that train")
    return arguments.parse_args()


def evaluate(rate: float, draw: int, asked: argparse.Namespace, device: Device) -> dict[str, Any]:
    """Cross-validate on one cohort, write the report and return it."""
    plan = CohortPlan(types=COHORTS[asked.cohort], witness_rate=rate, seed=draw)
    settings = mil_preset(asked.preset, **dict(change.split("=") for change in asked.change))
    cells = typed_cells(Detector.load(None, device), features_for(settings), asked.cache)
    bags, folds = planted_bags(cells, plan)
    name = f"{asked.cohort}-{rate:g}-{asked.preset}" + (f"-{draw}" if draw else "")
    steps = cross_validate(
        bags,
        settings,
        EvaluationSettings(
            runs=asked.runs,
            methods=method_names(asked.methods),
            ensemble=asked.members > 0,
            controls=asked.controls,
        ),
        device,
        folds,
        asked.out / name / "trials",
        EnsembleSettings(members=max(asked.members, 1)),
        Workers(asked.workers),
    )
    result = shown(steps, name)
    notes = [
        f"Planted cohort '{asked.cohort}': {len(cells)} of {cells.labelled} typed cells of Chula "
        f"RBC-12 were found by the detector; {plan}. Folds are of source images; the runs differ "
        "by seed only.",
    ]
    return write_report(result, asked.out / name, notes)


def row_of(rate: float, figures: dict[str, Any]) -> dict[str, Any]:
    """Return the main figures of one row of a report."""
    attention = figures["attribution"]["attention"]
    return {
        "rate": rate,
        "method": figures["title"],
        "accuracy": mean(figures["accuracy"]),
        "F1": mean(figures["f1_weighted"]),
        "AUROC": mean(figures["auroc"]),
        "instance AUROC": mean(attention["instance_auroc"]),
        "instance AP": mean(attention["instance_ap"]),
        "s/epoch": figures["seconds_an_epoch"],
        "total s": figures["seconds"],
    }


def mean(figure: dict[str, Any] | None) -> float:
    """Return a figure's mean over runs, NaN if there is none."""
    return float("nan") if figure is None else float(figure["mean"])


def main() -> None:
    """Evaluate at each rate and print one table."""
    asked = options()
    device = choose_device(asked.device)
    rows = []
    for rate in map(float, asked.rates.split(",")):
        for draw in range(asked.draws):
            found = evaluate(rate, draw, asked, device)
            of_draw = [row_of(rate, figures) for figures in found["methods"].values()]
            rows += [{"draw": draw} | row for row in of_draw]
    title = f"Planted cells, cohort {asked.cohort}, preset {asked.preset}, {asked.runs} runs"
    report(title, rows, asked.out / f"{asked.cohort}-{asked.preset}.json")
    if asked.draws > 1:
        means = pd.DataFrame(rows).groupby(["rate", "method"], as_index=False, sort=False)
        for title, table in (("Means over draws", means.mean()), ("Deviations", means.std())):
            shown_table = table.drop(columns="draw")
            names = list(map(str, shown_table.columns))
            values = shown_table.to_numpy()
            report(title, [dict(zip(names, row, strict=True)) for row in values], None)


if __name__ == "__main__":
    main()
