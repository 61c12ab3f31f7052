"""The examples in docstrings run, in a folder with a study and a classifier."""

from __future__ import annotations

import doctest
import importlib
from typing import TYPE_CHECKING

import matplotlib
import pytest

import napari_attmil

if TYPE_CHECKING:
    from pathlib import Path

MODULES = (
    "api.asking",
    "api.plots",
    "api.stages",
    "api.study_boxes",
    "api.trained_classifier",
    "images.cohort",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matplotlib.use("agg")
    monkeypatch.chdir(place)
    module = importlib.import_module(f"napari_attmil.{name}")
    failed, tried = doctest.testmod(module, extraglobs={"attmil": napari_attmil})
    assert tried > 0 and failed == 0
