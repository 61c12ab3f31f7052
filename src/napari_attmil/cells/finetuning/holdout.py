"""Which images of a project are never learnt from, once and for all.

A detector's score before and after a retraining means something only on images that no training
has seen. So an image's place is decided by its name alone, and what was decided stays.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from napari_attmil.core import UserError, write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE_NAME: Final = "holdout.json"
FEWEST_IMAGES: Final = 4
"""With fewer images all are learnt from, and there is no score."""
HELD_OUT_SHARE: Final = 0.2


def held_out_names(names: Sequence[str], kept_in: Path | None = None) -> frozenset[str]:
    """Return which of the images are held out.

    Parameters
    ----------
    names
        Names of all reviewed images, each once.
    kept_in
        Folder of the project: what is decided is written to its ``holdout.json``, and what was
        decided before is kept.

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
        # Only an image that nothing was learnt from yet can still be held out.
        decided |= dict.fromkeys(undecided[:1], True)
    if path is not None and undecided:
        with write_atomically(path) as temporary:
            temporary.write_text(json.dumps({"held_out": decided}, indent=1), "utf-8")
    return frozenset(name for name in names if decided[name])


def _chance(name: str) -> float:
    """Return a number from 0 to 1 that only the name decides."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64


def _read(path: Path) -> dict[str, bool]:
    try:
        return {str(k): bool(v) for k, v in json.loads(path.read_text("utf-8"))["held_out"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({error}); it says which images are never learnt from. Restore it, "
            "or delete it to have them chosen anew."
        ) from error
