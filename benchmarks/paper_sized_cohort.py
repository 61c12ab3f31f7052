"""What the paper's cohort takes at its real size: the default trained and calibrated.

    python benchmarks/paper_sized_cohort.py --folder folder [--members 20] [--out figures.json]

Asked for: at most 15 minutes on two cores. 59 patients, 351 samples and 84,000 cells in the classes
of the paper (`shared/METHOD.md`), with simulated features. A run that is stopped goes on where it
stood when it is called again with the same folder; the time of all runs is added up.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from reporting import Measured, parser, report
from simulated_bags import simulated_bags

from napari_attmil.bags import EnsembleSettings, MILSettings
from napari_attmil.bags.training import EnsembleTrainer
from napari_attmil.core import choose_device

if TYPE_CHECKING:
    from napari_attmil.bags import Classifier

PATIENTS_AND_SAMPLES = {
    "healthy": (26, 137),
    "sickle cell": (9, 56),
    "thalassemia": (3, 25),
    "xerocytosis": (8, 44),
    "spherocytosis": (13, 89),
}
CELLS = 84_000
TELL_EVERY_S = 60.0


def paper_cohort() -> dict[str, list[list[int]]]:
    """Return how many cells each sample has: 4 to 12 images of 12 to 45 cells, scaled to all."""
    rng = np.random.default_rng(2)
    samples = sum(samples for _, samples in PATIENTS_AND_SAMPLES.values())
    drawn = rng.integers(4, 13, samples) * rng.uniform(12, 45, samples)
    ends = np.round(np.cumsum(drawn) / drawn.sum() * CELLS).astype(int)
    counts = iter(np.diff(ends, prepend=0).tolist())
    return {
        label: [[next(counts) for _ in range(len(own))] for own in _parts(samples, patients)]
        for label, (patients, samples) in PATIENTS_AND_SAMPLES.items()
    }


def _parts(samples: int, patients: int) -> list[range]:
    """Return the samples of a class, shared out evenly among its patients."""
    return [range(first, samples, patients) for first in range(patients)]


def trained(folder: Path, members: int, device_name: str) -> tuple[Classifier, dict[str, Any]]:
    """Train, or go on training, and return what all runs together have taken."""
    spent_file = folder / "spent.json"
    spent = {"wall s": 0.0, "processor s": 0.0, "runs": 0, "peak MiB": 0.0}
    if spent_file.exists():
        spent = json.loads(spent_file.read_text("utf-8"))
    bags = simulated_bags(paper_cohort())
    assert len(bags) == 351 and sum(map(len, bags)) == CELLS
    with Measured() as measured:
        start, used, told = time.perf_counter(), time.process_time(), time.perf_counter()

        def so_far() -> dict[str, Any]:
            return {
                "wall s": spent["wall s"] + time.perf_counter() - start,
                "processor s": spent["processor s"] + time.process_time() - used,
                "runs": spent["runs"] + 1,
                "peak MiB": spent["peak MiB"],
            }

        trainer = EnsembleTrainer(
            bags,
            MILSettings(),
            EnsembleSettings(members=members),
            choose_device(device_name),
            state_folder=folder / "unfinished",
        )
        for step in trainer.epochs():
            if time.perf_counter() - told > TELL_EVERY_S:
                told = time.perf_counter()
                spent_file.write_text(json.dumps(so_far()), "utf-8")
                print(f"{step.title}, pass {step.epoch.done}: {step.done} of {step.total}")
        total = so_far()
    total["peak MiB"] = max(spent["peak MiB"], measured.peak_mib)
    if measured.peak_gpu_mib:
        total["GPU MiB"] = measured.peak_gpu_mib
    spent_file.write_text(json.dumps(total), "utf-8")
    return trainer.best, total


def main() -> None:
    """Train, and print one row."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--folder", type=Path, required=True, help="for unfinished trainings")
    arguments.add_argument("--members", type=int, default=EnsembleSettings().members)
    asked = arguments.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    classifier, total = trained(asked.folder, asked.members, asked.device)
    row = {"models": len(classifier.models), "calibrated": classifier.certainty.is_calibrated}
    title = f"The paper's cohort: 59 patients, 351 samples, {CELLS} cells, simulated features"
    report(title, [row | total], asked.out)


if __name__ == "__main__":
    main()
