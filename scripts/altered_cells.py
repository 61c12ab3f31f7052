"""Real cells made rare ones: stretched, bent, crenated, enlarged, with parasites painted in.

A normal cell of a training image is taken out of its background, changed in shape, and put back
with its own rim, noise and stain. The shipped detector is trained with this, since labelled images
show altered cells too seldom for it to learn them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from napari_attmil.cells.overlaps import greatest_overlap, overlapping_pairs

if TYPE_CHECKING:
    from napari_attmil.cells.finetuning import LabelledImage
    from napari_attmil.core import Float32Array

REACH: Final = 1.12
"""A cell's rim is taken to end at so many of its radii."""
COARSE: Final = 4
KINDS: Final = ("oval", "rod", "banana", "giant", "small", "crenated", "ring", "growing", "grains")
SHAPES_AT_ONCE: Final = 5
"""An image shows no more kinds of change, as a patient's cells are altered in a few ways."""


@dataclass(frozen=True)
class Change:
    """What becomes of a cell whose outline is the unit circle.

    Attributes
    ----------
    stretch
        Factors along and across its new axis.
    bend
        How far the ends of the axis bow to one side.
    turn, original_turn
        Angles in radians: of the new axis in the image, and of the old cell before stretching.
    spikes
        Angle, height and sharpness of each, as rows.
    paint
        x, y, width, depth of soft spots, as rows; depth is relative to the cell's own contrast.
    """

    stretch: tuple[float, float]
    bend: float
    turn: float
    original_turn: float
    spikes: Float32Array
    paint: Float32Array

    def outline(self, theta: Float32Array) -> Float32Array:
        """Return the radius of the changed cell before stretching."""
        radius = np.ones_like(theta)
        for angle, height, sharpness in self.spikes:
            radius += height * np.exp(sharpness * (np.cos(theta - angle) - 1))
        return radius

    def placed(self, u: Float32Array, v: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return where points of the unstretched cell come to lie."""
        x, y = u * self.stretch[0], v * self.stretch[1] + self.bend * (u * u - 0.35)
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        return cosine * x - sine * y, sine * x + cosine * y

    def box(self, centre: Float32Array, radius: float) -> Float32Array:
        """Return the box, (4,), of a changed cell of a radius in pixels."""
        theta = np.linspace(-np.pi, np.pi, 181, dtype=np.float32)
        edge = self.outline(theta)
        x, y = self.placed(edge * np.cos(theta), edge * np.sin(theta))
        ends = radius * np.array([x.min(), y.min(), x.max(), y.max()])
        return np.asarray(np.tile(centre, 2) + ends, dtype=np.float32)

    def origin(self, x: Float32Array, y: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return which points of the unstretched cell come to lie there."""
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        u = (cosine * x + sine * y) / self.stretch[0]
        v = (cosine * y - sine * x - self.bend * (u * u - 0.35)) / self.stretch[1]
        return u, v


@dataclass(frozen=True, eq=False)
class CutCell:
    """A round cell without its background.

    Attributes
    ----------
    residual
        (h, w) float32: how much darker or brighter than the background, 0 beyond the cell.
    radii
        Half its width and height in pixels; its middle is that of `residual`.
    """

    residual: Float32Array
    radii: tuple[float, float]

    @property
    def radius(self) -> float:
        """Mean radius in pixels."""
        return sum(self.radii) / 2

    @property
    def contrast(self) -> float:
        """Typical difference from the background, with its sign."""
        strong = np.abs(self.residual) > np.abs(self.residual).max(initial=0) / 3
        return float(np.median(self.residual[strong])) if strong.any() else 0.0


def round_cells(images: list[LabelledImage]) -> list[CutCell]:
    """Return the cells of stained images that are round, whole and touch no other."""
    cells = []
    for image in images:
        free = np.flatnonzero(_free(image))
        if len(free):
            grey = image.grey.astype(np.float32)
            background, _ = _background(grey, np.concatenate([image.xyxy, image.rejected]))
            cells += [_cut(grey, background, box)[1] for box in image.xyxy[free]]
    return [cell for cell in cells if abs(cell.contrast) > 5]


def with_altered_cells(
    image: LabelledImage,
    bank: list[CutCell],
    rng: np.random.Generator,
    share: float,
    more: int,
) -> LabelledImage:
    """Return the image with some cells changed, and with altered cells put where there is room.

    Parameters
    ----------
    image
        A labelled image with at least one cell; its rejected boxes are those of other objects.
    bank
        Cells to put into it, those of other images too.
    rng
        Decides which cells change, and how.
    share
        Probability of each cell that is round, whole and touches no other.
    more
        At most so many further cells.
    """
    grey, xyxy = image.grey.astype(np.float32), image.xyxy.copy()
    background, grain = _background(grey, np.concatenate([xyxy, image.rejected]))
    kinds = rng.choice(KINDS, int(rng.integers(1, SHAPES_AT_ONCE + 1)))
    contrast = _contrast(grey, background, xyxy)
    radius = float(np.median((xyxy[:, 2:] - xyxy[:, :2]).mean(axis=1))) / 2
    for row in np.flatnonzero(_free(image) & (rng.random(len(xyxy)) < share)):
        (window, soft, residual), cell = _cut(grey, background, xyxy[row])
        noise = grain * rng.standard_normal(soft.shape, dtype=np.float32)
        grey[window] -= residual - soft * noise
        change = draw_change(str(rng.choice(kinds)), rng)
        centre = (xyxy[row, :2] + xyxy[row, 2:]) / np.float32(2)
        xyxy[row] = _put(grey, cell, cell.radius, 1.0, change, centre)
    for _ in range(more if contrast else 0):
        cell, change = bank[rng.integers(len(bank))], draw_change(str(rng.choice(kinds)), rng)
        size = radius * rng.uniform(0.85, 1.1)
        centre = np.array(rng.uniform((0, 0), grey.shape[::-1]), dtype=np.float32)
        place = change.box(centre, size)
        taken = np.concatenate([xyxy, image.rejected])
        if greatest_overlap(place[np.newaxis], taken)[0] > 0.06 or not _shows(place, grey.shape):
            continue
        strength = contrast / cell.contrast * rng.uniform(0.7, 1.3)
        xyxy = np.vstack([xyxy, _put(grey, cell, size, strength, change, centre)])
    limited = np.clip(grey, image.grey.min(), image.grey.max()).astype(np.uint8)
    return replace(image, grey=limited, xyxy=xyxy.astype(np.float32))


def without(image: LabelledImage, others: Float32Array, rng: np.random.Generator) -> LabelledImage:
    """Return the image with the background in place of (n, 4) other objects."""
    grey = image.grey.astype(np.float32)
    background, noise = _background(grey, np.concatenate([image.xyxy, others]))
    for x0, y0, x1, y1 in others:
        half = 0.75 * max(x1 - x0, y1 - y0)
        window, x, y = _window(grey.shape, (x0 + x1) / 2, (y0 + y1) / 2, half)
        soft = _soft(np.hypot(x / (x1 - x0) * 2, y / (y1 - y0) * 2), 1.3)
        grain = noise * rng.standard_normal(soft.shape, dtype=np.float32)
        grey[window] += soft * (background[window] + grain - grey[window])
    return replace(image, grey=np.clip(grey, 0, 255).astype(np.uint8))


def draw_change(kind: str, rng: np.random.Generator) -> Change:
    """Draw a change; see `KINDS`."""
    stretch, bend = (rng.uniform(0.95, 1.1), rng.uniform(0.95, 1.05)), 0.0
    spikes, paint = np.empty((0, 3), dtype=np.float32), np.empty((0, 4), dtype=np.float32)
    if kind == "oval":
        aspect = rng.uniform(1.2, 2.2)
        stretch = (np.sqrt(aspect), 1 / np.sqrt(aspect))
    elif kind == "rod":
        stretch = (rng.uniform(1.2, 1.8), rng.uniform(0.25, 0.5))
    elif kind == "banana":
        stretch, bend = (rng.uniform(1.2, 1.6), rng.uniform(0.35, 0.6)), rng.uniform(0.1, 0.9)
        if rng.random() < 0.7:
            middle = _scattered(rng, int(rng.integers(2, 9)), 0.45, (0.15, 0.4), (0.3, 1.5))
            paint = middle * np.array([1, 0.6, 1, 1], dtype=np.float32)
    elif kind == "giant":
        stretch = (rng.uniform(1.2, 1.6), rng.uniform(1.15, 1.5))
    elif kind == "small":
        stretch = (rng.uniform(0.5, 0.8), rng.uniform(0.5, 0.8))
    elif kind == "crenated":
        count = int(rng.integers(6, 18))
        angles = (np.arange(count) + rng.normal(0, 0.25, count)) * 2 * np.pi / count
        heights, sharp = rng.uniform(0.04, 0.25, count), rng.uniform(15, 80)
        spikes = np.column_stack([angles, heights, np.full(count, sharp)]).astype(np.float32)
        stretch = (rng.uniform(0.75, 1.1), rng.uniform(0.7, 1.0))
        paint = _scattered(rng, int(rng.integers(0, 12)), 0.8, (0.06, 0.14), (-0.8, 0.4))
    elif kind == "ring":
        paint = _rings(rng)
    elif kind == "growing":
        stretch = (rng.uniform(1, 1.25), rng.uniform(0.95, 1.2))
        paint = _scattered(rng, int(rng.integers(2, 7)), 0.45, (0.15, 0.4), (0.4, 1.6))
    elif kind == "grains":
        stretch = (rng.uniform(0.9, 1.3), rng.uniform(0.9, 1.25))
        paint = _scattered(rng, int(rng.integers(8, 26)), 0.85, (0.08, 0.2), (0.3, 1.6))
    turn, original_turn = (float(angle) for angle in rng.uniform(0, 2 * np.pi, 2))
    return Change(stretch, bend, turn, original_turn, spikes, paint)


def _scattered(
    rng: np.random.Generator,
    count: int,
    reach: float,
    widths: tuple[float, float],
    depths: tuple[float, float],
) -> Float32Array:
    """Draw spots within `reach` of the centre; one time in five they are bright, not dark."""
    distance, turn = reach * np.sqrt(rng.random(count)), rng.uniform(0, 2 * np.pi, count)
    sign = -0.5 if rng.random() < 0.2 else 1.0
    spots = [
        distance * np.cos(turn),
        distance * np.sin(turn),
        rng.uniform(*widths, count),
        sign * rng.uniform(*depths, count),
    ]
    return np.column_stack(spots).astype(np.float32)


def _rings(rng: np.random.Generator) -> Float32Array:
    """Draw one to three rings of small spots, each with a larger one."""
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        (x, y, _, depth), radius = (
            _scattered(rng, 1, 0.6, (1, 1), (0.3, 1.5))[0],
            rng.uniform(0.1, 0.25),
        )
        turns = np.linspace(0, 2 * np.pi, 12)
        ring = np.column_stack([x + radius * np.cos(turns), y + radius * np.sin(turns)])
        widths = np.where(np.arange(12) == 0, rng.uniform(0.08, 0.14), rng.uniform(0.04, 0.07))
        parts.append(np.column_stack([ring, widths, np.full(12, depth)]))
    return np.concatenate(parts).astype(np.float32)


def _free(image: LabelledImage) -> np.ndarray:
    """Return which cells are round, whole, and touch no other box."""
    xyxy, shape = image.xyxy, image.grey.shape
    sides = xyxy[:, 2:] - xyxy[:, :2]
    room = np.column_stack([xyxy[:, :2], np.array([shape[1], shape[0]]) - xyxy[:, 2:]])
    free = (room.min(axis=1, initial=np.inf) > 3) & (sides.min(axis=1, initial=np.inf) > 8)
    free &= sides.max(axis=1, initial=0) < 1.35 * sides.min(axis=1, initial=np.inf)
    first, second, share = overlapping_pairs(xyxy, xyxy)
    free[first[(first != second) & (share > 0.02)]] = False
    free &= greatest_overlap(xyxy, image.rejected) < 0.01
    return np.asarray(free)


def _background(grey: Float32Array, xyxy: Float32Array) -> tuple[Float32Array, float]:
    """Return the (Y, X) grey level beside the cells, spread under them, and its grain."""
    beside = np.ones(grey.shape, dtype=np.float32)
    for x0, y0, x1, y1 in xyxy.round().astype(int):
        beside[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = 0
    if beside.mean() < 0.02:
        return np.full_like(grey, np.percentile(grey, 90)), 1.0
    small = slice(None, None, COARSE)
    blurred = ndimage.gaussian_filter(grey, 1.0)
    grain = float((grey - blurred)[beside > 0].std())
    values, weights = (blurred * beside)[small, small], beside[small, small]
    total, weight = np.zeros_like(values), np.full_like(values, 1e-9)
    for width in (5, 15, 60):
        # Near background counts most; far background only where there is no other.
        factor = 10.0 ** (-0.05 * width)
        total += factor * ndimage.gaussian_filter(values, width / 2)
        weight += factor * ndimage.gaussian_filter(weights, width / 2)
    rows, columns = (np.arange(length) // COARSE for length in grey.shape)
    spread = (total / weight)[rows[:, None], columns[None]]
    return ndimage.gaussian_filter(spread.astype(np.float32), COARSE), grain


def _cut(
    grey: Float32Array, background: Float32Array, box: Float32Array
) -> tuple[tuple[tuple[slice, slice], Float32Array, Float32Array], CutCell]:
    """Return the window that a cell is cut from, its soft edge and residual there, and the cell."""
    x0, y0, x1, y1 = (float(side) for side in box)
    radii = ((x1 - x0) / 2, (y1 - y0) / 2)
    window, x, y = _window(grey.shape, (x0 + x1) / 2, (y0 + y1) / 2, 1.3 * max(radii))
    soft = _soft(np.hypot(x / radii[0], y / radii[1]), REACH)
    residual = soft * (grey[window] - background[window])
    # The middle of the cell is made that of the array.
    rows = ndimage.shift(residual, [_off_middle(y[:, 0]), _off_middle(x[0])], order=1)
    return (window, soft, residual), CutCell(rows, radii)


def _off_middle(axis: Float32Array) -> float:
    """Return how far the place 0 lies before the middle of evenly spaced places."""
    return float((axis[0] + axis[-1]) / 2)


def _put(
    grey: Float32Array,
    cell: CutCell,
    radius: float,
    strength: float,
    change: Change,
    centre: Float32Array,
) -> Float32Array:
    """Add a changed cell to `grey`, in place; return its box."""
    window, x, y = _window(grey.shape, float(centre[0]), float(centre[1]), 2.2 * radius)
    u, v = change.origin(x / radius, y / radius)
    outline = change.outline(np.arctan2(v, u))
    u, v = u / outline, v / outline
    cosine, sine = np.cos(change.original_turn), np.sin(change.original_turn)
    middle_y, middle_x = (np.array(cell.residual.shape) - 1) / 2
    rows = (sine * u + cosine * v) * cell.radii[1] + middle_y
    columns = (cosine * u - sine * v) * cell.radii[0] + middle_x
    moved = ndimage.map_coordinates(cell.residual, [rows, columns], order=1, cval=0.0)
    inside, depth = _soft(np.hypot(u, v), 0.85), cell.contrast
    for at_x, at_y, width, height in change.paint:
        spot = np.exp(-((u - at_x) ** 2 + (v - at_y) ** 2) / width**2)
        moved += inside * depth * height * spot
    grey[window] += np.float32(strength) * moved
    limit = np.array([grey.shape[1], grey.shape[0]] * 2)
    return np.clip(change.box(centre, radius), 0, limit).astype(np.float32)


def _contrast(grey: Float32Array, background: Float32Array, xyxy: Float32Array) -> float:
    """Return the median difference of cells from the background; 0 where that is not clear."""
    middle = ((xyxy[:, :2] + xyxy[:, 2:]) / 2).astype(int)
    third = ((xyxy[:, 2:] - xyxy[:, :2]) / 3).astype(int)
    height, width = grey.shape
    parts = []
    for step in (-1, 1):
        rows = np.clip(middle[:, 1] + step * third[:, 1], 0, height - 1)
        parts.append((grey - background)[rows, np.clip(middle[:, 0], 0, width - 1)])
    contrast = float(np.median(np.concatenate(parts)))
    return contrast if abs(contrast) > 5 else 0.0


def _shows(box: Float32Array, shape: tuple[int, ...]) -> bool:
    """Return whether a good part of a box lies in the image."""
    limit = np.array([shape[1], shape[0]] * 2)
    inside = np.clip(box, 0, limit)
    return bool(np.prod(inside[2:] - inside[:2]) > 0.4 * np.prod(box[2:] - box[:2]))


def _window(
    shape: tuple[int, ...], centre_x: float, centre_y: float, half: float
) -> tuple[tuple[slice, slice], Float32Array, Float32Array]:
    """Return a window of the image around a place, and the pixels' x and y from there."""
    top, left = max(0, int(centre_y - half)), max(0, int(centre_x - half))
    bottom, right = min(shape[0], int(centre_y + half) + 2), min(shape[1], int(centre_x + half) + 2)
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    window = (slice(top, bottom), slice(left, right))
    return window, x + 0.5 - np.float32(centre_x), y + 0.5 - np.float32(centre_y)


def _soft(away: Float32Array, edge: float) -> Float32Array:
    """Return 1 well within `edge`, 0 well beyond it."""
    return np.asarray(np.clip((edge - away) / 0.12 + 0.5, 0, 1), dtype=np.float32)
