"""Trained on images taken one way, tested on images taken another way: what is lost.

    python benchmarks/shifted_cohort.py [--images 0] [--fields 10] [--seeds 3]
        [--cohorts planted unstained] [--features combined profile encoder]

Planted: the standard cohort of real, typed cells (Chula RBC-12; `planted_cohort`), 10 % altered.
Two thirds of the source images are learnt from as they are; the others are tested as they are, and
once more with each fixed change of look. Unstained: simulated fields of `conditions`, half of the
cells altered, all learnt from on one side of the focus, and tested there, on the other side, and
with other changes. The same cells are in every test of a seed, except those that are not found
there. A seed is of the draw of the cohort and of a single model of the default's method. Beside the
default's features stand its two parts alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import platformdirs
from conditions import SHARES, bag_of_field
from planted_cohort import (
    CHULA,
    FOLDS,
    HEALTHY,
    NORMAL,
    STANDARD_TYPES,
    CohortPlan,
    TypedCells,
    bag_of_rows,
    draw_rows,
    typed_cells,
)
from reporting import parser, report
from scipy.ndimage import gaussian_filter
from skimage import io
from sklearn.model_selection import StratifiedGroupKFold

from napari_attmil.bags import (
    EnsembleSettings,
    features_for,
    mil_preset,
    weighted_metrics,
)
from napari_attmil.bags.attribution import instance_ranking
from napari_attmil.bags.training import EnsembleTrainer
from napari_attmil.cells import FeatureSettings
from napari_attmil.cells.detection import Detector
from napari_attmil.core import choose_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_attmil.bags import Bag, Classifier
    from napari_attmil.core import Device
    from napari_attmil.simulation import Appearance

    Pixels = npt.NDArray[np.float64]

AS_LEARNT: Final = "as learnt"
LOOKS: Final[dict[str, Callable[[Pixels], Pixels]]] = {
    AS_LEARNT: lambda image: image,
    "darker": lambda image: 0.6 * image,
    "half the contrast": lambda image: image.mean() + 0.5 * (image - image.mean()),
    "other gain": lambda image: image * (0.75, 1.0, 1.2),
    "gamma 1.8": lambda image: 255 * (image / 255) ** 1.8,
    "blurred": lambda image: gaussian_filter(image, (1.5, 1.5, 0)),
}
"""Fixed changes of (h, w, 3) pixels, 0 to 255. The gain is of red, green and blue."""
TAKEN: Final[dict[str, Callable[[Appearance], Appearance]]] = {
    AS_LEARNT: lambda a: replace(a, defocus_um=abs(a.defocus_um)),
    "other side of the focus": lambda a: replace(a, defocus_um=-abs(a.defocus_um)),
    "nearly in focus": lambda a: replace(a, defocus_um=0.3 * abs(a.defocus_um)),
    "half the contrast": lambda a: replace(
        a, defocus_um=abs(a.defocus_um), contrast=0.5 * a.contrast
    ),
    "blurred": lambda a: replace(a, defocus_um=abs(a.defocus_um), blur_px=2 * a.blur_px + 1),
}
"""How fields are taken; focus, light and noise differ from one to the next as in `conditions`."""
PARTS: Final[dict[str, slice]] = {
    "combined": slice(None),
    "profile": slice(11),
    "encoder": slice(11, None),
}
"""Rows of the default's features that an embedding sees."""
KEPT: Final = {"profile": "profile", "encoder": "vector"}


