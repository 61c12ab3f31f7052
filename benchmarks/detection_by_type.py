"""How many cells of each kind the detector finds, on images that it was not trained on.

    python benchmarks/detection_by_type.py --data ../shared/data [--weights W] [--out types.json]

Recall at a score of 0.5, the cell size measured for every image. Chula RBC-12: a cell is found if
its labelled centre lies in a box of its own; precision, a lower bound, is of the images with 60 or
more labelled cells. Violet light (`lfm`): the frames that no training saw, at an overlap of 0.5;
debris and ghosts are neither right nor wrong. Simulated fields under five lights: cells of every
type, at the same overlap. Fields with walls, grids and writing: recall and precision at a score of
0.5, precision at the score that leaves a recall of 0.97; boxes a field where there are no cells.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from detection_quality import MIN_LABELLED_CELLS, at_edge, match_points, usual_settings
from reporting import parser, report
from scipy.optimize import linear_sum_assignment
from skimage import io

from napari_attmil.cells import DetectionSettings
from napari_attmil.cells.detection import Detector
from napari_attmil.cells.overlaps import overlapping_pairs
from napari_attmil.core import choose_device
from napari_attmil.simulation import simulate_image
from napari_attmil.simulation.cell_shapes import CELL_TYPES, NORMAL_DIAMETER_UM, RARE_TYPES
from napari_attmil.simulation.structures import STRUCTURES

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from training_images import HELD_BACK_FRAMES, SIDES, draw_looks

if TYPE_CHECKING:
    from napari_attmil.simulation import SimulatedImage, Structure

ANY_SCORE: Final = DetectionSettings(min_score=0.05)
USUAL_SCORE: Final = DetectionSettings().min_score
OVERLAP: Final = 0.5
ASKED_RECALL: Final = 0.97
SEED: Final = 4_321
EMPTY: Final = "without cells"
Row = dict[str, Any]


def matched(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return, for each of (n, 4) boxes, its row among (m, 4) true ones, or -1."""
    pairs = np.full(len(found), -1)
    if len(found) and len(truth):
        first, second, share = overlapping_pairs(found, truth)
        overlap = np.zeros((len(found), len(truth)))
        overlap[first, second] = np.where(share >= OVERLAP, share, 0)
        rows, columns = linear_sum_assignment(-overlap)
        good = overlap[rows, columns] > 0
        pairs[rows[good]] = columns[good]
    return pairs


def row_of(images: str, kind: str, found: np.ndarray, **figures: float) -> Row:
    """Return a row of recall from which true cells were found."""
    recall = float(np.mean(found)) if len(found) else float("nan")
    figures = {"recall": recall, **figures}
    rounded = {name: round(value, 4) for name, value in figures.items()}
    return {"images": images, "kind": kind, "cells": len(found), "precision": "", **rounded}


def chula(detector: Detector, folder: Path, limit: int | None) -> list[Row]:
    """Return a row for each type of Chula RBC-12, and one of the well labelled images."""
    cells = pd.read_csv(folder / "cells.csv")
    cells["found"] = False
    right = boxes = 0
    for name, group in list(cells.groupby("image"))[:limit]:
        image = io.imread(folder / "images" / str(name))
        xyxy = detector.detect([image]).xyxy
        pairs = match_points(xyxy, group[["x", "y"]].to_numpy())
        cells.loc[group.index[pairs[pairs >= 0]], "found"] = True
        cells.loc[group.index, "seen"] = True
        if len(group) >= MIN_LABELLED_CELLS:
            right += int((pairs >= 0).sum())
            boxes += int(((pairs >= 0) | ~at_edge(xyxy, image.shape)).sum())
    seen = cells[cells["seen"].eq(True)]
    types = [
        row_of("Chula", str(kind), rows["found"].to_numpy())
        for kind, rows in seen.groupby("cell_type")
    ]
    every = row_of("Chula", "all", seen["found"].to_numpy(), precision=right / max(boxes, 1))
    return [*types, every]


def violet(detector: Detector, folder: Path) -> list[Row]:
    """Return the row of the frames held back, and one for each kind of cell in them."""
    cells, others = pd.read_csv(folder / "boxes.csv"), pd.read_csv(folder / "misc_boxes.csv")
    kinds, founds, right, wrong = [], [], 0, 0
    for name in HELD_BACK_FRAMES:
        truth, unclear = cells[cells["image"] == name], others[others["image"] == name]
        xyxy = detector.detect([io.imread(folder / "images" / name)]).xyxy
        pairs = matched(xyxy, truth[SIDES].to_numpy(np.float32))
        found = np.isin(np.arange(len(truth)), pairs)
        kinds += truth["cell_type"].tolist()
        founds += found.tolist()
        unclear_xyxy = unclear[SIDES].to_numpy(np.float32)
        extra = xyxy[pairs < 0]
        right += int((pairs >= 0).sum())
        wrong += sum(not covers(box, unclear_xyxy) for box in extra)
    table = pd.DataFrame({"kind": kinds, "found": founds})
    rows = [row_of("lfm", str(k), part["found"].to_numpy()) for k, part in table.groupby("kind")]
    precision = right / max(right + wrong, 1)
    return [*rows, row_of("lfm", "all", table["found"].to_numpy(), precision=precision)]


