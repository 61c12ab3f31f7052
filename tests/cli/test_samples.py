"""`attmil samples`: the table of a study's samples, to be filled in with a spreadsheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage.io import imsave

from napari_attmil.images import cohort_table_file
from napari_attmil.images.reading import open_cohort

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cohort_table_file, "_WRITTEN", set())
    for name in ("P1_1", "P1_2", "P2_1"):
        image = np.random.default_rng(0).integers(0, 255, (20, 30), np.uint8)
        imsave(tmp_path / f"{name}.png", image, check_contrast=False)
    return tmp_path


def test_names_give_samples_and_the_table_is_written_beside_the_images(
    attmil: Any, images: Path
) -> None:
    outcome = attmil("samples", images, "--names", "{sample}_*")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        f"Samples written to {images / 'cohort.csv'}",
        "3 images, 2 samples, 2 patients, 0 classes.",
        "2 samples without a class: not trained on.",
        "Every sample is a patient of its own. If some are of the same person, give them the same "
        "patient, or results will look better than they are.",
    ]
    assert "The pattern fits 3 of 3 images." in outcome.err
    assert [(s.name, len(s)) for s in open_cohort(images).samples] == [("P1", 2), ("P2", 1)]


def test_a_filled_table_is_kept_and_new_images_are_added(attmil: Any, images: Path) -> None:
    by_hand = "image,sample,patient,label,age\nP1_1.png,s,p,sickle,33\n"
    (images / "cohort.csv").write_text(by_hand)
    outcome = attmil("samples", images)
    assert f"The former table is kept as {images / 'cohort.csv.bak'}" in outcome.out
    assert (images / "cohort.csv.bak").read_text() == by_hand
    lines = (images / "cohort.csv").read_text().splitlines()
    assert lines[1:3] == ["P1_1.png,s,p,sickle,33", "P1_2.png,P1_2,P1_2,,"]


def test_a_wrong_pattern_or_file_is_explained_and_nothing_written(
    attmil: Any, images: Path
) -> None:
    assert "does not tell what is what" in attmil("samples", images, "--names", "*").err
    assert "does not end in .csv" in attmil("samples", images, "--out", images / "P1_1.png").err
    assert not (images / "cohort.csv").exists()
