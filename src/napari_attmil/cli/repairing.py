"""The command that mends a study's damaged boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_attmil.cli.terminal import say
from napari_attmil.core import counted


def repair(
    study: Annotated[Path, typer.Argument(help="Folder of the study.")],
) -> None:
    """Restore all boxes that can be had of a damaged annotations.sqlite; it is put aside first.

    What cannot be read is rebuilt from the newest daily copy and the journal.
    """
    from napari_attmil.cells.annotations import FILE_NAME, repair_file

    repaired = repair_file(study / FILE_NAME)
    boxes, edits = counted(repaired.boxes, "box", "boxes"), counted(repaired.edits, "edit")
    print(f"{boxes} and {edits} are in {study / FILE_NAME}")
    if repaired.rebuilt_from is not None:
        say(f"Boxes were rebuilt from {repaired.rebuilt_from.name} and the edits since.")
    if repaired.lost_edits:
        lost = counted(repaired.lost_edits, "edit")
        say(f"{lost} could not be made again: check the images on which you worked last.")
    if repaired.foreign_log is not None:
        say(f"The log was another file's and was not read: it is {repaired.foreign_log.name} now.")
    if repaired.is_cut:
        say("The last changes could not be read: check the images on which you worked last.")
    say(f"The file as it was is kept as {repaired.damaged.name}.")
