"""A cohort whose every cell is known: patients made of real, typed cells (Chula RBC-12).

Every sample is a draw of normal cells; in a diseased one a given share of them is replaced by
cells of that disease's type. So the label depends on the planted cells alone. Source images are
split into the folds first, and a patient's cells all come from one fold's images.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.progress import track
from scipy.optimize import linear_sum_assignment
from sklearn.model_selection import StratifiedGroupKFold

from napari_attmil.bags import Bag, feature_reader
from napari_attmil.cells import DetectionSettings, FeatureSettings, median_diameter_px
from napari_attmil.core import write_atomically
from napari_attmil.explore.shapes.morphology import FEATURES, shapes_of_image
from napari_attmil.images import Frame, read_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_attmil.bags import FeatureReader
    from napari_attmil.cells.detection import Detector

CHULA: Final = Path(__file__).parents[2] / "shared" / "data" / "chula"
NORMAL: Final = "normal"
HEALTHY: Final = "healthy"
STANDARD_TYPES: Final = ("spherocyte", "target", "stomatocyte", "elliptocyte")
"""The diseases of the standard cohort, which figures are reported on."""
DEVELOPMENT_TYPES: Final = ("ovalocyte", "hypochromia", "schistocyte", "burr")
"""Diseases of other cells: what methods are chosen on, so that no reported figure is tuned."""
FOLDS: Final = 3


@dataclass(frozen=True, eq=False)
class TypedCells:
    """Detected cells whose type an expert named.

    Attributes
    ----------
    image, cell_type
        (n,) file name and type of each cell.
    features
        (n, channels, rows, columns) float16, memory-mapped; see `bags.Bag`.
    labelled
        How many cells the experts named; those that no box was found for are left out.
    reader_digest, settings
        What the features were computed with.
    """

    image: npt.NDArray[np.str_]
    cell_type: npt.NDArray[np.str_]
    features: npt.NDArray[np.float16]
    labelled: int
    reader_digest: str
    settings: FeatureSettings

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.image)


@dataclass(frozen=True)
class CohortPlan:
    """What a planted cohort looks like; the defaults are the standard form.

    Attributes
    ----------
    types
        One disease a type of cell, beside the healthy class.
    witness_rate
        Share of a diseased sample's cells that is of its type, 0 to 1; at least one cell.
    patients, samples
        Patients a class, and samples a patient.
    fewest, most
        Cells of a sample.
    seed
        Of the split of the images and of all draws.
    """

    types: tuple[str, ...] = STANDARD_TYPES
    witness_rate: float = 0.1
    patients: int = 12
    samples: int = 2
    fewest: int = 50
    most: int = 110
    seed: int = 0


def typed_cells(
    detector: Detector, settings: FeatureSettings, cache: Path, folder: Path = CHULA
) -> TypedCells:
    """Return all typed cells with their features, computed once and kept in `cache`."""
    reader = feature_reader(detector, settings)
    key = f"{detector.digest[:12]}-{reader.digest[:12]}-{settings.model_dump_json()}"
    stem = cache / f"chula-{zlib.crc32(key.encode()):08x}"
    table_path, features_path = stem.with_suffix(".csv"), stem.with_suffix(".npy")
    labels = pd.read_csv(folder / "cells.csv")
    if not (table_path.is_file() and features_path.is_file()):
        _compute(detector, reader, folder, labels, table_path, features_path)
    table = pd.read_csv(table_path)
    return TypedCells(
        table["image"].to_numpy(dtype=str),
        table["cell_type"].to_numpy(dtype=str),
        np.load(features_path, mmap_mode="r"),
        len(labels),
        reader.digest,
        settings,
    )


def planted_bags(cells: TypedCells, plan: CohortPlan) -> tuple[list[Bag], npt.NDArray[np.int64]]:
    """Draw a cohort.

    Returns
    -------
    bags, folds
        One bag a sample, and (n,) the fold whose images it was drawn from.
    """
    bags, folds, _ = zip(*planted_draws(cells, plan), strict=True)
    return list(bags), np.array(folds)


def planted_draws(
    cells: TypedCells, plan: CohortPlan
) -> Iterator[tuple[Bag, int, npt.NDArray[np.intp]]]:
    """Yield the samples of a cohort: bag, fold, and (m,) the rows of its cells in `cells`."""
    rng = np.random.default_rng(plan.seed)
    fold_of_cell = split_images(cells, plan)
    for label in (HEALTHY, *plan.types):
        for patient in range(plan.patients):
            fold = patient % FOLDS
            here = fold_of_cell == fold
            for number in range(plan.samples):
                rows = draw_rows(cells, here, label, plan, rng)
                bag = bag_of_rows(cells, rows, f"{label}-{patient + 1:02}", number + 1, label)
                yield bag, fold, rows


def split_images(cells: TypedCells, plan: CohortPlan) -> npt.NDArray[np.int64]:
    """Return (n,) the fold of each cell's image, types spread evenly; -1 for types not used."""
    used = np.flatnonzero(np.isin(cells.cell_type, [NORMAL, *plan.types]))
    fold_of_cell = np.full(len(cells), -1, dtype=np.int64)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=plan.seed)
    parts = splitter.split(used, cells.cell_type[used], cells.image[used])
    for fold, (_, test) in enumerate(parts):
        fold_of_cell[used[test]] = fold
    return fold_of_cell


