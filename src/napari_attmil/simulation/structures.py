"""What else a field of view shows: channels, pillars, counting grids, scratches, bubbles, writing.

A detector that was never shown them takes their edges for cells. Structures of the specimen are
optical thickness, so that `bright_field` gives them the same rims as cells; what is burnt into a
picture is drawn on it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Structure = Literal[
    "channel", "constriction", "pillars", "grid", "scratches", "bubbles", "writing", "pointer"
]
STRUCTURES: Final[tuple[Structure, ...]] = get_args(Structure)
_SOFT_SHARE: Final = 0.02
"""The edge of a wall is as soft as this share of a cell's diameter, or up to five times that."""


@dataclass(frozen=True, eq=False)
class Walls:
    """The structures of a specimen.

    Attributes
    ----------
    thickness_um : (Y, X) float32
        Optical thickness, negative where less dense than the medium.
    room : (Y, X) bool
        Where cells may lie.
    """

    thickness_um: NDArray[np.float32]
    room: NDArray[np.bool_]


def draw_walls(
    kind: Structure, shape: tuple[int, int], diameter_px: float, rng: np.random.Generator
) -> Walls | None:
    """Draw a structure of the specimen, in units of a cell's diameter.

    Parameters
    ----------
    kind
        One of `STRUCTURES`.
    shape
        Height and width of the field with its margins.
    diameter_px
        Diameter of a normal cell.
    rng
        Decides on place, size and strength.

    Returns
    -------
    Walls or None
        None where the kind is burnt into the picture; see `burn_in`.
    """
    draw = _WALLS.get(kind)
    if draw is None:
        return None
    y, x = (np.indices(shape, dtype=np.float32) - np.array(shape)[:, None, None] / 2) / diameter_px
    angle = (0.0, np.pi / 2, rng.uniform(0, np.pi))[rng.integers(3)]
    along = np.cos(angle) * x + np.sin(angle) * y
    across = np.cos(angle) * y - np.sin(angle) * x
    thickness_um, room = draw(along, across, rng)
    soft_px = diameter_px * _SOFT_SHARE * rng.uniform(1, 5)
    return Walls(ndimage.gaussian_filter(thickness_um.astype(np.float32), soft_px), room)


