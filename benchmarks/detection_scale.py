"""Whether large images and long stacks are searched in bounded memory.

    python benchmarks/detection_scale.py [--side 20000] [--frames 2000] [--folder F]

A large image is one TIFF of simulated fields side by side; a stack is one multi-page TIFF of
562 x 562 pixels. Both are read as the program reads a person's files. Peak memory is that of the
whole process, Python and torch included, in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from reporting import parser, report

from napari_attmil.simulation import SimulationSettings, simulate_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIELD_PX = 1000
STACK_PX = 562
CELLS = 120
DIAMETER_PX = 50.0


def field(side_px: int, seed: int) -> np.ndarray[Any, Any]:
    """Return a simulated field of about the paper's density."""
    cells = round(CELLS * (side_px / FIELD_PX) ** 2)
    settings = SimulationSettings(image_size_px=side_px, cells_per_image=cells)
    return simulate_image(settings, np.random.default_rng(seed)).image


def write_large(path: Path, side_px: int) -> None:
    """Write one image, row of fields by row of fields."""
    fields = [field(FIELD_PX, seed) for seed in range(4)]
    image = tifffile.memmap(path, shape=(side_px, side_px), dtype=np.uint8)
    for number, top in enumerate(range(0, side_px, FIELD_PX)):
        for left in range(0, side_px, FIELD_PX):
            part = image[top : top + FIELD_PX, left : left + FIELD_PX]
            chosen = fields[(number + left // FIELD_PX) % len(fields)]
            part[:] = chosen[: part.shape[0], : part.shape[1]]
    image.flush()


def write_stack(path: Path, frames: int) -> None:
    """Write a stack, frame by frame."""
    fields = [field(STACK_PX, seed) for seed in range(4)]

    def pages() -> Iterator[np.ndarray[Any, Any]]:
        for number in range(frames):
            yield fields[number % len(fields)]

    shape = (frames, STACK_PX, STACK_PX)
    tifffile.imwrite(path, pages(), shape=shape, dtype=np.uint8, compression="zlib")


def detect(path: Path, device: str) -> tuple[int, float, float]:
    """Return cells, seconds and the process's peak memory in GiB."""
    from napari_attmil.cells import DetectionSettings
    from napari_attmil.cells.detection import Detector
    from napari_attmil.core import choose_device
    from napari_attmil.images import open_sample, read_images

    started = time.perf_counter()
    detector = Detector.load(device=choose_device(device))
    images = read_images(open_sample(path))
    cells = sum(len(frame.score) for frame in detector.detect_frames(images, DetectionSettings()))
    # Kilobytes on Linux, bytes on macOS.
    unit = 2**30 if sys.platform == "darwin" else 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return cells, time.perf_counter() - started, peak


def main() -> None:
    """Measure both, each in a fresh process."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--side", type=int, default=20_000, help="0 leaves the large image out")
    arguments.add_argument("--frames", type=int, default=2_000, help="0 leaves the stack out")
    arguments.add_argument("--folder", type=Path, help="where the files are written for a while")
    options = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        cases: list[tuple[str, Callable[[Path, int], None], int]] = [
            (f"one image of {options.side} x {options.side} px", write_large, options.side),
            (f"{options.frames} images of {STACK_PX} px", write_stack, options.frames),
        ]
        for name, write, size in cases:
            if size:
                path = Path(folder) / f"{write.__name__}.tif"
                write(path, size)
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    cells, seconds, peak = pool.apply(detect, (path, options.device))
                row = {"what": name, "cells": cells, "s": round(seconds), "peak GiB": peak}
                rows.append(row)
                print(row, flush=True)
    report("Detection: memory at scale", rows, options.out)


if __name__ == "__main__":
    main()
