"""SPE files, written by the offsets of the format: a film, every number type, a wrong count."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from napari_attmil.core import UserError
from napari_attmil.images.formats import file_header
from napari_attmil.images.plane_choice import PlaneChoice
from napari_attmil.images.reading import open_sample, read_frame

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

KINDS = {"float32": 0, "int32": 1, "int16": 2, "uint16": 3}
FILM = np.random.default_rng(1).integers(0, 4096, (3, 20, 30), np.uint16)


def write(path: Path, film: NDArray[Any], stated: int | None = None) -> Path:
    header = bytearray(4100)
    count, height, width = film.shape
    struct.pack_into("<H", header, 42, width)
    struct.pack_into("<H", header, 656, height)
    struct.pack_into("<h", header, 108, KINDS[str(film.dtype)])
    struct.pack_into("<i", header, 1446, count if stated is None else stated)
    struct.pack_into("<f", header, 1992, 2.5)
    path.write_bytes(bytes(header) + film.astype(film.dtype.newbyteorder("<")).tobytes())
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_film_shows_its_first_time_point_unless_all_are_fields(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "a.spe", FILM.astype(kind))
    (frame,) = open_sample(path).frames
    assert_array_equal(read_frame(frame), FILM[0])
    every = open_sample(path, planes=PlaneChoice(time="all")).frames
    assert_array_equal([read_frame(frame) for frame in every], FILM)
    assert file_header(path).pixel_size_um is None


@pytest.mark.parametrize(("stated", "held"), [(5, 3), (0, 0), (-1, 0)])
def test_a_file_with_fewer_frames_than_it_states_is_refused(
    tmp_path: Path, stated: int, held: int
) -> None:
    path = write(tmp_path / "a.spe", FILM, stated)
    with pytest.raises(UserError, match=f"it states {stated} frames, but holds {held};"):
        open_sample(path)


@pytest.mark.parametrize("size", [10, 2000, 4100])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a.spe", FILM)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match="cannot be read"):
        open_sample(path)
