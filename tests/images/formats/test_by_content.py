"""Any image file: its format, what is remembered of it, and what is said of a bad one."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from numpy.testing import assert_array_equal

from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample
from napari_attmil.images.reading import (
    open_frames,
    read_frame,
    read_images,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def test_content_is_believed_rather_than_the_name(
    tmp_path: Path, noise: Callable[..., Any], write_png: Callable[..., Any]
) -> None:
    image = noise(20, 30)
    write_png(tmp_path / "really-a-png.tif", image)
    assert_array_equal(read_frame(Frame(tmp_path / "really-a-png.tif")), image)


def test_file_that_changed_is_read_anew(
    tmp_path: Path, noise: Callable[..., Any], write_png: Callable[..., Any]
) -> None:
    path = write_png(tmp_path / "x.png", noise(20, 30))
    frame = Frame(path)
    assert read_frame(frame).shape == (20, 30)
    write_png(path, noise(40, 50, 3))
    assert read_images(Sample("s", "s", None, (frame,))).shape == (1, 40, 50, 3)


@pytest.mark.parametrize("name", ["x.tif", "x.png", "x.jpg", "x.bmp", "x.czi"])
def test_text_file_with_the_name_of_an_image_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("dear reader, this is no image")
    with pytest.raises(UserError, match=f"{name}' is named .* but is no image"):
        open_frames(tmp_path)


def test_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tif").touch()
    with pytest.raises(UserError, match=r"x\.tif' is empty \(0 bytes\)"):
        open_frames(tmp_path)


def test_page_beyond_the_end_is_refused(
    tmp_path: Path, noise: Callable[..., Any], write_png: Callable[..., Any]
) -> None:
    path = write_png(tmp_path / "x.png", noise(6, 8))
    with pytest.raises(UserError, match="now holds 1 image, but image 2 was listed"):
        read_frame(Frame(path, 1))
    with pytest.raises(UserError, match="now holds 1 image, but image 2 was listed"):
        read_images(Sample("s", "s", None, (Frame(path, 1),)))


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_broken_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tif").symlink_to(tmp_path / "gone.tif")
    with pytest.raises(UserError, match=r"x\.tif' does not exist"):
        open_frames(tmp_path)


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0, reason="root and Windows may read whatever chmod forbids"
)
def test_forbidden_file_and_folder_are_named(
    tmp_path: Path, noise: Callable[..., Any], write_png: Callable[..., Any]
) -> None:
    path = write_png(tmp_path / "a" / "x.png", noise(6, 8))
    path.chmod(0)
    with pytest.raises(UserError, match=r"x\.png' may not be read \(permission denied\)"):
        open_frames(path)
    path.parent.chmod(0)
    with pytest.raises(UserError, match=r"Folder .* may not be read"):
        open_frames(tmp_path)
    with pytest.raises(UserError, match=r"x\.png' may not be read \(permission denied\)"):
        open_frames(path)
    path.parent.chmod(0o700)


def test_file_that_the_system_forbids_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/x.png")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"x\.png' may not be read \(permission denied\)"):
        open_frames(tmp_path)
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UserError, match=r"Folder .* may not be read \(Permission denied\)"):
        open_frames(tmp_path)


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (2**31 - 1, 2**31 - 1)])
def test_a_size_that_no_image_has_is_refused_before_memory_is_asked_for(
    tmp_path: Path, width: int, height: int
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBB3x", 13, b"IHDR", width, height, 8, 0)
    )
    with pytest.raises(UserError, match=f"a size of {width} x {height} pixels"):
        open_frames(path)
