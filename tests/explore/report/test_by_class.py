from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from skimage.draw import disk

from napari_attmil.bags.prediction import Prediction
from napari_attmil.cells.boxes import Boxes
from napari_attmil.explore.report.content import Finding
from napari_attmil.explore.report.file import write_report
from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("healthy", "sickle")
PATIENTS, CELLS, HIGH = 6, 20, 3
AWAY_PX = 40


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """Return six patients a class; in sickle samples the cells with attention are smaller."""
    folder, rng = tmp_path_factory.mktemp("cohort"), np.random.default_rng(0)
    findings = []
    for patient in range(PATIENTS):
        for label in CLASSES:  # the classes are mixed; the report is to order them
            radii = rng.uniform(13, 15, CELLS)
            radii[:HIGH] -= 5 * (label == "sickle")
            findings.append(finding(folder, f"{label}-{patient}", label, radii, patient))
    return findings


def finding(folder: Path, name: str, label: str, radii: np.ndarray, patient: int) -> Finding:
    image = np.full((5 * AWAY_PX, 4 * AWAY_PX), 200, np.uint8)
    centres = AWAY_PX * (np.stack(np.unravel_index(np.arange(CELLS), (5, 4)), axis=1) + 0.5)
    for centre, radius in zip(centres, radii, strict=True):
        image[disk(centre, radius, shape=image.shape)] = 110
    tifffile.imwrite(folder / f"{name}.tif", image)
    ends = np.hstack([centres[:, ::-1] - radii[:, None], centres[:, ::-1] + radii[:, None]])
    boxes = Boxes.from_detections(np.zeros(CELLS), ends, np.ones(CELLS))
    is_sickle = label == "sickle" and patient != 0  # one is taken for healthy
    attention = np.where(np.arange(CELLS) < HIGH, 0.2, 0.4 / (CELLS - HIGH))
    contribution = np.where(np.arange(CELLS) < HIGH, 1.0, -0.1) * (label == "sickle")
    prediction = Prediction(
        name,
        CLASSES,
        np.array([1 - is_sickle, is_sickle], np.float32),
        boxes.cell_id,
        attention,
        np.stack([-contribution, contribution], axis=1),
        np.array([[1 - is_sickle, is_sickle]], np.float32),
    )
    sample = Sample(name, f"{label} {patient}", label, (Frame(folder / f"{name}.tif"),), 0.25)
    return Finding(sample, boxes, prediction)


def test_cohort_is_reported_class_by_class(cohort: list[Finding], tmp_path: Path) -> None:
    *_, last = write_report(tmp_path / "r.html", cohort, {})
    assert last.done == 12
    page = (tmp_path / "r.html").read_text("utf-8")
    order = re.findall(r"<h[23]>(Class \w+|(?:healthy|sickle)-\d)</h[23]>", page)
    names = [[f"{label}-{patient}" for patient in range(PATIENTS)] for label in CLASSES]
    assert order == ["Class healthy", *names[0], "Class sickle", *names[1]]
    # Six healthy ones are right; of the sickle ones, one is taken for healthy.
    assert "<td>healthy</td><td>6</td><td></td>" in page
    assert "<td>sickle</td><td>1</td><td>5</td>" in page


def test_report_says_what_sets_cells_apart_and_nothing_of_healthy_ones(
    cohort: list[Finding], tmp_path: Path
) -> None:
    list(write_report(tmp_path / "r.html", cohort, {}))
    healthy, sickle = (tmp_path / "r.html").read_text("utf-8").split("Class sickle")
    assert "No feature differs between cells with high attention and the others." in healthy
    assert "Cells with high attention have lower area: effect -1.00" in sickle
    assert "above that of 95% of the cells of healthy samples" in sickle
    assert "Severity" in sickle and "Severity" not in healthy


def test_cohort_is_a_pdf_too(cohort: list[Finding], tmp_path: Path) -> None:
    list(write_report(tmp_path / "r.pdf", cohort[:4], {}))
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
