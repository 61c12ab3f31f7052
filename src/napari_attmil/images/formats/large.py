"""Large fields of view, as scans of whole slides: parts are decoded when they are asked for."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_attmil.core import Remedy, UserError

if TYPE_CHECKING:
    from collections.abc import Hashable

LARGE_PX: Final = 32_000_000
"""A field of view of more pixels is decoded in parts, where its file is made of such."""
_DECODING_TAKES: Final = 2
"""The packed or raw bytes, and the pixels that are made of them."""
_SMALL_BYTES: Final = 200_000_000
"""Less is decoded without asking how much memory is free."""
_CACHE_BYTES: Final = 256 * 2**20
_THREADS: Final = 4
_CHUNK_PX: Final = 256
_WINDOWS, _WINDOW_PX = 8, 128
"""As many windows each way, of this side, tell the brightness of a large image."""


class Level(Protocol):
    """A field of view at one resolution: (Y, X) or (Y, X, S), read by slices."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns and, in colour, samples."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its pixels."""

    def __getitem__(self, place: tuple[slice, slice]) -> Any:
        """Return a part; steps are positive."""


@dataclass(frozen=True, eq=False)
class LargeImage:
    """A field of view that behaves as an array, of which parts are read when they are asked for.

    Rows and columns are chosen by slices with positive steps, whole numbers, or arrays of these as
    `numpy.ix_` gives them.

    Attributes
    ----------
    levels : tuple of Level
        The image itself, then smaller copies of it, if there are any.
    name : str
        What it is called where there is no room for it.
    """

    levels: tuple[Level, ...]
    name: str = "The image"

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X) or (Y, X, 3)."""
        height, width, *samples = self.levels[0].shape
        return (height, width, 3) if samples else (height, width)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its pixels."""
        return np.dtype(self.levels[0].dtype)

    @property
    def ndim(self) -> int:
        """2, or 3 in colour."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Decode all of it.

        Raises
        ------
        UserError
            If it would not fit into memory.
        """
        if copy is False:
            raise ValueError("a large image is decoded from a file, so an array of it is a copy")
        check_room(self.name, self.shape, self.dtype)
        return np.asarray(self[:, :], dtype)

    def __getitem__(self, place: Any) -> NDArray[Any]:
        """Decode a part."""
        rows, columns, *samples = (*(place if isinstance(place, tuple) else (place,)), slice(None))[
            :3
        ]
        wanted = [
            _axis(each, size) for each, size in zip((rows, columns), self.shape, strict=False)
        ]
        part: NDArray[Any] = np.asarray(self.levels[0][wanted[0][0], wanted[1][0]])
        part = part[..., :3] if part.ndim == 3 else part
        part = part[wanted[0][1]][:, wanted[1][1]]
        if isinstance(columns, int):
            part = part[:, 0]
        if isinstance(rows, int):
            part = part[0]
        return part[..., samples[0]] if samples and part.ndim == 3 else part

    def cut(self, top: int, left: int, bottom: int, right: int) -> LargeImage:
        """Return a part of the image that is still not read."""
        window = (top, left, min(bottom, self.shape[0]), min(right, self.shape[1]))
        return LargeImage((_Window(self.levels[0], window),), self.name)

    def at(self, factor: int) -> Level:
        """Return the image at 1 / `factor` of its size, not read yet."""
        level, ratio = next(
            (level, ratio)
            for level in reversed(self.levels)
            if (ratio := self._ratio(level)) and factor % ratio == 0
        )
        return level if ratio == factor else _Reduced(level, factor // ratio)

    def _ratio(self, level: Level) -> int:
        """Return by what a level is smaller than the image, 0 if by no whole number."""
        ratio = round(self.shape[0] / level.shape[0])
        # The last row and column of a smaller copy may be left out, or filled up.
        sides = zip(self.shape[:2], level.shape[:2], strict=True)
        return ratio if all(abs(whole - ratio * own) <= ratio for whole, own in sides) else 0

    def overview(self, side_px: int) -> NDArray[Any]:
        """Return the image at a smaller size: no side is shorter than `side_px`, if it is large."""
        fitting = [each for each in self.levels if min(each.shape[:2]) >= side_px]
        level = (fitting or self.levels[:1])[-1]
        step = max(1, min(level.shape[:2]) // side_px)
        part = np.asarray(level[::step, ::step])
        return part[..., :3] if part.ndim == 3 else part

    def sampled(self) -> NDArray[Any]:
        """Return small windows of the image one above the other, for its brightness and contrast.

        A smaller copy of the image would do for its brightness; in that, contrast is weaker.
        """
        height, width = self.shape[:2]
        parts = [
            self[top : top + _WINDOW_PX, left : left + _WINDOW_PX]
            for top in _starts(height)
            for left in _starts(width)
        ]
        return np.concatenate(parts)

    @cached_property
    def grey_limits(self) -> tuple[float, float]:
        """The 0.5 and 99.5 percentiles, of small windows."""
        return grey_limits(self.sampled())


def check_room(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse a field of view that would not fit into memory, before any is asked for.

    Raises
    ------
    UserError
        If there is not enough.
    """
    needed = _DECODING_TAKES * math.prod(shape) * dtype.itemsize
    if needed <= _SMALL_BYTES or needed <= (free := psutil.virtual_memory().available):
        return
    raise UserError(
        f"{name} states {shape[1]:,} x {shape[0]:,} pixels, for which {needed / 1e9:.1f} GB of "
        f"memory are needed, and {free / 1e9:.1f} GB are free; close other programs, export a part "
        "of the image, or leave it out.",
        Remedy.OPEN_IMAGES,
    )


