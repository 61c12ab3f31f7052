"""How good a click's box is, and whether snapping helps a sloppy one.

    python benchmarks/proposals.py --data ../shared/data [--out proposals.json]

TXL-PBC's validation part (red cells) and simulated fields of seeds of their own. Clicks lie within
the middle half of the cell's box; sloppy boxes have each side moved by up to 15 % of its length.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from detection_quality import simulated, txl_val
from reporting import parser, report

from napari_attmil.cells.boxes import iou_matrix
from napari_attmil.cells.proposals import propose_box, snap_box

if TYPE_CHECKING:
    from collections.abc import Iterator

JITTER = 0.15
CELLS_AN_IMAGE = 8


def tried(images: Iterator[Any]) -> Iterator[tuple[float, float, float, float, float]]:
    """Yield of each cell the click's overlap, the box's before and after, and both times in ms."""
    rng = np.random.default_rng(5)
    for image, xyxy, _ in images:
        if not len(xyxy):
            continue
        diameter = float(np.median(np.sqrt(np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1))))
        for box in rng.permutation(xyxy)[:CELLS_AN_IMAGE]:
            side = box[2:] - box[:2]
            point = (box[:2] + box[2:]) / 2 + rng.uniform(-0.25, 0.25, 2) * side
            sloppy = box + rng.uniform(-JITTER, JITTER, 4) * np.tile(side, 2)
            start = time.process_time()
            proposed = propose_box(image, point, diameter)
            between = time.process_time()
            snapped = snap_box(image, sloppy)
            end = time.process_time()
            click = 0.0 if proposed is None else float(iou_matrix(proposed, box)[0, 0])
            before, after = (float(iou_matrix(b, box)[0, 0]) for b in (sloppy, snapped))
            yield click, before, after, 1e3 * (between - start), 1e3 * (end - between)


def row(name: str, images: Iterator[Any]) -> dict[str, Any]:
    """Return the shares and means of one set of images."""
    click, before, after, click_ms, snap_ms = np.array(list(tried(images))).T
    return {
        "images": name,
        "cells": len(click),
        "click none": float(np.mean(click == 0)),
        "click IoU>=.7": float(np.mean(click >= 0.7)),
        "click IoU": float(click.mean()),
        "sloppy IoU>=.7": float(np.mean(before >= 0.7)),
        "sloppy IoU": float(before.mean()),
        "snapped IoU>=.7": float(np.mean(after >= 0.7)),
        "snapped IoU": float(after.mean()),
        "click ms": float(np.median(click_ms)),
        "snap ms": float(np.median(snap_ms)),
    }


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