def draw_rows(
    cells: TypedCells,
    here: npt.NDArray[np.bool_],
    label: str,
    plan: CohortPlan,
    rng: np.random.Generator,
) -> npt.NDArray[np.intp]:
    """Return the rows of one sample's cells, in random order."""
    count = int(rng.integers(plan.fewest, plan.most + 1))
    planted = 0 if label == HEALTHY else max(1, round(plan.witness_rate * count))
    of_type = np.flatnonzero(here & (cells.cell_type == label))
    normal = np.flatnonzero(here & (cells.cell_type == NORMAL))
    rows = [
        rng.choice(normal, count - planted, replace=False),
        rng.choice(of_type, planted, replace=len(of_type) < planted),
    ]
    drawn: npt.NDArray[np.intp] = rng.permutation(np.concatenate(rows))
    return drawn


def bag_of_rows(
    cells: TypedCells, rows: npt.NDArray[np.intp], patient: str, number: int, label: str
) -> Bag:
    """Return a sample of the cells in some rows."""
    return Bag(
        features=np.asarray(cells.features[rows]),
        cell_id=np.arange(1, len(rows) + 1),
        sample=f"{patient}-{number}",
        patient=patient,
        label=label,
        altered=cells.cell_type[rows] != NORMAL,
        reader_digest=cells.reader_digest,
        feature_settings=cells.settings,
    )


def typed_shapes(
    cells: TypedCells, detector: Detector, cache: Path, folder: Path = CHULA
) -> pd.DataFrame:
    """Return the shapes of typed cells in their order, lengths in pixels; kept in `cache`."""
    key = f"{detector.digest[:12]}-{' '.join(FEATURES)}"
    path = cache / f"shapes-{zlib.crc32(key.encode()):08x}.csv"
    if path.is_file():
        return pd.read_csv(path)
    parts = []
    groups = list(pd.read_csv(folder / "cells.csv").groupby("image"))
    for name, group in track(groups, "Measuring the typed cells"):
        image, xyxy, pairs = _typed_boxes(detector, folder / "images" / str(name), group)
        if len(pairs):
            parts.append(shapes_of_image(image, xyxy)[pairs[:, 0]])
    table = pd.DataFrame(np.concatenate(parts), columns=list(FEATURES))
    if len(table) != len(cells):
        raise SystemExit(f"{cache} has cells as another version found them; delete it, run again.")
    with write_atomically(path) as temporary:
        table.to_csv(temporary, index=False)
    return table


def _typed_boxes(
    detector: Detector, path: Path, labels: pd.DataFrame
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return an image, (n, 4) its boxes, and (m, 2) rows of boxes and of their labels."""
    image = read_frame(Frame(path))
    xyxy = detector.detect([image], DetectionSettings()).xyxy
    return image, xyxy, match_centres(xyxy, labels[["x", "y"]].to_numpy(dtype=float))


def _compute(
    detector: Detector,
    reader: FeatureReader,
    folder: Path,
    labels: pd.DataFrame,
    table_path: Path,
    features_path: Path,
) -> None:
    """Detect the cells of every image, give them the experts' types, and read their features."""
    images, types, features = [], [], []
    groups = list(labels.groupby("image"))
    for name, group in track(groups, "Finding and reading the typed cells"):
        image, xyxy, pairs = _typed_boxes(detector, folder / "images" / str(name), group)
        if not len(pairs):
            continue
        diameter = median_diameter_px(xyxy)
        features.append(reader.read(image, xyxy[pairs[:, 0]], diameter))
        images += [str(name)] * len(pairs)
        types += group["cell_type"].to_numpy(dtype=str)[pairs[:, 1]].tolist()
    with write_atomically(features_path) as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate(features))
    with write_atomically(table_path) as temporary:
        pd.DataFrame({"image": images, "cell_type": types}).to_csv(temporary, index=False)


def match_centres(
    xyxy: npt.NDArray[np.float32], centres: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Pair boxes and labelled centres one to one: each centre with the nearest box around it.

    Returns
    -------
    (m, 2) int64
        Rows of boxes and of centres, in the order of the centres.
    """
    x, y = centres[None, :, 0], centres[None, :, 1]
    x_min, y_min, x_max, y_max = (xyxy[:, side, None] for side in range(4))
    inside = (x_min <= x) & (x <= x_max) & (y_min <= y) & (y <= y_max)
    distance = np.hypot((x_min + x_max) / 2 - x, (y_min + y_max) / 2 - y)
    far = 1e6
    rows, columns = linear_sum_assignment(np.where(inside, distance, far))
    good = inside[rows, columns]
    pairs = np.stack([rows[good], columns[good]], axis=1).astype(np.int64)
    return pairs[np.argsort(pairs[:, 1])]
