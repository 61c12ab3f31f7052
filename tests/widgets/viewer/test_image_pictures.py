"""Small pictures of a study's images, read while a person works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.io import imsave

from napari_attmil.images.reading import open_sample
from napari_attmil.widgets.parts.listening import stop_listening_within
from napari_attmil.widgets.viewer.image_pictures import ImagePictures
from napari_attmil.workflows import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QApplication

    from napari_attmil.images import Sample


def study(folder: Path, grey: int) -> Sample:
    """Return a sample of one image; every study's is called alike."""
    folder.mkdir()
    image = np.full((40, 60), grey, np.uint8)
    image[:10, :10] = 0
    imsave(folder / "a.png", image, check_contrast=False)
    return open_sample(folder / "a.png")


def test_a_picture_that_comes_late_is_not_taken_for_another_study_s(
    qapp: QApplication, tmp_path: Path, qtbot: QtBot
) -> None:
    pictures = ImagePictures()
    first, second = study(tmp_path / "one", 90), study(tmp_path / "other", 200)
    assert first.name == second.name
    pictures.picture(first, 0)
    qtbot.waitUntil(lambda: pictures.picture(first, 0) is not None)
    before = pictures._study
    pictures.clear()
    pictures._keep(before, late(first))
    assert pictures.picture(second, 0) is None
    qtbot.waitUntil(lambda: pictures.picture(second, 0) is not None)
    stop_listening_within(pictures)


def late(sample: Sample) -> Progress:
    """Return the progress of a worker that read the first study's picture."""
    return Progress(1, 1, "", ((sample.name, 0), np.zeros((4, 4, 3), np.uint8)))
