"""How fast the features of cells are read, and how much memory that takes.

    python benchmarks/features.py [--cells 30,120] [--images 6] [--out features.json]

Simulated images of 562 x 562 pixels; `crops` is the plain way, the detector's maps of one
enlarged crop a cell, in the same run, and `encoder` what the default classifier sees. A second
table times whole samples in files: detection alone, and with the features of a classifier.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from reporting import parser, report, timed_in_turn

from napari_attmil.cells import DetectionSettings, FeatureSettings
from napari_attmil.cells.detection import Detector
from napari_attmil.cells.encoding import CellEncoder
from napari_attmil.core import choose_device, finished
from napari_attmil.images import open_sample, read_images
from napari_attmil.simulation import SimulationSettings, simulate_image
from napari_attmil.workflows import Study, prepare_bags

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_attmil.core import Float32Array

DIAMETER_PX = 40.0
MARGIN_PX = 16


def one_crop_a_cell(detector: Detector, image: Any, xyxy: Float32Array) -> None:
    """Read each cell's features from a crop of its own."""
    for box in xyxy:
        left, top = np.maximum(box[:2] - MARGIN_PX, 0).astype(int)
        right, bottom = (box[2:] + MARGIN_PX).astype(int)
        shift = np.array([left, top, left, top], dtype=np.float32)
        crop = image[top:bottom, left:right]
        detector.roi_features(crop, (box - shift)[np.newaxis], cell_diameter_px=DIAMETER_PX)


def whole_sample(
    detector: Detector, count: int, repeats: int, folder: Path
) -> list[dict[str, Any]]:
    """Return one row a way to see a sample of some images, of 50 cells each."""
    for number in range(count):
        settings = SimulationSettings(image_size_px=562, cells_per_image=50)
        field = simulate_image(settings, np.random.default_rng(number))
        tifffile.imwrite(folder / f"{number}.tif", field.image, compression="zlib")
    sample = open_sample(folder)
    study, given = Study.without_folder([sample]), DetectionSettings(cell_diameter_px=50)

    def detect() -> object:
        return list(detector.detect_frames(read_images(sample), given))

    def see(features: FeatureSettings) -> object:
        return finished(prepare_bags(study, detector, given, features))

    profiles = FeatureSettings(kept="profile")
    vectors = FeatureSettings(kept="vector", encoder="shipped")
    both = FeatureSettings(kept="combined", encoder="shipped")
    runs: dict[str, Callable[[], object]] = {
        "detection": detect,
        "with the detector's profiles": partial(see, profiles),
        "with the encoder's vectors": partial(see, vectors),
        "with both, as by default": partial(see, both),
    }
    return timed_in_turn(runs, count, "images", repeats)


def main() -> None:
    """Time all ways in turn."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--cells", default="30,120")
    arguments.add_argument("--images", type=int, default=6, help="of the whole sample")
    arguments.add_argument("--repeats", type=int, default=5)
    options = arguments.parse_args()
    device = choose_device(options.device)
    detector, encoder = Detector.load(device=device), CellEncoder.load(device=device)
    rows = []
    for cells in map(int, filter(None, options.cells.split(","))):
        settings = SimulationSettings(
            image_size_px=562, cell_diameter_px=DIAMETER_PX, cells_per_image=cells
        )
        field = simulate_image(settings, np.random.default_rng(0))
        runs: dict[str, Callable[[], object]] = {
            "crops": partial(one_crop_a_cell, detector, field.image, field.xyxy),
            "this": partial(
                detector.roi_features, field.image, field.xyxy, cell_diameter_px=DIAMETER_PX
            ),
            "encoder": partial(encoder.encode, field.image, field.xyxy),
        }
        timed = timed_in_turn(runs, len(field.xyxy), "cells", options.repeats)
        rows += [{"cells an image": len(field.xyxy)} | row for row in timed]
    report("Features: cells a second", rows, options.out)
    with tempfile.TemporaryDirectory() as folder:
        rows = whole_sample(detector, options.images, options.repeats, Path(folder))
    report("Detection and features: images a second", rows, None)


if __name__ == "__main__":
    main()
