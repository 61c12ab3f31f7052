"""Small images, and files of them, for the tests of reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest

from napari_attmil.images.reading import open_frames, read_frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture
def noise() -> Callable[..., NDArray[Any]]:
    """Return a maker of images whose every pixel counts."""

    def make(*shape: int, dtype: str = "uint8") -> NDArray[Any]:
        highest = np.iinfo(dtype).max
        return np.random.default_rng(0).integers(0, highest, shape, dtype, endpoint=True)

    return make


@pytest.fixture
def smooth() -> Callable[..., NDArray[np.uint8]]:
    """Return a maker of images that JPEG keeps within a few grey levels."""

    def make(*shape: int) -> NDArray[np.uint8]:
        y, x = np.mgrid[: shape[-2], : shape[-1]]
        ramp = 127 + 60 * np.sin(x / 20) + 60 * np.cos(y / 25)
        return np.broadcast_to(ramp, shape).astype(np.uint8)

    return make


@pytest.fixture
def stack_of() -> Callable[[Path], NDArray[Any]]:
    """Return a reader of all images of a file or folder."""
    return lambda path: np.stack([read_frame(frame) for frame in open_frames(path)])


@pytest.fixture
def write_png() -> Callable[..., Path]:
    """Return a writer of a PNG file, and of the folders above it."""

    def write(path: Path, image: NDArray[Any]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(imagecodecs.png_encode(image))
        return path

    return write


@pytest.fixture
def write_tree(noise: Callable[..., Any], write_png: Callable[..., Path]) -> Callable[..., Path]:
    """Return a writer of a small image at every path given with forward slashes."""

    def write(root: Path, *names: str) -> Path:
        for name in names:
            write_png(root / name, noise(6, 8))
        return root

    return write


@pytest.fixture
def cut() -> Callable[[Path, float], Path]:
    """Return a writer of the first part of a file, beside it, as a broken copy leaves it."""

    def write(path: Path, share: float) -> Path:
        data = path.read_bytes()
        broken = path.with_name(f"cut-{path.name}")
        broken.write_bytes(data[: int(len(data) * share)])
        return broken

    return write
