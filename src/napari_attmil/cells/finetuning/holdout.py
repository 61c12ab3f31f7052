"""The hold-out: images of a study that no training of a detector ever uses.

A detector's scores before and after fine-tuning are comparable only on images that no training has
used. Whether an image is held out depends on its name alone, and is decided once and for all.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from napari_attmil.core import UserError, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE_NAME: Final = "holdout.json"
FEWEST_IMAGES: Final = 4
"""With fewer images all are used for training, and there is no score."""
HELD_OUT_SHARE: Final = 0.2


def held_out_names(names: Sequence[str], kept_in: Path | None = None) -> frozenset[str]:
    """Return which of the images are held out.

    Parameters
    ----------
    names
        Names of all reviewed images, each once.
    kept_in
        Folder whose ``holdout.json`` holds earlier decisions, which still apply; new ones are added
        to it.

    Raises
    ------
    UserError
        If that file is damaged or cannot be written.
    """
    path = None if kept_in is None else kept_in / FILE_NAME
    decided = {} if path is None or not path.exists() else _read(path)
    undecided = sorted((name for name in names if name not in decided), key=_chance)
    few = len(names) < FEWEST_IMAGES and not any(decided.get(name) for name in names)
    decided |= {name: not few and _chance(name) < HELD_OUT_SHARE for name in undecided}
    if not few and not any(decided[name] for name in names):
        # Only an image that no training has used can still be held out.
        decided |= dict.fromkeys(undecided[:1], True)
    if path is not None and undecided:
        write_json(path, {"held_out": decided})
    return frozenset(name for name in names if decided[name])


def _chance(name: str) -> float:
    """Return a number from 0 to 1 that depends on the name only."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64


def _read(path: Path) -> dict[str, bool]:
    try:
        return {str(k): bool(v) for k, v in json.loads(path.read_text("utf-8"))["held_out"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({error}); it says which images are held out. Restore it, or "
            "delete it to have them chosen anew."
        ) from error
