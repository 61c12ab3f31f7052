"""How good a click's box is, and whether snapping helps a sloppy one.

    python benchmarks/proposals.py --data ../shared/data [--out proposals.json]

TXL-PBC's validation part (red cells) and simulated fields of seeds of their own. Clicks lie within
the middle half of the cell's box; sloppy boxes have each side moved by up to 15 % of its length.
"Outline" is what is there at once, the rest what the detector's candidates give, as in the panel.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from detection_quality import simulated, txl_val
from reporting import parser, report

from napari_attmil.cells import DetectionSettings
from napari_attmil.cells.boxes import iou_matrix
from napari_attmil.cells.detection import (
    Detector,
    box_from_outline,
    detection_around,
    detection_at,
    snap_to_outline,
    unsure_detection_settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_attmil.core import Float32Array

JITTER = 0.15
CELLS_AN_IMAGE = 8


def tried(images: Iterator[Any]) -> Iterator[dict[str, float]]:
    """Yield of each cell the overlaps (IoU) of boxes with the true one, then times in ms."""
    rng, detector = np.random.default_rng(5), Detector.load()
    settings = unsure_detection_settings(DetectionSettings())
    for image, xyxy, _ in images:
        if not len(xyxy):
            continue
        start = time.process_time()
        candidates = detector.detect([image], settings)
        candidates_ms = 1e3 * (time.process_time() - start)
        diameter = float(np.median(np.sqrt(np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1))))
        for box in rng.permutation(xyxy)[:CELLS_AN_IMAGE]:
            side = box[2:] - box[:2]
            point = (box[:2] + box[2:]) / 2 + rng.uniform(-0.25, 0.25, 2) * side
            sloppy = box + rng.uniform(-JITTER, JITTER, 4) * np.tile(side, 2)
            start = time.process_time()
            outline = box_from_outline(image, point, diameter)
            outline_ms = 1e3 * (time.process_time() - start)
            found = detection_at(candidates, point)
            snapped, meant = snap_to_outline(image, sloppy), detection_around(candidates, sloppy)
            yield {
                "outline": overlap(outline, box),
                "click": overlap(outline if found is None else found, box),
                "sloppy": overlap(sloppy, box),
                "outline snapped": overlap(snapped, box),
                "snapped": overlap(snapped if meant is None else meant, box),
                "outline ms": outline_ms,
                "candidates ms": candidates_ms,
            }


def overlap(found: Float32Array | None, box: Float32Array) -> float:
    """Return the IoU of a box with the true one; 0 if none was found."""
    return 0.0 if found is None else float(iou_matrix(found, box)[0, 0])


def row(name: str, images: Iterator[Any]) -> dict[str, Any]:
    """Return the shares and means of one set of images."""
    attempts = pd.DataFrame(tried(images))
    overlaps, times = attempts.iloc[:, :5], attempts.iloc[:, 5:]
    shares = (overlaps >= 0.7).mean().add_suffix(" IoU>=.7")
    means, medians = overlaps.mean().add_suffix(" IoU"), times.median()
    figures = pd.concat([shares, means, medians])
    return {"images": name, "cells": len(attempts)} | {str(k): float(v) for k, v in figures.items()}


def main() -> None:
    """Measure all sets and print a row each."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--limit", type=int, help="images a set")
    options = arguments.parse_args()
    rows = [
        row("TXL-PBC val", txl_val(options.data / "txl_pbc", options.limit)),
        row("simulated, unstained", simulated("unstained", options.limit or 20)),
        row("simulated, stained", simulated("stained", options.limit or 20)),
    ]
    report("Boxes from clicks, and sloppy boxes snapped", rows, options.out)


if __name__ == "__main__":
    main()
