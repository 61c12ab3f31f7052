"""How good the detector is on images that it was not trained on.

    python benchmarks/detection_quality.py --data ../shared/data [--weights W] [--out quality.json]

TXL-PBC's validation part (average precision of red cells; white cells and platelets ignored),
simulated fields of seeds never trained on, poor ones among them (within the ranges trained on, and
with a quarter of their parameters beyond), and Chula RBC-12 (never trained on; its images with
60 or more labelled cells, centre points). There recall is exact and precision a lower bound:
whole cells are unlabelled too. Cells cut off by the edge are hardly ever labelled; a box at the
edge without a point is neither right nor wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from reporting import parser, report
from scipy.optimize import linear_sum_assignment
from skimage import io

from napari_attmil.cells import DetectionSettings
from napari_attmil.cells.detection import Detector, ScoredImage, average_precision
from napari_attmil.core import choose_device
from napari_attmil.simulation import SimulationSettings, simulate_image

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from rough_looks import draw_rough_appearance

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

ANY_SCORE = DetectionSettings(min_score=0.05)
NOTHING = np.empty((0, 4), dtype=np.float32)
MIN_LABELLED_CELLS = 60
EDGE_PX = 2


def txl_val(folder: Path, limit: int | None) -> Iterator[tuple[np.ndarray, Any, Any]]:
    """Yield image, red cells and other cells of the validation part."""
    table = pd.read_csv(folder / "val.csv")
    for name, rows in list(table.groupby("image"))[:limit]:
        xyxy = rows[["x_min", "y_min", "x_max", "y_max"]].to_numpy(np.float32)
        red = (rows["cell_type"] == "RBC").to_numpy()
        yield io.imread(folder / "val" / str(name)), xyxy[red], xyxy[~red]


def simulated(look: str, count: int) -> Iterator[tuple[np.ndarray, Any, Any]]:
    """Yield simulated fields of a seed that training does not use."""
    for index in range(count):
        rng = np.random.default_rng([987_654, index])
        settings = SimulationSettings(
            image_size_px=562,
            cell_diameter_px=float(rng.uniform(35, 65)),
            cells_per_image=int(rng.uniform(15, 60)),
            look=look,
            variety=float(rng.uniform(0.3, 1)),
        )
        field = simulate_image(settings, rng)
        yield field.image, field.xyxy, NOTHING


def usual_settings(rng: np.random.Generator) -> SimulationSettings:
    """Draw how many cells of which size an unstained field has."""
    return SimulationSettings(
        image_size_px=562,
        cell_diameter_px=float(rng.uniform(40, 60)),
        cells_per_image=int(rng.uniform(25, 65)),
    )


def simulated_poor(
    beyond: float, count: int, seed: tuple[int, ...] = (77,)
) -> Iterator[tuple[np.ndarray, Any, Any]]:
    """Yield poor unstained fields; see `draw_rough_appearance`."""
    for index in range(count):
        rng = np.random.default_rng([*seed, index])
        settings = usual_settings(rng)
        field = simulate_image(settings, rng, appearance=draw_rough_appearance(rng, beyond))
        yield field.image, field.xyxy, NOTHING


def scored_images(detector: Detector, images: Iterator[Any]) -> list[ScoredImage]:
    """Return what is found; every image is measured for its own cell size."""
    scored = []
    for image, truth, ignored in images:
        boxes = detector.detect([image], ANY_SCORE)
        scored.append(ScoredImage(boxes.xyxy, boxes.score, truth, ignored))
    return scored


def precision_row(name: str, detector: Detector, images: Iterator[Any]) -> dict[str, Any]:
    """Return one row of average precision."""
    scored = scored_images(detector, images)
    score = average_precision(scored)
    return {
        "set": name,
        "images": len(scored),
        "AP50": round(score.ap50, 4),
        "AP": round(score.ap, 4),
        "recall": "",
        "precision": "",
    }


def match_points(xyxy: npt.ArrayLike, points: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Pair boxes one to one with labelled centre points that lie inside them.

    Parameters
    ----------
    xyxy
        (n, 4) boxes.
    points
        (m, 2) x, y.

    Returns
    -------
    (n,) int64
        For each box its row in `points`, or -1; the pairing with the smallest summed distance
        between point and box centre, relative to the box's size.
    """
    boxes = np.asarray(xyxy, dtype=np.float64).reshape(-1, 1, 4)
    places = np.asarray(points, dtype=np.float64).reshape(1, -1, 2)
    half = np.maximum((boxes[..., 2:] - boxes[..., :2]) / 2, 1e-6)
    offset = np.abs(places - (boxes[..., :2] + boxes[..., 2:]) / 2) / half
    inside = np.all(offset <= 1, axis=-1)
    far = 1e3
    cost = np.where(inside, offset.max(axis=-1, initial=0), far)
    rows, columns = linear_sum_assignment(cost)
    pairs = np.full(len(boxes), -1, dtype=np.int64)
    good = np.asarray(inside)[rows, columns]
    pairs[rows[good]] = columns[good]
    return pairs


def at_edge(xyxy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return which (n, 4) boxes end at an edge of their image, to a pixel or two."""
    height, width = shape[:2]
    room = np.column_stack([xyxy[:, :2], np.array([width, height]) - xyxy[:, 2:]])
    return np.asarray(room.min(axis=1) < EDGE_PX)


def points_row(detector: Detector, folder: Path, limit: int | None) -> dict[str, Any]:
    """Return the row of recall and precision of centre points at a score of 0.5."""
    cells = pd.read_csv(folder / "cells.csv")
    groups = [(n, g) for n, g in cells.groupby("image") if len(g) >= MIN_LABELLED_CELLS][:limit]
    matched = found = labelled = 0
    for name, group in groups:
        image = io.imread(folder / "images" / str(name))
        xyxy = detector.detect([image]).xyxy
        has_point = match_points(xyxy, group[["x", "y"]].to_numpy()) >= 0
        matched += int(has_point.sum())
        found += int((has_point | ~at_edge(xyxy, image.shape)).sum())
        labelled += len(group)
    return {
        "set": "Chula, centre points",
        "images": len(groups),
        "AP50": "",
        "AP": "",
        "recall": round(matched / labelled, 4),
        "precision": round(matched / max(found, 1), 4),
    }


def main() -> None:
    """Score the detector on all sets."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--weights", type=Path)
    arguments.add_argument("--limit", type=int, help="at most this many images a set")
    options = arguments.parse_args()
    detector = Detector.load(options.weights, choose_device(options.device))
    rows = [
        precision_row("TXL-PBC val", detector, txl_val(options.data / "txl_pbc", options.limit)),
        precision_row(
            "simulated, unstained", detector, simulated("unstained", options.limit or 60)
        ),
        precision_row("simulated, poor", detector, simulated_poor(0, options.limit or 40)),
        precision_row("beyond training", detector, simulated_poor(0.25, options.limit or 40)),
        precision_row("simulated, stained", detector, simulated("stained", options.limit or 30)),
        points_row(detector, options.data / "chula", options.limit),
    ]
    report("Detection: quality on images not trained on", rows, options.out)


if __name__ == "__main__":
    main()
