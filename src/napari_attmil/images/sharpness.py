"""Which plane of a z-stack is the sharpest, and which channel looks like bright field.

What was found is kept in the user's cache, so that a file is not decoded each time it is opened.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
import platformdirs
from numpy.typing import NDArray
from scipy import ndimage

from napari_attmil.core import UserError, write_json
from napari_attmil.images.formats import decode_page, file_header

MEASURE: Final = 1
"""To be raised if the measures change, so that what an earlier one found is not used."""
_FINE_PX, _COARSE_PX = 1.0, 2.0
_WINDOW_PX: Final = 512
"""Of images of more than twice this side, four windows are measured."""


def sharpness(image: NDArray[Any]) -> float:
    """Return how much fine structure an image has; the sharpest plane of a z-stack has most.

    It is the energy between two Gaussian blurs, of 1 and 2 pixels, relative to the light. Anything
    finer is mostly noise, by which the variance of the Laplacian is misled; anything coarser is
    strong in the wide rims of cells that are far out of focus (`benchmarks/focus_planes.py`).

    Parameters
    ----------
    image : (Y, X) or (Y, X, 3) array
    """
    grey = image.mean(axis=-1) if image.ndim == 3 else image
    energy = [_band_energy(window.astype(np.float32)) for window in _windows(grey)]
    light = float(grey.mean(dtype=np.float64))
    return float(np.mean(energy)) / light**2 if light > 0 else 0.0


def _windows(grey: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield an image, or parts of a large one: the middles of its quarters."""
    if max(grey.shape) <= 2 * _WINDOW_PX:
        yield grey
        return
    for y in (1, 3):
        for x in (1, 3):
            top, left = (
                max(0, side * quarter // 4 - _WINDOW_PX // 2)
                for side, quarter in zip(grey.shape, (y, x), strict=True)
            )
            yield grey[top : top + _WINDOW_PX, left : left + _WINDOW_PX]


def _band_energy(grey: NDArray[np.float32]) -> float:
    fine, coarse = (ndimage.gaussian_filter(grey, sigma) for sigma in (_FINE_PX, _COARSE_PX))
    return float(((fine - coarse) ** 2).mean(dtype=np.float64))


def likeness_to_bright_field(image: NDArray[Any]) -> float:
    """Return how much an image looks like bright field: grey cells on a ground full of light.

    In fluorescence the ground, which most pixels show, is near the darkest of all; in bright field
    it is far above that, and bright. The measure is the product of both.
    """
    grey = image.mean(axis=-1) if image.ndim == 3 else image
    low, ground, high = np.percentile(grey[::2, ::2], (0.5, 50, 99.5))
    return float(ground * (ground - low) / (high - low)) if high > low else 0.0


def sharpest_pages(path: Path, stacks: Sequence[Sequence[int]]) -> Generator[int, None, list[int]]:
    """Return the sharpest page of each z-stack of a file; yield how many stacks are done.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    question = f"sharpest of {blake2b(repr(stacks).encode(), digest_size=12).hexdigest()}"
    kept = _kept(path).get(question)
    if (
        isinstance(kept, list)
        and len(kept) == len(stacks)
        and all(page in stack for page, stack in zip(kept, stacks, strict=True))
    ):
        return kept
    found = []
    for number, stack in enumerate(stacks):
        yield number
        measured = [sharpness(decode_page(path, page)) for page in stack]
        found.append(stack[int(np.argmax(measured))])
    _keep(path, question, found)
    return found


def bright_field_channel(path: Path) -> int:
    """Return the channel of a file that looks most like bright field, from 0, by its first place.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    axes = file_header(path).axes
    kept = _kept(path).get("channel")
    if isinstance(kept, int) and kept in range(axes.sizes["C"]):
        return kept
    known = [(page, at) for page, at in enumerate(axes.positions) if at is not None]
    first = known[0][1]
    likeness = []
    for channel in range(axes.sizes["C"]):
        here = first._replace(channel=channel)
        pages = [page for page, at in known if at[:3] == here[:3]]
        middle = decode_page(path, pages[len(pages) // 2]) if pages else None
        likeness.append(-1.0 if middle is None else likeness_to_bright_field(middle))
    found = int(np.argmax(likeness))
    _keep(path, "channel", found)
    return found


def _place(path: Path) -> Path:
    """Return where in the cache it is kept what was found in a file as it is now."""
    status = path.stat()
    about = (str(path.absolute()), status.st_size, status.st_mtime_ns, MEASURE)
    name = blake2b(repr(about).encode(), digest_size=12).hexdigest()
    return platformdirs.user_cache_path("napari-attmil") / "planes" / f"{name}.json"


def _kept(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        content = json.loads(_place(path).read_text("utf-8"))
        if isinstance(content, dict):
            return content
    return {}


def _keep(path: Path, question: str, answer: Any) -> None:
    with suppress(OSError, UserError):  # a cache that cannot be written costs time only
        write_json(_place(path), {**_kept(path), question: answer})
