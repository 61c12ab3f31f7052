"""Simulated images and cohorts: truth that holds, files that repeat."""

from __future__ import annotations

import csv
import filecmp
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError
from scipy import stats
from scipy.ndimage import gaussian_filter

from napari_attmil.core.errors import UserError
from napari_attmil.simulation.appearance import Appearance
from napari_attmil.simulation.cell_shapes import CELL_TYPES
from napari_attmil.simulation.cohort import ODD_TYPES, simulate_cohort, simulate_image
from napari_attmil.simulation.settings import CLASSES, SimulationSettings

if TYPE_CHECKING:
    from pathlib import Path

NOISE_FREE = Appearance(defocus_um=0.0, contrast=0.0, blur_px=0.3, brightness=200.0)
SMALL = SimulationSettings(
    image_size_px=128,
    cells_per_image=12,
    cell_diameter_px=24,
    patients_per_class=2,
    samples_per_patient=1,
    images_per_sample=2,
    altered_share=0.3,
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(folder: Path, cohort: SimulationSettings) -> Path:
    for _ in simulate_cohort(folder, cohort):
        pass
    return folder


def files_below(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


@pytest.mark.parametrize("cell_type", CELL_TYPES)
@pytest.mark.parametrize("seed", range(4))
def test_box_is_tight_around_the_thresholded_cell(cell_type: str, seed: int) -> None:
    alone = SimulationSettings(image_size_px=160, cell_diameter_px=60)
    stained = replace(NOISE_FREE, absorption_per_um=1.0)
    found = simulate_image(alone, np.random.default_rng(seed), [cell_type], stained)
    y, x = np.nonzero(found.image < 197)
    measured = (x.min(), y.min(), x.max() + 1, y.max() + 1)
    np.testing.assert_allclose(found.xyxy[0], measured, atol=2)


def test_stained_cells_are_dark_on_a_bright_ground() -> None:
    look = SimulationSettings(look="stained", image_size_px=256, variety=0)
    found = simulate_image(look, np.random.default_rng(0), ["discocyte"] * 5)
    x_min, y_min, x_max, y_max = found.xyxy[0].astype(int)
    background = np.median(found.image)
    assert background > 170
    assert found.image[y_min:y_max, x_min:x_max].mean() < background - 25


def test_every_cell_asked_for_is_there_in_order() -> None:
    asked = [*CELL_TYPES, *CELL_TYPES]
    found = simulate_image(SimulationSettings(), np.random.default_rng(1), asked)
    assert found.cell_type.tolist() == asked
    assert found.xyxy.shape == (len(asked), 4)
    assert found.image.shape == (512, 512)


def test_number_of_cells_is_the_settings() -> None:
    for cells in (1, 10, 60):
        counted = SimulationSettings(cells_per_image=cells)
        assert len(simulate_image(counted, np.random.default_rng(0)).xyxy) == cells


def test_empty_field_has_no_boxes() -> None:
    empty = SimulationSettings(cells_per_image=0, image_size_px=100)
    found = simulate_image(empty, np.random.default_rng(0))
    assert found.xyxy.shape == (0, 4)
    assert found.cell_type.shape == (0,)
    assert found.image.shape == (100, 100)


def test_three_hundred_cells_fit_a_field() -> None:
    dense = SimulationSettings(cells_per_image=300, cell_diameter_px=25)
    assert len(simulate_image(dense, np.random.default_rng(0)).xyxy) == 300


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = (simulate_image(SMALL, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first.image.tobytes() == again.image.tobytes()
    assert first.xyxy.tobytes() == again.xyxy.tobytes()
    assert first.image.tobytes() != other.image.tobytes()


@given(
    seed=st.integers(0, 2**32),
    size_px=st.integers(64, 200),
    diameter_px=st.floats(10, 120),
    cells=st.integers(0, 25),
)
@settings(max_examples=30, deadline=None)
def test_no_box_leaves_the_image(seed: int, size_px: int, diameter_px: float, cells: int) -> None:
    any_field = SimulationSettings(
        image_size_px=size_px, cell_diameter_px=diameter_px, cells_per_image=cells, variety=1
    )
    found = simulate_image(any_field, np.random.default_rng(seed))
    assert len(found.xyxy) == len(found.cell_type) <= cells
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= size_px).all()
    assert (found.xyxy[:, 2:] > found.xyxy[:, :2]).all()


def test_unknown_cell_type_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"'neutrophil'.*discocyte"):
        simulate_image(SMALL, np.random.default_rng(0), ["neutrophil"])


@pytest.mark.parametrize(
    "nonsense",
    [
        {"altered_share": 0.01},
        {"altered_share": 0.7},
        {"image_size_px": 10},
        {"cells_per_image": -1},
        {"cell_diameter_px": 0},
        {"variety": 1.5},
        {"look": "fluorescent"},
        {"classes": ()},
        {"classes": ("healthy", "healthy")},
        {"classes": ("malaria",)},
        {"patients_per_class": 0},
        {"seed": -1},
        {"magnification": 100},
    ],
)
def test_settings_refuse_nonsense(nonsense: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SimulationSettings(**nonsense)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("cohort"), SMALL)


def test_cohort_csv_lists_every_image_under_its_class_patient_and_sample(cohort: Path) -> None:
    rows = rows_of(cohort / "cohort.csv")
    assert list(rows[0]) == ["image", "sample", "patient", "label"]
    assert sorted(row["image"] for row in rows) == [
        name for name in files_below(cohort) if name.endswith(".tif")
    ]
    assert len(rows) == 5 * 2 * 1 * 2
    for row in rows:
        label, patient, sample, name = row["image"].split("/")
        assert (row["label"], row["patient"], row["sample"]) == (label, patient, sample)
        assert name in ("image_01.tif", "image_02.tif")
    assert len({row["patient"] for row in rows}) == 10


def test_truth_is_consistent_with_the_images(cohort: Path) -> None:
    truth = rows_of(cohort / "truth.csv")
    assert list(truth[0]) == ["image", "x_min", "y_min", "x_max", "y_max", "cell_type", "altered"]
    assert {row["image"] for row in truth} == {
        row["image"] for row in rows_of(cohort / "cohort.csv")
    }
    for row in truth:
        x_min, y_min, x_max, y_max = (int(row[name]) for name in list(row)[1:5])
        assert 0 <= x_min < x_max <= 128
        assert 0 <= y_min < y_max <= 128
        own_types = {str(name): types for name, types in CLASSES.items()}[
            row["image"].split("/")[0]
        ]
        assert row["cell_type"] in ("discocyte", *ODD_TYPES, *own_types)
        assert row["altered"] == str(int(row["cell_type"] in own_types))


def test_cells_in_the_images_lie_in_the_boxes_of_the_truth(cohort: Path) -> None:
    truth = rows_of(cohort / "truth.csv")
    for path in cohort.rglob("*.tif"):
        image = tifffile.imread(path).astype(float)
        structure = np.abs(gaussian_filter(image, 1) - gaussian_filter(image, 10))
        inside, around = np.zeros((2, *image.shape), dtype=bool)
        for row in truth:
            if row["image"] == path.relative_to(cohort).as_posix():
                x_min, y_min, x_max, y_max = (int(row[name]) for name in list(row)[1:5])
                inside[y_min:y_max, x_min:x_max] = True
                around[max(0, y_min - 8) : y_max + 8, max(0, x_min - 8) : x_max + 8] = True
        assert structure[inside].mean() > 2 * structure[~around].mean()


def test_healthy_patients_have_no_altered_cell_and_all_others_have(cohort: Path) -> None:
    altered = {
        row["image"].split("/")[0] for row in rows_of(cohort / "truth.csv") if row["altered"] == "1"
    }
    assert altered == set(CLASSES) - {"healthy"}


def test_images_are_deflated_and_know_their_pixel_size(cohort: Path) -> None:
    path = next(cohort.rglob("*.tif"))
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert page.dtype == np.uint8
        assert page.shape == (128, 128)
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
        numerator, denominator = page.tags["XResolution"].value
    # 24 px for a cell of 7.82 um, give or take the patient's magnification (4 % at variety 0.5).
    assert 1e4 * denominator / numerator == pytest.approx(7.82 / 24, rel=0.042)


def test_shares_of_altered_and_odd_cells_are_binomial(tmp_path: Path) -> None:
    crowd = SimulationSettings(
        image_size_px=400,
        cells_per_image=150,
        cell_diameter_px=12,
        classes=("healthy", "sickle"),
        patients_per_class=4,
        samples_per_patient=1,
        images_per_sample=2,
        altered_share=0.1,
    )
    truth = rows_of(write(tmp_path / "crowd", crowd) / "truth.csv")
    for label, altered_share in (("healthy", 0.0), ("sickle", 0.1)):
        cells = [row for row in truth if row["image"].startswith(label)]
        assert len(cells) > 1000
        altered = sum(row["altered"] == "1" for row in cells)
        odd = sum(row["cell_type"] in ODD_TYPES for row in cells)
        assert stats.binomtest(altered, len(cells), altered_share).pvalue > 0.001
        assert stats.binomtest(odd, len(cells), 0.05).pvalue > 0.001


def test_batch_effects_differ_between_patients_but_not_between_classes(tmp_path: Path) -> None:
    empty = SimulationSettings(
        image_size_px=64,
        cells_per_image=0,
        patients_per_class=30,
        samples_per_patient=1,
        images_per_sample=2,
        variety=1,
    )
    folder = write(tmp_path / "empty", empty)
    levels: dict[str, dict[str, list[float]]] = {}
    for row in rows_of(folder / "cohort.csv"):
        level = float(tifffile.imread(folder / row["image"]).mean())
        levels.setdefault(row["label"], {}).setdefault(row["patient"], []).append(level)
    by_class = [[np.mean(images) for images in patients.values()] for patients in levels.values()]
    by_patient = [images for patients in levels.values() for images in patients.values()]
    assert stats.kruskal(*by_class).pvalue > 0.01
    assert stats.f_oneway(*by_patient).pvalue < 1e-6


def test_same_seed_gives_the_same_files(cohort: Path, tmp_path: Path) -> None:
    again = write(tmp_path / "again", SMALL)
    names = files_below(cohort)
    assert files_below(again) == names
    assert filecmp.cmpfiles(cohort, again, names, shallow=False) == (names, [], [])


def test_asking_for_more_leaves_the_other_images_as_they_are(cohort: Path, tmp_path: Path) -> None:
    more = SMALL.replace(patients_per_class=3, samples_per_patient=2, classes=("sickle", "healthy"))
    larger = write(tmp_path / "larger", more)
    shared = [name for name in files_below(cohort) if name.startswith(("sickle/", "healthy/"))]
    assert len(shared) == 2 * 2 * 2
    assert filecmp.cmpfiles(cohort, larger, shared, shallow=False) == (shared, [], [])


def test_progress_counts_images_and_names_what_was_written(tmp_path: Path) -> None:
    one_class = SMALL.replace(classes=("healthy",), patients_per_class=1)
    seen = [
        (step.done, step.total, step.detail.is_file())
        for step in simulate_cohort(tmp_path, one_class)
    ]
    assert seen == [(1, 2, True), (2, 2, True)]


def test_second_run_replaces_the_first_and_keeps_what_a_person_added(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    (tmp_path / "notes.txt").write_text("mine")
    smaller = SMALL.replace(classes=("healthy",), patients_per_class=1, seed=3)
    write(tmp_path, smaller)
    assert files_below(tmp_path) == [
        "cohort.csv",
        "healthy/healthy-01/healthy-01-1/image_01.tif",
        "healthy/healthy-01/healthy-01-1/image_02.tif",
        "notes.txt",
        "simulation.json",
        "truth.csv",
    ]
    assert not (tmp_path / "sickle").exists()
    assert len(rows_of(tmp_path / "cohort.csv")) == 2


def test_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text("precious")
    with pytest.raises(UserError, match="not empty"):
        write(tmp_path, SMALL)
    assert files_below(tmp_path) == ["cohort.csv"]
    assert (tmp_path / "cohort.csv").read_text() == "precious"


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cohort").write_text("a file")
    with pytest.raises(UserError, match="is a file"):
        write(tmp_path / "cohort", SMALL)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": "other", "settings": {}}'])
def test_damaged_marker_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "simulation.json").write_text(content)
    with pytest.raises(UserError, match="damaged"):
        write(tmp_path, SMALL)


def test_an_image_that_cannot_be_replaced_is_said_in_one_sentence(tmp_path: Path) -> None:
    settings = SimulationSettings(
        image_size_px=64,
        cells_per_image=0,
        classes=("healthy",),
        patients_per_class=1,
        samples_per_patient=1,
        images_per_sample=1,
    )
    folder = write(tmp_path / "study", settings)
    (image,) = folder.rglob("*.tif")
    image.unlink()
    image.mkdir()  # as little to be deleted as a file that another program holds open on Windows
    with pytest.raises(UserError, match="cannot be emptied of its earlier simulation"):
        write(folder, settings)
