from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from napari_attmil.widgets.parts import graphics_clash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def maps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Pretend which libraries this process has loaded."""
    path = tmp_path / "maps"
    monkeypatch.setattr(graphics_clash, "MAPS", path)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    yield path
    sys.modules.pop("triton", None)


def test_triton_cannot_be_imported_beside_the_llvm_of_mesa(maps: Path) -> None:
    maps.write_text("7f00-7f01 r-xp 00000000 08:01 1  /usr/lib/x86_64-linux-gnu/libLLVM-15.so.1\n")
    graphics_clash.keep_triton_out()
    with pytest.raises(ImportError):
        import triton  # noqa: F401


def test_triton_is_left_alone_without_it(maps: Path) -> None:
    maps.write_text("7f00-7f01 r-xp 00000000 08:01 1  /usr/lib/libGLX_nvidia.so.0\n")
    graphics_clash.keep_triton_out()
    assert "triton" not in sys.modules


def test_system_without_such_a_list_is_left_alone(maps: Path) -> None:
    graphics_clash.keep_triton_out()
    assert "triton" not in sys.modules


def test_triton_that_was_loaded_first_stays(maps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps.write_text("/usr/lib/libLLVM-15.so.1")
    monkeypatch.setitem(sys.modules, "triton", sys)
    graphics_clash.keep_triton_out()
    assert sys.modules["triton"] is sys
