"""Who makes the edits."""

from __future__ import annotations

import getpass
import os
from typing import Final

AUTHOR_VARIABLE: Final = "NAPARI_ATTMIL_AUTHOR"
"""Environment variable that names the annotator, instead of the account's name."""


def author_name() -> str:
    """Return who makes the edits: the variable's value, or the account's name."""
    try:
        return os.environ.get(AUTHOR_VARIABLE) or getpass.getuser()
    except (OSError, KeyError, ImportError):  # ImportError: of Windows, up to Python 3.12
        return "unknown"