def burn_in(kind: Structure, image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Draw writing with a scale bar, or a pointer, on a (Y, X) picture, in place."""
    height, width = image.shape
    ink = (0, 255, int(rng.integers(0, 256)))[rng.integers(3)]
    if kind == "writing":
        picture = Image.fromarray(image)
        _write(ImageDraw.Draw(picture), (width, height), ink, rng)
        image[:] = np.asarray(picture)
    elif kind == "pointer":
        tip = rng.uniform(0.25, 0.75, 2) * (width, height)
        turn, thick = rng.uniform(0, 2 * np.pi), rng.uniform(0.004, 0.03) * width
        end = tip + 2 * width * np.array([np.cos(turn), np.sin(turn)])
        side = thick * np.array([-np.sin(turn), np.cos(turn)])
        ends = [tip, end + side * rng.uniform(1, 6), end - side * rng.uniform(1, 6)]
        cover = Image.new("F", (width, height))
        ImageDraw.Draw(cover).polygon([(float(x), float(y)) for x, y in ends], fill=1.0)
        grey = int(rng.integers(0, 60))
        soft = ndimage.gaussian_filter(np.asarray(cover), rng.uniform(0, 1.5))
        image[:] = np.rint(image + soft * (grey - image.astype(np.float32)))


def _write(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], ink: int, rng: np.random.Generator
) -> None:
    """Write labels, and a bar with or without its ends."""
    signs = "0123456789 µm x:/-.ABCDEFGHIKLMNOPRSTUVXabcdefghiklmnoprstuvxyz"
    for _ in range(int(rng.integers(1, 5))):
        letters = "".join(rng.choice(list(signs), int(rng.integers(2, 16))))
        font = ImageFont.load_default(float(rng.uniform(9, 34)))
        place = rng.uniform(0, 0.95, 2) * size
        draw.text((float(place[0]), float(place[1])), letters, fill=ink, font=font)
    x, y = rng.uniform(0.02, 0.9, 2) * size
    length, thick = rng.uniform(0.05, 0.3) * size[0], int(rng.integers(1, 9))
    draw.line([(x, y), (x + length, y)], fill=ink, width=thick)
    if rng.random() < 0.5:
        for end in (x, x + length):
            draw.line(
                [(end, y - 4 - thick), (end, y + 4 + thick)], fill=ink, width=max(1, thick // 2)
            )


_Field = tuple["NDArray[np.float32]", "NDArray[np.bool_]"]


def _strength_um(rng: np.random.Generator, most: float = 12.0) -> float:
    return float(rng.choice([-1, 1]) * rng.uniform(0.1, 1) * most)


def _channel(
    along: NDArray[np.float32], across: NDArray[np.float32], rng: np.random.Generator
) -> _Field:
    """Draw one straight channel, or parallel ones."""
    half = rng.uniform(0.7, 4.0)
    distance = across - rng.uniform(-1, 1)
    if rng.random() < 0.4:
        pitch = 2 * half + rng.uniform(0.3, 4)
        distance = (distance + pitch / 2) % pitch - pitch / 2
    wall = np.abs(distance) > half
    band = wall & (np.abs(distance) < half + rng.uniform(0.1, 1.0))
    solid = rng.random() < 0.6
    thickness = _strength_um(rng) * (wall if solid else band)
    closed_end = along > rng.uniform(0, 6) if rng.random() < 0.3 else np.zeros_like(wall)
    thickness = np.where(closed_end & ~wall, _strength_um(rng), thickness)
    return thickness.astype(np.float32), ~(wall | closed_end)


def _constriction(
    along: NDArray[np.float32], across: NDArray[np.float32], rng: np.random.Generator
) -> _Field:
    """Draw a channel that narrows to about a cell's width, once or several times."""
    wide, narrow = rng.uniform(1.2, 6), rng.uniform(0.25, 0.6)
    place, length, slope = rng.uniform(-3, 3), rng.uniform(0.2, 3), rng.uniform(0.1, 3)
    s = along - place
    if rng.random() < 0.4:
        pitch = 2 * (length + slope) + rng.uniform(1, 5)
        s = (s + pitch / 2) % pitch - pitch / 2
    share = np.clip((np.abs(s) - length) / slope, 0, 1)
    half = narrow + (wide - narrow) * share
    wall = np.abs(across - rng.uniform(-0.5, 0.5)) > half
    thickness = _strength_um(rng) * wall
    return thickness.astype(np.float32), ~wall


def _pillars(
    along: NDArray[np.float32], across: NDArray[np.float32], rng: np.random.Generator
) -> _Field:
    """Draw an array of round or square posts, larger than cells or far smaller."""
    radius = rng.uniform(0.8, 2.0) if rng.random() < 0.7 else rng.uniform(0.1, 0.2)
    pitch = 2 * radius + rng.uniform(1.2, 3.0)
    shift = rng.uniform(0, pitch, 2)
    row = np.floor((across + shift[1]) / pitch)
    u = (along + shift[0] + (row % 2) * pitch * rng.choice([0, 0.5])) % pitch - pitch / 2
    v = (across + shift[1]) % pitch - pitch / 2
    square = rng.random() < 0.4
    inside = np.maximum(np.abs(u), np.abs(v)) < radius if square else np.hypot(u, v) < radius
    return (_strength_um(rng) * inside).astype(np.float32), ~inside


def _grid(
    along: NDArray[np.float32], across: NDArray[np.float32], rng: np.random.Generator
) -> _Field:
    """Draw the ruling of a counting chamber: single, double or triple lines both ways."""
    pitch, width = rng.uniform(2.5, 12), rng.uniform(0.02, 0.12)
    lines, gap = int(rng.integers(1, 4)), rng.uniform(0.15, 0.5)
    ruled = np.zeros(along.shape, dtype=bool)
    for axis in (along, across):
        place = rng.uniform(0, pitch)
        for line in range(lines):
            distance = (axis + place + line * gap + pitch / 2) % pitch - pitch / 2
            ruled |= np.abs(distance) < width / 2
    return (_strength_um(rng, 4.0) * ruled).astype(np.float32), np.ones_like(ruled)


def _scratches(
    along: NDArray[np.float32], across: NDArray[np.float32], rng: np.random.Generator
) -> _Field:
    """Draw thin curved lines and fibres."""
    thickness = np.zeros(along.shape, dtype=np.float32)
    for _ in range(int(rng.integers(2, 14))):
        turn, offset, bend = rng.uniform(0, np.pi), rng.uniform(-6, 6), rng.normal(0, 0.04)
        u = np.cos(turn) * along + np.sin(turn) * across
        v = np.cos(turn) * across - np.sin(turn) * along
        start, length = rng.uniform(-8, 4), rng.uniform(1, 16)
        part = (u > start) & (u < start + length)
        line = np.abs(v - offset - bend * u * u) < rng.uniform(0.02, 0.15)
        thickness += np.where(part & line, _strength_um(rng, 4.0), 0).astype(np.float32)
    return thickness, np.ones(along.shape, dtype=bool)


def _bubbles(
    along: NDArray[np.float32], across: NDArray[np.float32], rng: np.random.Generator
) -> _Field:
    """Draw bubbles and drops, all larger than a cell."""
    thickness = np.zeros(along.shape, dtype=np.float32)
    for _ in range(int(rng.integers(1, 6))):
        radius = rng.uniform(1.1, 5)
        u, v = along - rng.uniform(-6, 6), across - rng.uniform(-6, 6)
        dome = np.sqrt(np.maximum(1 - (u * u + v * v) / radius**2, 0))
        thickness += (_strength_um(rng) * dome).astype(np.float32)
    return thickness, thickness == 0


_WALLS: Final[dict[Structure, Callable[..., _Field]]] = {
    "channel": _channel,
    "constriction": _constriction,
    "pillars": _pillars,
    "grid": _grid,
    "scratches": _scratches,
    "bubbles": _bubbles,
}