def tables(images: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the labelled cells of the images that are learnt from, and of those tested.

    Parameters
    ----------
    images
        Only about so many, those with most cells of each type; 0 for all.
    """
    labels = pd.read_csv(CHULA / "cells.csv")
    labels = labels[labels["cell_type"].isin([NORMAL, *STANDARD_TYPES])]
    if images:
        counts = labels.groupby(["cell_type", "image"]).size().sort_values(ascending=False)
        each = images // labels["cell_type"].nunique()
        chosen = counts.groupby("cell_type").head(each).index.get_level_values("image")
        labels = labels[labels["image"].isin(chosen)]
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    learnt, tested = next(splitter.split(labels, labels["cell_type"], labels["image"]))
    return labels.iloc[learnt], labels.iloc[tested]


def cells_of(labels: pd.DataFrame, look: str, detector: Detector, cache: Path) -> TypedCells:
    """Return typed cells of images after a change of look, found and read in these."""
    folder = cache / look.replace(" ", "-")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name in labels["image"].unique():
        path = folder / "images" / str(name)
        if not path.exists():
            image = io.imread(CHULA / "images" / str(name))[..., :3].astype(float)
            changed = LOOKS[look](image).clip(0, 255).round().astype(np.uint8)
            io.imsave(path, changed, check_contrast=False)
    labels.to_csv(folder / "cells.csv", index=False)
    return typed_cells(detector, features_for(mil_preset("default")), folder, folder)


def planted(cells: TypedCells, patients: int, seed: int) -> list[Bag]:
    """Return a cohort drawn from all of some cells; the seed decides which places are altered."""
    plan, rng = CohortPlan(patients=patients), np.random.default_rng(seed)
    everywhere = np.ones(len(cells), dtype=bool)
    return [
        bag_of_rows(
            cells,
            draw_rows(cells, everywhere, label, plan, rng),
            f"{label}-{patient}",
            number,
            label,
        )
        for label in (HEALTHY, *plan.types)
        for patient in range(patients)
        for number in range(plan.samples)
    ]


def planted_cohorts(
    detector: Detector, images: int, seeds: int, cache: Path
) -> Iterator[tuple[list[Bag], dict[str, list[Bag]]]]:
    """Yield for each seed the samples that are learnt from, and those tested, by look."""
    learnt, tested = tables(images)
    known = cells_of(learnt, AS_LEARNT, detector, cache / "learnt")
    unknown = {look: cells_of(tested, look, detector, cache / "tested") for look in LOOKS}
    for look, cells in unknown.items():
        print(f"{look}: {len(cells)} of {cells.labelled} typed cells found", flush=True)
    for seed in range(seeds):
        tests = {look: planted(cells, 8, 100 + seed) for look, cells in unknown.items()}
        yield planted(known, 12, seed), tests


def unstained_cohorts(
    detector: Detector, each: int, seeds: int
) -> Iterator[tuple[list[Bag], dict[str, list[Bag]]]]:
    """Yield as `planted_cohorts` does; `each` fields of a class are learnt from, as many tested."""

    def fields(start: int, seed: int, taken: str) -> list[Bag]:
        return [
            bag_of_field(detector, label, number, "half", seed, TAKEN[taken])
            for label in SHARES["half"]
            for number in range(start, start + each)
        ]

    for seed in range(20, 20 + seeds):
        tests = {taken: fields(each, seed, taken) for taken in TAKEN}
        yield fields(0, seed, AS_LEARNT), tests


def seen_as(bags: list[Bag], embedding: str) -> list[Bag]:
    """Return the samples with the part of their features that an embedding sees."""
    if embedding == "combined":
        return bags
    settings = FeatureSettings(kept=KEPT[embedding])
    return [
        replace(bag, features=bag.features[:, :, PARTS[embedding]], feature_settings=settings)
        for bag in bags
    ]


def trained(bags: list[Bag], embedding: str, seed: int, device: Device) -> Classifier:
    """Return a single model of the default's method, trained on all of some samples."""
    settings = mil_preset("default", embedding=embedding, seed=seed)
    alone = EnsembleSettings(members=1, calibrate=False, composition=False)
    trainer = EnsembleTrainer(seen_as(bags, embedding), settings, alone, device)
    for _ in trainer.epochs():
        pass
    return trainer.best


def figures(classifier: Classifier, bags: list[Bag]) -> dict[str, float]:
    """Return how well a classifier names the classes of samples, and finds the altered cells."""
    said = [classifier.classify(bag) for bag in bags]
    truth = [classifier.classes.index(bag.label or "") for bag in bags]
    shares = np.stack([one.probabilities for one in said])
    of_samples = weighted_metrics(truth, shares, np.ones((1, len(bags))))
    ranked = [
        instance_ranking(one.attention, bag.altered) for one, bag in zip(said, bags, strict=True)
    ]
    diseased = np.array([bag.label != classifier.healthy_class for bag in bags])
    of_cells = np.nanmean(np.array(ranked)[diseased], axis=0)
    return {
        "accuracy": float(of_samples["accuracy"][0]),
        "AUROC": float(of_samples["auroc"][0]),
        "cells AUROC": float(of_cells[0]),
        "cells AP": float(of_cells[1]),
    }


def main() -> None:
    """Train once for each seed and embedding, test with each look, and print means over seeds."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--images", type=int, default=0, help="of Chula, about; 0 for all")
    arguments.add_argument("--fields", type=int, default=10, help="of a class, simulated")
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--cohorts", nargs="*", default=["planted", "unstained"])
    arguments.add_argument("--features", nargs="*", choices=PARTS, default=list(PARTS))
    cache = platformdirs.user_cache_path("napari-attmil") / "shifted"
    arguments.add_argument("--cache", type=Path, default=cache)
    asked = arguments.parse_args()
    device = choose_device(asked.device)
    detector = Detector.load(None, device)
    rows = []
    for cohort in asked.cohorts:
        drawn = (
            planted_cohorts(detector, asked.images, asked.seeds, asked.cache / str(asked.images))
            if cohort == "planted"
            else unstained_cohorts(detector, asked.fields, asked.seeds)
        )
        found: dict[tuple[str, str], list[dict[str, float]]] = {}
        for seed, (bags, tests) in enumerate(drawn):
            for embedding in asked.features:
                classifier = trained(bags, embedding, seed, device)
                for look, tested in tests.items():
                    one = figures(classifier, seen_as(tested, embedding))
                    found.setdefault((embedding, look), []).append(one)
        rows += [
            {"cohort": cohort, "features": embedding, "tested": look} | mean_of(each)
            for (embedding, look), each in found.items()
        ]
    title = f"Shifted cohorts, {asked.seeds} seeds, detector {detector.digest[:12]}"
    report(title, rows, asked.out)


def mean_of(each: list[dict[str, float]]) -> dict[str, float]:
    """Return the means over seeds."""
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


if __name__ == "__main__":
    main()
