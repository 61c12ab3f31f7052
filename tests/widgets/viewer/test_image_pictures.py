"""Small pictures of a study's images, read while a person works."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

import numpy as np
from skimage.io import imsave

from napari_attmil.images.reading import open_sample
from napari_attmil.widgets.parts.listening import stop_listening_within
from napari_attmil.widgets.parts.workers import TaskRunner
from napari_attmil.widgets.viewer import image_pictures
from napari_attmil.widgets.viewer.image_pictures import ImagePictures, read_pictures

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import pytest
    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QApplication

    from napari_attmil.images import Sample
    from napari_attmil.workflows import Progress


def study(folder: Path, grey: int) -> Sample:
    """Return a sample of one image; every study's is called alike."""
    folder.mkdir()
    image = np.full((40, 60), grey, np.uint8)
    image[:10, :10] = 0
    imsave(folder / "a.png", image, check_contrast=False)
    return open_sample(folder / "a.png")


def test_a_picture_that_comes_late_is_not_taken_for_another_study_s(
    qapp: QApplication, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = ImagePictures()
    runner = pictures.findChild(TaskRunner)
    assert runner is not None
    first, second = study(tmp_path / "one", 90), study(tmp_path / "other", 200)
    assert first.name == second.name
    begun, may_end = Event(), Event()

    def deaf(wanted: list[tuple[Sample, int]], stop: Event) -> Generator[Progress, None, None]:
        """Read on though the study was left."""
        begun.set()
        assert may_end.wait(10)
        yield from read_pictures(wanted, Event())

    with monkeypatch.context() as patch:
        patch.setattr(image_pictures, "read_pictures", deaf)
        pictures.picture(first, 0)
        qtbot.waitUntil(begun.is_set)
    pictures.clear()
    may_end.set()
    qtbot.waitUntil(lambda: not runner.busy)
    assert pictures.picture(second, 0) is None
    qtbot.waitUntil(lambda: pictures.picture(second, 0) is not None)
    stop_listening_within(pictures)
