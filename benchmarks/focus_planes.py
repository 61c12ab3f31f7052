"""Planes of z-stacks that measures of focus choose, and how good detection is on them.

    python benchmarks/focus_planes.py [--stacks 40] [--seed 0] [--out figures.json]

Z-stacks of simulated fields, half of them unstained: 7 to 11 planes, 0.6 to 2 um apart, the focus
anywhere but at the ends; each plane has noise of its own. A red cell's contrast goes through zero
near focus, so the plane that shows most cells need not be the one nearest to it. The detector
searches every plane at one cell size. A measure of focus is right where the plane it chooses, or a
neighbour of that, is one on which detection is best: its AP50 is within 0.005 of the stack's best.
AP50 on the chosen planes is given beside that on the planes nearest to focus, and on the best ones.
`--seed 0` was used to choose the measure; other seeds are for reporting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from reporting import parser, report
from scipy import ndimage

from napari_attmil.cells import DetectionSettings
from napari_attmil.cells.detection import Detector, ScoredImage, average_precision
from napari_attmil.core import choose_device
from napari_attmil.images.sharpness import sharpness
from napari_attmil.simulation import SimulationSettings, draw_appearance, simulate_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

WITHIN = 0.005


@dataclass
class Stack:
    """The planes of a field, its cells, and how far each plane is from the focus."""

    planes: list[NDArray[np.uint8]]
    xyxy: NDArray[np.float32]
    defocus_um: NDArray[Any]
    diameter_px: float


def simulated(count: int, seed: int) -> Iterator[Stack]:
    """Yield z-stacks, unstained and stained by turns."""
    for number in range(count):
        rng = np.random.default_rng([seed, 77, number])
        settings = SimulationSettings(
            image_size_px=352,
            cells_per_image=int(rng.integers(6, 30)),
            cell_diameter_px=float(rng.uniform(36, 60)),
            look=("unstained", "stained")[number % 2],
        )
        look = draw_appearance(settings.look, 1.0, rng)
        planes = int(rng.integers(7, 12))
        step_um = rng.uniform(0.6, 2.0)
        defocus_um = (np.arange(planes) - rng.uniform(1, planes - 2)) * step_um
        own = int(rng.integers(2**31))
        images = []
        for defocus in defocus_um:
            clean = replace(look, defocus_um=float(defocus), shot_noise=0.0, read_noise=0.0)
            field = simulate_image(settings, np.random.default_rng(own), appearance=clean)
            images.append(with_noise(field.image, look.shot_noise, look.read_noise, rng))
        yield Stack(images, field.xyxy, defocus_um, settings.cell_diameter_px)


def with_noise(
    image: NDArray[np.uint8], shot: float, read: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a plane with the noise of its own exposure."""
    deviation = np.sqrt(read**2 + shot**2 * image / 255.0)
    noisy = np.rint(image + deviation * rng.standard_normal(image.shape))
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def smooth(image: NDArray[Any], sigma: float = 1.0) -> NDArray[np.float64]:
    """Return a plane without most of its noise."""
    return np.asarray(ndimage.gaussian_filter(image.astype(np.float64), sigma))


def gradient(image: NDArray[Any], sigma: float = 1.0) -> NDArray[np.float64]:
    """Return the steepness of a plane at a scale."""
    return np.asarray(ndimage.gaussian_gradient_magnitude(image.astype(np.float64), sigma))


def band(image: NDArray[Any], low: float, high: float) -> float:
    """Return the energy of a band, relative to the light."""
    passed = smooth(image, low) - smooth(image, high)
    return float((passed**2).mean() / image.mean() ** 2)


MEASURES: dict[str, Callable[[NDArray[Any]], float]] = {
    "variance of the Laplacian": lambda i: float(ndimage.laplace(i.astype(np.float64)).var()),
    "the same, smoothed": lambda i: float(
        ndimage.gaussian_laplace(i.astype(np.float64), 1.5).var()
    ),
    "Tenengrad": lambda i: float((gradient(i, 0.7) ** 2).mean()),
    "Brenner": lambda i: float(((i[:, 2:].astype(np.float64) - i[:, :-2]) ** 2).mean()),
    "normalised variance": lambda i: float(i.var() / i.mean()),
    "energy from 1 to 2 px": lambda i: band(i, 1, 2),
    "energy from 2 to 4 px": lambda i: band(i, 2, 4),
    "steepest hundredth": lambda i: float(np.percentile(gradient(i, 1.5), 99)),
    "steepest hundredth / contrast": lambda i: float(
        np.percentile(gradient(i, 1.5), 99) / np.ptp(np.percentile(smooth(i, 1.5), (1, 99)))
    ),
    "in use": sharpness,
}


def searched(detector: Detector, stack: Stack) -> list[ScoredImage]:
    """Return what the detector finds on each plane."""
    settings = DetectionSettings(cell_diameter_px=stack.diameter_px)
    boxes = detector.detect(stack.planes, settings)
    return [
        ScoredImage(boxes.xyxy[here], boxes.score[here], stack.xyxy)
        for here in (boxes.image_index == place for place in range(len(stack.planes)))
    ]


def row(
    name: str, chosen: list[int], ap50: list[NDArray[Any]], found: list[list[ScoredImage]]
) -> dict[str, Any]:
    """Return how good a choice of planes is."""
    hits, near = [], []
    for plane, scores in zip(chosen, ap50, strict=True):
        least = scores.max() - WITHIN
        hits.append(scores[plane] >= least)
        near.append(scores[max(plane - 1, 0) : plane + 2].max() >= least)
    score = average_precision([of[plane] for plane, of in zip(chosen, found, strict=True)])
    return {
        "measure": name,
        "best (%)": round(100 * float(np.mean(hits)), 1),
        "best or neighbour (%)": round(100 * float(np.mean(near)), 1),
        "AP50": round(score.ap50, 4),
        "AP": round(score.ap, 4),
    }


def main() -> None:
    """Search every plane, and compare the planes that measures of focus choose."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--stacks", type=int, default=40)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    detector = Detector.load(None, choose_device(options.device))
    stacks = list(simulated(options.stacks, options.seed))
    found = [searched(detector, stack) for stack in stacks]
    ap50 = [np.array([average_precision([one]).ap50 for one in planes]) for planes in found]
    nearest = [int(np.abs(stack.defocus_um).argmin()) for stack in stacks]
    rows = [
        row("(best of each stack)", [int(scores.argmax()) for scores in ap50], ap50, found),
        row("(nearest to focus)", nearest, ap50, found),
        row("(middle)", [len(stack.planes) // 2 for stack in stacks], ap50, found),
    ]
    for name, measure in MEASURES.items():
        chosen = [int(np.argmax([measure(plane) for plane in s.planes])) for s in stacks]
        rows.append(row(name, chosen, ap50, found))
    report(f"Planes of {options.stacks} z-stacks", rows, options.out)


if __name__ == "__main__":
    main()