def covers(box: np.ndarray, others: np.ndarray) -> bool:
    """Return whether half of a box lies on one of the (k, 4) others."""
    if not len(others):
        return False
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    return bool((shared > 0.5 * np.prod(box[2:] - box[:2])).any())


def simulated_types(detector: Detector, count: int) -> list[Row]:
    """Return a row for each simulated type, from fields in which all are mixed."""
    parts = []
    for index in range(count):
        rng = np.random.default_rng([SEED, index])
        settings = usual_settings(rng)
        types = rng.choice((*CELL_TYPES, *RARE_TYPES, *RARE_TYPES), settings.cells_per_image)
        appearance, _ = draw_looks(rng)
        field = simulate_image(settings, rng, types.tolist(), appearance)
        pairs = matched(detector.detect([field.image]).xyxy, field.xyxy)
        found = np.isin(np.arange(len(field.xyxy)), pairs)
        parts.append(pd.DataFrame({"kind": field.cell_type, "found": found}))
    table = pd.concat(parts)
    rows = [
        row_of("simulated", kind, table["found"][table["kind"] == kind].to_numpy())
        for kind in (*CELL_TYPES, *RARE_TYPES)
    ]
    return [*rows, row_of("simulated", "all", table["found"].to_numpy())]


def structured(detector: Detector, count: int) -> list[Row]:
    """Return a row for each structure, one of them together, one of fields without cells."""
    rows, everything = [], []
    empty: dict[str, list[int]] = {"": [], ", size given": []}
    for kind in STRUCTURES:
        scores, rights, truths = structure_scores(detector, kind, count)
        everything.append((scores, rights, truths))
        rows.append(structure_row(kind, scores, rights, truths))
        for index in range(max(1, count // 4)):
            field = structured_field(kind, index, empty=True)
            size = DetectionSettings(cell_diameter_px=NORMAL_DIAMETER_UM / field.pixel_size_um)
            empty[""].append(len(detector.detect([field.image])))
            empty[", size given"].append(len(detector.detect([field.image], size)))
    scores, rights = (np.concatenate([each[part] for each in everything]) for part in (0, 1))
    rows.append(structure_row("all", scores, rights, sum(each[2] for each in everything)))
    for size_is, boxes in empty.items():
        mean = round(float(np.mean(boxes)), 3)
        rows.append({"images": "structures", "kind": EMPTY + size_is, "boxes a field": mean})
    return rows


def structured_field(kind: Structure, index: int, empty: bool) -> SimulatedImage:
    """Return a simulated field with a structure."""
    rng = np.random.default_rng([SEED, 1, STRUCTURES.index(kind), index, int(empty)])
    settings = usual_settings(rng)
    appearance, _ = draw_looks(rng)
    cells = 0 if empty else settings.cells_per_image
    types = ["discocyte"] * cells
    return simulate_image(settings, rng, types, appearance, kind)


def structure_scores(
    detector: Detector, kind: Structure, count: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return score and rightness of all boxes in fields with a structure, and how many cells."""
    scores, rights, truths = [], [], 0
    for index in range(count):
        field = structured_field(kind, index, empty=False)
        boxes = detector.detect([field.image], ANY_SCORE)
        scores.append(boxes.score)
        rights.append(matched(boxes.xyxy, field.xyxy) >= 0)
        truths += len(field.xyxy)
    return np.concatenate(scores), np.concatenate(rights), truths


def structure_row(kind: str, scores: np.ndarray, rights: np.ndarray, truths: int) -> Row:
    """Return recall and precision at the usual score, and precision at the asked recall."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(rights[order])
    enough = np.flatnonzero(hits >= ASKED_RECALL * truths)
    at_recall = hits[enough[0]] / (enough[0] + 1) if len(enough) else float("nan")
    usual = rights[scores >= USUAL_SCORE]
    found = np.arange(truths) < usual.sum()
    name = f"precision at recall {ASKED_RECALL}"
    return row_of("structures", kind, found, precision=float(usual.mean()), **{name: at_recall})


def main() -> None:
    """Score the detector on all kinds."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--weights", type=Path)
    arguments.add_argument("--limit", type=int, help="at most this many images a set")
    options = arguments.parse_args()
    detector = Detector.load(options.weights, choose_device(options.device))
    rows = [
        *chula(detector, options.data / "chula", options.limit),
        *violet(detector, options.data / "lfm"),
        *simulated_types(detector, options.limit or 40),
        *structured(detector, options.limit or 12),
    ]
    report("Detection: how many cells of each kind are found", rows, options.out)


if __name__ == "__main__":
    main()
