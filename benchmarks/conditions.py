"""Whole images are labelled: control, crenated, dead. Each has a focus and a light of its own.

    python benchmarks/conditions.py [--images 10] [--seeds 3] [--altered half] [--settings mean]

Simulated unstained fields of some 55 cells. Control has a few crenated cells and ghosts too; the
other two have more of theirs: most cells, or half, or a third. With ten images a class a classifier
can tell the images that it has learnt from apart by how they were taken. Beside the default, the
ensemble with a model of the composition, stand what it consists of, its settings without what is
there against batch effects, and other ways of pooling. What is there against them was found, and
how strong it is chosen, on the cohorts of the seeds 0 to 2; the composition on those of 10 to 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from cohort_figures import ENSEMBLE, TOP, mean_of
from planted_cohort import FOLDS, match_centres
from reporting import parser, report

from napari_attmil.bags import Bag, MILSettings, feature_reader, features_for
from napari_attmil.cells import median_diameter_px
from napari_attmil.cells.detection import Detector
from napari_attmil.core import choose_device
from napari_attmil.simulation import SimulationSettings, draw_appearance, simulate_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_attmil.bags import Method
    from napari_attmil.simulation import Appearance

FIELD: Final = SimulationSettings(image_size_px=562, cell_diameter_px=50)
CELLS: Final = (45, 60)
TYPES: Final = ("discocyte", "echinocyte", "ghost")
SHARES: Final[dict[str, dict[str, tuple[float, float, float]]]] = {
    "most cells": {
        "control": (0.97, 0.02, 0.01),
        "crenated": (0.20, 0.78, 0.02),
        "dead": (0.25, 0.05, 0.70),
    },
    "half": {
        "control": (0.88, 0.08, 0.04),
        "crenated": (0.50, 0.45, 0.05),
        "dead": (0.50, 0.12, 0.38),
    },
    "a third": {
        "control": (0.80, 0.12, 0.08),
        "crenated": (0.62, 0.30, 0.08),
        "dead": (0.62, 0.13, 0.25),
    },
}
"""Of discocytes, echinocytes and ghosts in each class."""
VARIANTS: Final[dict[str, tuple[Method | Literal["ensemble"], dict[str, Any]]]] = {
    "ensemble, the default": (ENSEMBLE, {}),
    "multi-scale top": (TOP, {}),
    "multi-scale top, without batch effects scaled down": (TOP, {"batch_penalty": 0}),
    "composition": ("composition", {}),
    "attention": ("mil-att-sic", {}),
    "attention, without batch effects scaled down": ("mil-att-sic", {"batch_penalty": 0}),
    "mean": ("mil-mean-sic", {}),
    "mean, without batch effects scaled down": ("mil-mean-sic", {"batch_penalty": 0}),
}


def bag_of_field(
    detector: Detector,
    label: str,
    number: int,
    altered: str,
    seed: int,
    taken: Callable[[Appearance], Appearance] = lambda appearance: appearance,
) -> Bag:
    """Return the cells of one simulated image, as the detector finds them.

    `taken` changes how it was taken: focus, light and camera.
    """
    rng = np.random.default_rng([seed, list(SHARES[altered]).index(label), number, 11])
    types = rng.choice(TYPES, int(rng.uniform(*CELLS)), p=SHARES[altered][label])
    appearance = taken(draw_appearance(FIELD.look, FIELD.variety, rng))
    field = simulate_image(FIELD, rng, types.tolist(), appearance)
    boxes = detector.detect([field.image])
    reader = feature_reader(detector, features_for(MILSettings()))
    features = reader.read(field.image, boxes.xyxy, median_diameter_px(boxes.xyxy))
    centres = field.xyxy.reshape(-1, 2, 2).mean(1)
    box, cell = match_centres(boxes.xyxy, centres.astype(np.float64)).T
    is_altered = np.zeros(len(boxes), dtype=bool)
    is_altered[box] = field.cell_type[cell] != TYPES[0]
    name = f"{label}-{number}"
    return Bag(features, boxes.cell_id, name, name, label, altered=is_altered)


def main() -> None:
    """Cross-validate each share of altered cells with each of the settings."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--images", type=int, default=10, help="of each class")
    arguments.add_argument("--seeds", type=int, default=3, help="cohorts of each kind")
    arguments.add_argument("--seed", type=int, default=0, help="of the first")
    arguments.add_argument("--altered", nargs="*", choices=SHARES, default=list(SHARES))
    arguments.add_argument("--settings", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    asked = arguments.parse_args()
    device = choose_device(asked.device)
    detector = Detector.load(None, device)
    folds = np.tile(np.arange(asked.images) % FOLDS, len(SHARES["half"]))
    rows = []
    for altered in asked.altered:
        cohorts = [
            [
                bag_of_field(detector, label, number, altered, seed)
                for label in SHARES[altered]
                for number in range(asked.images)
            ]
            for seed in range(asked.seed, asked.seed + asked.seeds)
        ]
        for name in asked.settings:
            method, changes = VARIANTS[name]
            found = mean_of([(bags, folds) for bags in cohorts], method, changes, device)
            rows.append({"altered": altered, "settings": name} | found)
            print(rows[-1], flush=True)
    title = f"Conditions, {asked.images} images a class, {asked.seeds} cohorts"
    report(title, rows, asked.out)


if __name__ == "__main__":
    main()
