"""What a command never overwrites: what it reads, images, and a study's own files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from napari_attmil.core import UserError, check_replaceable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse to overwrite what cannot be made again, before anything else is done.

    Links and relative paths are followed. Images are recognised by their suffix, as in folders, so
    that no cohort has to be opened for it.

    Parameters
    ----------
    outputs
        Files that a command is to write; None where an option was left out.
    inputs
        What it reads, likewise.

    Raises
    ------
    UserError
        If an output is an input file, an image that is there, a device, a pipe or a link, or named
        as a study's own files.
    """
    given = [path for path in inputs if path is not None]
    for out in outputs:
        if out is not None:
            _check(out, given)


def _check(out: Path, inputs: Iterable[Path]) -> None:
    from napari_attmil.cells.annotations import FILE_NAME
    from napari_attmil.images import COHORT_CSV
    from napari_attmil.images.formats import IMAGE_SUFFIXES

    check_replaceable(out)
    study_files = (COHORT_CSV, FILE_NAME)
    names = {out.name.casefold(), out.resolve().name.casefold()}
    if names & set(study_files):
        raise UserError(
            f"{out} would be taken for a study's own {' or '.join(study_files)}, or replace it; "
            "give the output another name."
        )
    if not os.path.isfile(out):
        return
    if any(os.path.isfile(path) and out.samefile(path) for path in inputs):
        raise UserError(
            f"{out} is what the command reads, and would be overwritten; give the output another "
            "name."
        )
    if any(name.endswith(IMAGE_SUFFIXES) for name in names):
        raise UserError(
            f"{out} is an image, and would be overwritten; give the output another name."
        )
