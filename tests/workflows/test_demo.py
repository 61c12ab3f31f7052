from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_attmil.core import StageRun
from napari_attmil.simulation.cohort import simulate_cohort
from napari_attmil.simulation.settings import SimulationSettings
from napari_attmil.workflows import Progress, demo

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


def ran(data: Path, out: Path) -> tuple[demo.DemoResult, list[str]]:
    """Run the demo and return what it found and said."""
    run = StageRun(demo.run_demo(data, out, "cpu"))
    said = [step.note for step in run]
    return run.result, said


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[demo.DemoResult, Path, list[str]]:
    """Run the demo on two classes of two patients, as on a person's own folder."""
    data, out = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("out")
    settings = SimulationSettings(
        classes=("healthy", "sickle"),
        patients_per_class=2,
        samples_per_patient=1,
        images_per_sample=1,
        image_size_px=224,
        cells_per_image=8,
        altered_share=0.5,
        variety=0.2,
    )
    for _ in simulate_cohort(data, settings):
        pass
    result, said = ran(data, out)
    return result, out, said


def test_the_shown_patient_is_new_to_the_classifier(
    finished: tuple[demo.DemoResult, Path, list[str]],
) -> None:
    result, _, _ = finished
    assert result.sample.label == "sickle"
    assert result.classifier is not None
    assert result.classifier.provenance["patients"] == 3
    assert len(result.classifier.models) == demo.ENSEMBLE.members


def test_a_class_left_with_one_patient_is_said_to_be_uncalibrated(
    finished: tuple[demo.DemoResult, Path, list[str]],
) -> None:
    _, out, said = finished
    assert any("class 'sickle' has a single patient" in sentence for sentence in said)
    shown = json.loads((out / "report.json").read_text())["shown"]
    assert shown["samples"][0]["prediction_set"] is None
    assert shown["model"]["models"] == demo.ENSEMBLE.members


def test_results_lie_in_the_folder(finished: tuple[demo.DemoResult, Path, list[str]]) -> None:
    result, out, said = finished
    cells = pd.read_csv(out / "cells.csv")
    assert cells["attention"].sum() == pytest.approx(1, abs=1e-3)
    assert result.prediction is not None
    shown = json.loads((out / "report.json").read_text())["shown"]
    assert shown["samples"][0]["predicted"] == result.prediction.predicted
    assert "not a diagnosis" in shown["caution"]
    assert (out / "classifier.safetensors").exists()
    assert any("Cross-validation needs 3 patients" in sentence for sentence in said)


def test_images_without_classes_still_show_their_cells(tmp_path: Path) -> None:
    field = np.random.default_rng(0).normal(120, 3, (160, 160))
    y, x = np.mgrid[:160, :160]
    for cy, cx in ((50, 50), (100, 110)):
        field -= 60 * ((y - cy) ** 2 + (x - cx) ** 2 < 22**2)
    (tmp_path / "mine").mkdir()
    tifffile.imwrite(tmp_path / "mine" / "a.tif", field.clip(0, 255).astype(np.uint8))
    result, said = ran(tmp_path / "mine", tmp_path / "out")
    assert result.prediction is None
    assert len(pd.read_csv(tmp_path / "out" / "cells.csv")) >= 2
    assert any("nothing is classified" in sentence for sentence in said)


def test_a_demo_that_is_stopped_keeps_no_half_trained_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> Generator[Progress, None, None]:
        yield Progress(0, 1, "training")

    monkeypatch.setattr(demo, "train_on_bags", stopped)
    bags = [SimpleNamespace(label=label, patient=label) for label in ("healthy", "sickle")]
    with pytest.raises(KeyboardInterrupt):
        [*demo._trained(bags, None, tmp_path)]  # type: ignore[arg-type]