def grey_limits(pixels: NDArray[Any]) -> tuple[float, float]:
    """Return the 0.5 and 99.5 percentiles of pixels, without those that are no numbers."""
    low, high = np.nanpercentile(np.asarray(pixels, dtype=np.float64), (0.5, 99.5))
    return float(low), float(high)


def _starts(length: int) -> list[int]:
    ends = np.linspace(0, max(length - _WINDOW_PX, 0), _WINDOWS + 2)[1:-1]
    return [int(start) for start in ends]


def _axis(wanted: Any, size: int) -> tuple[slice, Any]:
    """Return what is read along an axis, and what is then taken of it."""
    if isinstance(wanted, slice):
        start, stop, step = wanted.indices(size)
        return slice(start, max(start, stop), step), slice(None)
    places = np.atleast_1d(np.asarray(wanted)).ravel()
    places = np.where(places < 0, places + size, places)
    if not len(places):
        return slice(0, 0), slice(None)
    first = int(places.min())
    return slice(first, int(places.max()) + 1), places - first


@dataclass(frozen=True, eq=False)
class _Window:
    """A part of a level, not read yet; `window` is top, left, bottom, right."""

    level: Level
    window: tuple[int, int, int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        top, left, bottom, right = self.window
        return (bottom - top, right - left, *self.level.shape[2:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.level.dtype

    def __getitem__(self, place: tuple[slice, slice]) -> Any:
        return self.level[
            _moved(place[0], self.window[0], self.shape[0]),
            _moved(place[1], self.window[1], self.shape[1]),
        ]


def _moved(part: slice, by: int, size: int) -> slice:
    start, stop, step = part.indices(size)
    return slice(start + by, stop + by, step)


@dataclass(frozen=True, eq=False)
class _Reduced:
    """A level at 1 / `step` of its size: each pixel is the mean of a square."""

    level: Level
    step: int

    @property
    def shape(self) -> tuple[int, ...]:
        height, width, *samples = self.level.shape
        return (-(-height // self.step), -(-width // self.step), *samples)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.level.dtype

    def __getitem__(self, place: tuple[slice, slice]) -> Any:
        step = self.step
        wanted = [part.indices(size) for part, size in zip(place, self.shape, strict=False)]
        whole = [slice(start * step, max(start, stop) * step) for start, stop, _ in wanted]
        part = np.asarray(self.level[whole[0], whole[1]])
        shape = [max(start, stop) - start for start, stop, _ in wanted]
        missing = [(0, n * step - have) for n, have in zip(shape, part.shape, strict=False)]
        part = np.pad(part, [*missing, *[(0, 0)] * (part.ndim - 2)], mode="edge")
        total = np.zeros((*shape, *part.shape[2:]), np.uint32)
        for y in range(step):
            for x in range(step):
                total += part[y::step, x::step]
        mean = (total // step**2).astype(self.dtype)
        return mean[:: wanted[0][2], :: wanted[1][2]]


class LevelStack:
    """Several images at one resolution, as a viewer takes them: (N, Y, X) or (N, Y, X, S).

    A number gives an image that is not read yet, slices of images a part of the stack; pixels are
    read where an image and its rows and columns are given, or an array of the stack is asked for.

    Parameters
    ----------
    images
        The images; those smaller than the stack end in zeros on the right and below.
    plane
        Rows and columns of the stack; of the largest image by default.
    rows, columns
        The part of them that this is.
    """

    def __init__(
        self,
        images: Sequence[Level],
        plane: tuple[int, int] | None = None,
        rows: slice = slice(None),
        columns: slice = slice(None),
    ) -> None:
        sides = zip(*(image.shape[:2] for image in images), strict=True)
        self._images = tuple(images)
        self._plane = plane or tuple(map(max, sides))
        self._rows, self._columns = (
            range(*part.indices(size))
            for part, size in zip((rows, columns), self._plane, strict=True)
        )
        self.dtype = np.dtype(images[0].dtype)
        samples = images[0].shape[2:]
        self.shape = (len(images), len(self._rows), len(self._columns), *samples)
        self.ndim, self.size = len(self.shape), int(np.prod(self.shape))
        self.chunks = (1, _CHUNK_PX, _CHUNK_PX, *samples)
        """A viewer that moves by less than this reads nothing anew."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __getitem__(self, place: Any) -> Any:
        """Return an image, a part of the stack, or pixels of an image."""
        which, *inner = place if isinstance(place, tuple) else (place,)
        if not inner and not isinstance(which, slice):
            return self._images[int(which)]
        asked = (*inner, slice(None), slice(None))
        rows, columns = _within(asked[0], self._rows), _within(asked[1], self._columns)
        if isinstance(which, slice):
            return LevelStack(self._images[which], self._plane, rows, columns)
        image = self._images[int(which)]
        pixels = np.asarray(image[rows, columns])
        sizes = [
            len(range(*part.indices(size)))
            for part, size in zip((rows, columns), self._plane, strict=True)
        ]
        missing = [(0, size - own) for size, own in zip(sizes, pixels.shape, strict=False)]
        if any(map(any, missing)):
            pixels = np.pad(pixels, [*missing, *[(0, 0)] * (pixels.ndim - 2)])
        return pixels

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Decode all of it."""
        stack = [self[index, :, :] for index in range(len(self))]
        return np.stack(stack).astype(dtype or self.dtype, copy=False)


def _within(part: slice, own: range) -> slice:
    """Return a part of a range as a slice."""
    chosen = own[part]
    return slice(chosen.start, max(chosen.start, chosen.stop), chosen.step)


@dataclass(frozen=True, eq=False)
class TiledLevel:
    """A level made of tiles or strips, which are decoded one by one and kept for a while.

    Attributes
    ----------
    key : hashable
        Tells its tiles from those of others.
    shape, dtype
        Of the level.
    tile : (int, int)
        Rows and columns of a tile.
    decode : callable
        Takes numbers of tiles, row by row; gives one (h, w) or (h, w, S) array for each.
    """

    key: Hashable
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    tile: tuple[int, int]
    decode: Callable[[int], NDArray[Any]]

    def __getitem__(self, place: tuple[slice, slice]) -> NDArray[Any]:
        """Decode the tiles of a part, and put them together."""
        rows, columns = (
            range(*part.indices(size)) for part, size in zip(place, self.shape, strict=False)
        )
        out = np.empty((len(rows), len(columns), *self.shape[2:]), self.dtype)
        runs = [(r, c) for r in _runs(rows, self.tile[0]) for c in _runs(columns, self.tile[1])]
        across = -(-self.shape[1] // self.tile[1])
        numbers = [r.tile * across + c.tile for r, c in runs]
        for (r, c), tile in zip(runs, self._tiles(numbers), strict=True):
            out[r.target, c.target] = tile[r.source, c.source]
        return out

    def _tiles(self, numbers: Sequence[int]) -> Sequence[NDArray[Any]]:
        def one(number: int) -> NDArray[Any]:
            return _TILES.get((self.key, number), lambda: self.decode(number))

        if len(numbers) < _THREADS:
            return [one(number) for number in numbers]
        return list(_pool().map(one, numbers))


@dataclass(frozen=True)
class _Run:
    """The part of a tile that goes into a part of the result, along one axis."""

    tile: int
    source: slice
    target: slice


def _runs(wanted: range, tile: int) -> list[_Run]:
    """Return which parts of which tiles hold the wanted rows or columns."""
    found, at = [], 0
    while at < len(wanted):
        number = wanted[at] // tile
        end = min((number + 1) * tile, wanted.stop)
        count = len(range(wanted[at], end, wanted.step))
        first = wanted[at] - number * tile
        source = slice(first, first + (count - 1) * wanted.step + 1, wanted.step)
        found.append(_Run(number, source, slice(at, at + count)))
        at += count
    return found


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(_THREADS, psutil.cpu_count() or 1), "tiles")


class _Tiles:
    """Decoded tiles; those that were used last are kept, up to some memory."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._kept: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, decode: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return a tile, decoded now if it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        tile = decode()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = tile
                self._bytes += tile.nbytes
            while self._bytes > self._most_bytes:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return tile


_TILES: Final = _Tiles(_CACHE_BYTES)
