"""A file of annotations that is not there yet, and a sample of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "annotations.sqlite"


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample("s", "p", None, (Frame(tmp_path / "a.tif"),))
