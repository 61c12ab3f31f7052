"""Which parts of the default pay: each is left out once, on the development cohort.

    python benchmarks/parts.py [--rates 0.05,0.1] [--parts guidance members ...] [--members 20]
        [--folder parts] [--out parts.json]

Planted patients of the cohort "development" (`planted_cells`), the ensemble that people use, three
folds of source images. What is shown is the default less the default without the part, so that a
figure above 0 speaks for it, with 95 % intervals of the difference: patients are resampled within
each class, the same for both (1,000 times). An interval that has 0 in it is no evidence for the
part. Finished trainings are kept in `--folder`: a run that is stopped goes on from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import platformdirs
from planted_cohort import DEVELOPMENT_TYPES, CohortPlan, planted_bags, typed_cells
from reporting import parser, report

from napari_attmil.bags import (
    bootstrap_weights,
    ensemble_preset,
    features_for,
    mil_preset,
    surprise,
    weighted_metrics,
)
from napari_attmil.cells.detection import Detector
from napari_attmil.cli.terminal import shown
from napari_attmil.core import choose_device
from napari_attmil.evaluation import EvaluationSettings, cross_validate

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_attmil.evaluation import Evaluation

    Array = npt.NDArray[np.float64]


class Part(NamedTuple):
    """How the default is without one of its parts: settings of its models, and of the ensemble."""

    models: dict[str, Any]
    ensemble: dict[str, Any]


PARTS: Final[dict[str, Part]] = {
    "several scales": Part({"method": "mil-top-sic"}, {}),
    "top pooling": Part({"method": "mil-att-sic"}, {}),
    "guidance": Part({"guidance": 0}, {}),
    "exclusion": Part({"exclusion": 0}, {}),
    "healthy as the rest": Part({"healthy_is_the_rest": False}, {}),
    "batch effects": Part({"batch_penalty": 0}, {}),
    "composition": Part({}, {"composition": False}),
    "members": Part({}, {"members": 5}),
    "calibration": Part({}, {"calibrate": False, "composition": False}),
    "encoder": Part({"embedding": "profile"}, {}),
    "profiles": Part({"embedding": "encoder"}, {}),
}
"""Top pooling is left for attention, several scales for one; 20 members for 5. Composition needs
calibration, so both go with it."""
DEFAULT: Final = Part({}, {})
REPLICATES: Final = 1000
ENSEMBLE: Final = "ensemble"


def evaluation_of(
    part: Part, rate: float, members: int, cache: Path, folder: Path, detector: Detector
) -> Evaluation:
    """Cross-validate the ensemble with some settings on the cohort of one rate."""
    settings = mil_preset("default", **part.models)
    cells = typed_cells(detector, features_for(settings), cache)
    bags, folds = planted_bags(cells, CohortPlan(types=DEVELOPMENT_TYPES, witness_rate=rate))
    ensemble = ensemble_preset("default", **({"members": members} | part.ensemble))
    plan = EvaluationSettings(runs=1, methods=())
    steps = cross_validate(bags, settings, plan, detector.device, folds, folder, ensemble)
    return shown(steps)


def figures_of(found: Evaluation, weights: Array) -> dict[str, Array]:
    """Return (w,) each figure under (w, n) weights of the samples; lower surprise is better."""
    outcome = found.outcomes[ENSEMBLE]
    truth, shares = [found.classes.index(label) for label in found.labels], outcome.probabilities[0]
    of_samples = weighted_metrics(truth, shares, weights)
    figures = {
        "accuracy": of_samples["accuracy"],
        "AUROC": of_samples["auroc"],
        "- surprise": -(weights @ surprise(truth, shares)) / weights.sum(1),
    }
    for title, name in (("cells AUROC", "instance_auroc"), ("cells AP", "instance_ap")):
        values = outcome.measure("attention", name)[0]
        known = np.isfinite(values)
        figures[title] = weights[:, known] @ values[known] / weights[:, known].sum(1)
    return figures


def difference(default: Evaluation, without: Evaluation) -> dict[str, str]:
    """Return each figure of the default less that without a part, with its paired interval."""
    assert default.samples == without.samples
    drawn = bootstrap_weights(default.patients, default.labels, REPLICATES, seed=0)
    weights = np.concatenate([np.ones((1, len(default.samples))), drawn])
    both = (figures_of(default, weights), figures_of(without, weights))
    found = {}
    for name, values in both[0].items():
        less = values - both[1][name]
        low, high = np.percentile(less[1:], (2.5, 97.5))
        found[name] = f"{less[0]:+.3f} ({low:+.3f} to {high:+.3f})"
    return found


def main() -> None:
    """Evaluate the default and each part left out, at each rate, and print the differences."""
    arguments = parser(__doc__.splitlines()[0])
    cache = platformdirs.user_cache_path("napari-attmil") / "planted"
    arguments.add_argument("--rates", default="0.05,0.1", help="shares of altered cells")
    arguments.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    arguments.add_argument("--members", type=int, default=ensemble_preset("default").members)
    arguments.add_argument("--cache", type=Path, default=cache)
    arguments.add_argument("--folder", type=Path, default=cache / "parts")
    asked = arguments.parse_args()
    detector = Detector.load(None, choose_device(asked.device))
    rows = []
    for rate in map(float, asked.rates.split(",")):
        at = (rate, asked.members, asked.cache)
        default = evaluation_of(DEFAULT, *at, asked.folder / f"{rate:g} default", detector)
        whole = figures_of(default, np.ones((1, len(default.samples))))
        found = {name: f"{values[0]:.3f}" for name, values in whole.items()}
        rows.append({"rate": rate, "part": "the default itself"} | found)
        for name in asked.parts:
            without = evaluation_of(PARTS[name], *at, asked.folder / f"{rate:g} {name}", detector)
            rows.append({"rate": rate, "part": name} | difference(default, without))
            print(rows[-1], flush=True)
    title = f"Default less the default without a part, detector {detector.digest[:12]}"
    report(title, rows, asked.out)


if __name__ == "__main__":
    main()
