"""Whether a window can be opened: told before minutes of work, not after them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from napari_attmil.core import UserError

_TRY: Final = "from qtpy.QtWidgets import QApplication; QApplication([])"
"""Run by itself, since Qt ends the whole process where it finds no screen."""
_LONGEST_S: Final = 120


def check_screen() -> None:
    """Refuse to go on where Qt is missing or has no screen.

    Raises
    ------
    UserError
        If no window can be opened.
    """
    reason = _why_no_window_opens()
    if reason:
        raise UserError(f"napari cannot open a window here: {reason}; {_remedy(reason)}.")


def _why_no_window_opens() -> str:
    """Try Qt in another process, which it may abort; return what it said, empty if it works."""
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _TRY],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"Qt did not start within {_LONGEST_S} s"
    return _reason(tried.stderr) if tried.returncode else ""


def _reason(stderr: str) -> str:
    """Return what Qt or Python said last, in one line."""
    if "QtBindingsNotFoundError" in stderr or "No Qt bindings" in stderr:
        return "no Qt binding is installed"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    told = [line for line in lines if "could not connect to display" in line or "Error" in line]
    return (told or lines or ["Qt gave no reason"])[-1].rstrip(".")[:200]


def _remedy(reason: str) -> str:
    if "binding" in reason:
        return 'pip install "napari-attmil[all]"'
    has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not has_screen:
        return "there is no screen, so put `xvfb-run -a` before the command and add --headless"
    return "see `attmil --version` for what is installed"
