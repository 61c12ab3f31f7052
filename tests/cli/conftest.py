"""A small project and a small study on the disk, and `attmil` as a person would type it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import tifffile

from napari_attmil import cli
from napari_attmil.cells.annotations.annotation_file import AnnotationFile, Annotations
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.images.reading import open_cohort
from napari_attmil.simulation.cohort import simulate_cohort
from napari_attmil.simulation.settings import SimulationSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_attmil.images.cohort import Sample


class Outcome(NamedTuple):
    """What a command ended with, and what it wrote.

    The terminal's width breaks lines on stderr where it likes, so that `err` has spaces instead of
    them; only `last_line` is as it was written.
    """

    code: int
    out: str
    err: str
    last_line: str


@pytest.fixture
def attmil(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Return a function that runs a command."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["attmil", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
            sys.exit(0)
        written = capsys.readouterr()
        _, _, last_line = written.err.strip().rpartition("\n")
        err = " ".join(written.err.split())
        return Outcome(int(stopped.value.code or 0), written.out, err, last_line)

    return run


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a simulated cohort of two classes, small enough for a test; not to be changed."""
    folder = tmp_path_factory.mktemp("study")
    settings = SimulationSettings(
        classes=("healthy", "sickle"),
        patients_per_class=3,
        samples_per_patient=1,
        images_per_sample=1,
        image_size_px=224,
        cells_per_image=9,
        altered_share=0.5,
        variety=0.2,
    )
    for _ in simulate_cohort(folder, settings):
        pass
    return folder


class Project:
    """A study of one sample with three images of 60 x 40 px.

    Parameters
    ----------
    folder
        Its folder; the images are made if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        images = folder / "healthy" / "p1" / "s1"
        if not images.exists():
            images.mkdir(parents=True)
            for name in "abc":
                tifffile.imwrite(images / f"{name}.tif", np.zeros((40, 60), np.uint8))

    def keep(
        self,
        boxes: Boxes,
        reviewed: frozenset[int] = frozenset(),
        searched: frozenset[int] = frozenset({0, 1, 2}),
    ) -> None:
        """Make these the boxes of the sample."""
        annotations = Annotations(boxes, Boxes.empty(), searched, boxes.next_id, reviewed)
        file = AnnotationFile.beside(self.folder)
        file.write(self._sample(), annotations)
        file.close()

    def kept(self) -> Annotations:
        """Return the annotations of the sample on the disk."""
        return AnnotationFile.beside(self.folder).read(self._sample()) or Annotations()

    def copied_to(self, folder: Path) -> Project:
        """Return a copy, as another annotator gets it."""
        return Project(shutil.copytree(self.folder, folder))

    def _sample(self) -> Sample:
        return open_cohort(self.folder).samples[0]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project of three images with boxes: confident, doubtful, and drawn by a person."""
    project = Project(tmp_path / "study")
    boxes = Boxes.from_detections([0, 1, 2], [[1, 2, 9, 8]] * 3, [0.9, 0.6, 0.55])
    seen = np.array([Source.MODEL, Source.MODEL, Source.PERSON])
    project.keep(replace(boxes, source=seen))
    return project
