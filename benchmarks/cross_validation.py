"""How long the patient-wise comparison of Table 1's four methods takes.

    python benchmarks/cross_validation.py [--runs 5] [--preset default] [--out cross.json]

100 samples of 100 cells with the random features of `mil_speed.py`, each of a patient of its own,
in three folds. Asked for are 30 minutes for five runs on two cores.
"""

from __future__ import annotations

import time
from typing import Any, get_args

from mil_speed import random_bags
from reporting import parser, report

from napari_attmil.bags import Preset, mil_preset
from napari_attmil.cli.stages import method_names
from napari_attmil.cli.terminal import shown
from napari_attmil.core import choose_device
from napari_attmil.evaluation import EvaluationSettings, cross_validate

FOLDS = 3


def main() -> None:
    """Time a cross-validation of single models."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--samples", type=int, default=100)
    arguments.add_argument("--cells", type=int, default=100, help="a sample")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--preset", choices=get_args(Preset), default="default")
    options = arguments.parse_args()
    bags = random_bags(options.samples, options.cells)
    methods = method_names("table-1")
    plan = EvaluationSettings(folds=FOLDS, runs=options.runs, methods=methods, ensemble=False)
    start = time.perf_counter()
    settings = mil_preset(options.preset)
    if settings.takes_rows:  # the bags hold maps, of which profiles are made
        settings = settings.replace(embedding="profile")
    steps = cross_validate(bags, settings, plan, choose_device(options.device))
    shown(steps, options.preset)
    minutes = (time.perf_counter() - start) / 60
    row: dict[str, Any] = {
        "preset": options.preset,
        "methods": len(methods),
        "folds": FOLDS,
        "runs": options.runs,
        "minutes": minutes,
        "minutes for five runs": minutes / options.runs * 5,
    }
    title = f"Cross-validation of {options.samples} samples of {options.cells} cells"
    report(title, [row], options.out)


if __name__ == "__main__":
    main()
