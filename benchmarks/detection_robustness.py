"""Whether the same cells are found when an image is rescaled, blurred, inverted, or recoded.

    python benchmarks/detection_robustness.py --data ../shared/data [--out robustness.json]

Every variant of every image is measured for its own cell size, as a user's image would be.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from detection_quality import ANY_SCORE, simulated, txl_val
from PIL import Image
from reporting import parser, report
from scipy import ndimage

from napari_attmil.cells.detection import Detector, ScoredImage, average_precision
from napari_attmil.core import choose_device

if TYPE_CHECKING:
    from collections.abc import Callable

Picture = np.ndarray[Any, np.dtype[Any]]


def rescaled(image: Picture, factor: float) -> Picture:
    """Return the image with sides times `factor`."""
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def blurred(image: Picture) -> Picture:
    """Return the image out of focus: a Gaussian of 2 px, colours apart."""
    return np.asarray(ndimage.gaussian_filter(image, (2, 2, 0)[: image.ndim]), dtype=np.uint8)


VARIANTS: dict[str, tuple[Callable[[Picture], Picture], float]] = {
    "as it is": (np.asarray, 1),
    "x 0.4": (partial(rescaled, factor=0.4), 0.4),
    "x 2": (partial(rescaled, factor=2), 2),
    "x 4": (partial(rescaled, factor=4), 4),
    "blurred, 2 px": (blurred, 1),
    "inverted": (lambda image: 255 - image, 1),
    "half contrast": (lambda image: np.asarray(image // 2 + 64, dtype=np.uint8), 1),
    "16 bit": (lambda image: image.astype(np.uint16) * 257, 1),
    "grey": (lambda image: image if image.ndim == 2 else image.mean(-1).astype(np.uint8), 1),
}
"""What is done to an image, and by which factor its boxes grow."""


def main() -> None:
    """Score the detector on every variant."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--every", type=int, default=24, help="take every n-th real image")
    options = arguments.parse_args()
    detector = Detector.load(device=choose_device(options.device))
    real = list(txl_val(options.data / "txl_pbc", None))[:: options.every]
    sets = {"TXL-PBC val": real, "simulated, unstained": list(simulated("unstained", 8))}
    rows = []
    for variant, (change, factor) in VARIANTS.items():
        row: dict[str, Any] = {"variant": variant}
        for name, images in sets.items():
            scored = []
            for image, truth, ignored in images:
                boxes = detector.detect([change(image)], ANY_SCORE)
                scored.append(ScoredImage(boxes.xyxy / factor, boxes.score, truth, ignored))
            row[f"AP50, {name} ({len(images)})"] = round(average_precision(scored).ap50, 3)
        rows.append(row)
    report("Detection: the same images, changed", rows, options.out)


if __name__ == "__main__":
    main()
