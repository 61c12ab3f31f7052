"""Keeps triton, which torch loads, out of a process that draws with Mesa's LLVM.

Mesa's software and AMD drivers load libLLVM; libtriton brings an LLVM of its own, and whichever
comes second binds to the other's symbols: the process ends with a segmentation fault (torch 2.15,
triton as pip installs it, Mesa 22.3). napari has opened OpenGL long before a worker imports torch.
Nothing here needs triton: it serves `torch.compile` only.
"""

from __future__ import annotations

import sys
from pathlib import Path

MAPS = Path("/proc/self/maps")


def keep_triton_out() -> None:
    """Let `import triton` fail politely if it would crash; call before torch is imported."""
    if "triton" not in sys.modules and _has_llvm_of_mesa():
        # None makes the import raise ImportError, which torch takes for "not installed".
        sys.modules["triton"] = None  # type: ignore[assignment]


def _has_llvm_of_mesa() -> bool:
    try:
        return "libLLVM" in MAPS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Windows and macOS have no such file, and no Mesa either.
        return False
