"""Two machines that edit a study on one drive, whose locks do not meet.

Each is a process on a mount of its own of one folder (bindfs, whose locks meet no other's).
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_attmil.cells.annotations import FILE_NAME, AnnotationFile, Annotations, add_box
from napari_attmil.core import UserError
from napari_attmil.images import Frame, Sample
from support.annotations import boxes_on_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVES = {"shared maps": (), "no shared maps": ("-o", "direct_io")}
"""What bindfs is told to do for each kind of drive."""


class CannotMountError(Exception):
    """There is no bindfs here, or no FUSE."""


def sample_in(folder: Path) -> Sample:
    """Return the sample that both edit."""
    return Sample("s", "p", None, (Frame(folder / "a.tif"),))


def boxes_in(folder: Path) -> int:
    """Return how many boxes of the sample are on the disk."""
    return boxes_on_disk(folder / FILE_NAME, sample_in(folder))


@contextlib.contextmanager
def mounted(below: Path, place: Path, *options: str) -> Iterator[Path]:
    """Mount a folder once more."""
    place.mkdir()
    if shutil.which("bindfs") is None:
        raise CannotMountError("bindfs is not installed here")
    if subprocess.run(["bindfs", *options, below, place], check=False).returncode:
        raise CannotMountError("FUSE is not to be had here")
    try:
        yield place
    finally:
        subprocess.run(["fusermount", "-u", place], check=True)


class Machine:
    """A program that edits, on a machine of its own; close it by `with`.

    Parameters
    ----------
    folder
        The drive as this machine sees it.
    """

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "support.two_machines", str(folder)]
        tests, pipe = Path(__file__).parents[1], subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=tests, stdin=pipe, stdout=pipe, text=True)

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def draw(self, count: int, closes: bool) -> tuple[int, str]:
        """Draw boxes; return how many are acknowledged, and the refusal.

        Parameters
        ----------
        count
            How many boxes.
        closes
            Whether the study is closed then, so that the other machine may write.
        """
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{count} {closes:d}\n")
        process.stdin.flush()
        written, _, refusal = process.stdout.readline().strip().partition(" ")
        return int(written), refusal


def _edit(folder: Path) -> None:
    """Draw as many boxes as each line of stdin asks for; tell how many are on the disk, and why."""
    sample = sample_in(folder)
    for line in sys.stdin:
        (count, closes), written = map(int, line.split()), 0
        file = AnnotationFile(folder / FILE_NAME)
        try:
            for _ in range(count):
                now = file.read(sample) or Annotations()
                x = 20 * now.next_id
                boxes = add_box(now.boxes, 0, [x, 0, x + 9, 9], now.next_id)
                file.write(sample, Annotations(boxes, next_id=now.next_id + 1))
                written += 1
            print(written, flush=True)
        except UserError as error:
            print(written, error, flush=True)
        if closes:
            file.close()


if __name__ == "__main__":
    _edit(Path(sys.argv[1]))
