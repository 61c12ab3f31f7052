"""Folders of images, and trees of folders as cohorts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_attmil.core.errors import UserError
from napari_attmil.images.folders import find_images, natural_key
from napari_attmil.images.reading import (
    frame_digest,
    open_cohort,
    open_frames,
    open_sample,
    read_images,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_folder_is_searched_below_in_natural_order_without_hidden_files(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(
        tmp_path,
        *("image10.png", "image2.png", "Image1.png", "day10/x.png", "day2/x.png"),
        *(".hidden.png", "._image2.png", "@eaDir/thumb.png", "__MACOSX/image2.png"),
    )
    for junk in ("Thumbs.db", "notes.txt", "desktop.ini", "cells.csv"):
        (tmp_path / junk).write_text("x")
    found = [frame.path.relative_to(tmp_path).as_posix() for frame in open_frames(tmp_path)]
    assert found == ["Image1.png", "image2.png", "image10.png", "day2/x.png", "day10/x.png"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_folders_that_all_link_to_each_other_are_read_once(tmp_path: Path) -> None:
    for name in "abcdefghi":
        (tmp_path / name).mkdir()
    for name in "abcdefghi":
        for other in "abcdefghi":
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    (tmp_path / "e" / "1.tif").touch()
    assert [image.name for image in find_images(tmp_path)] == ["1.tif"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_link_to_a_folder_above_does_not_loop(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/x.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert len(open_frames(tmp_path)) == 1


def test_tree_of_class_patient_sample_is_taken_as_it_is(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(
        tmp_path,
        *("sickle/P1/day1/a2.png", "sickle/P1/day1/a10.png", "sickle/P1/day2/a.png"),
        *("healthy/P2/day3/a.png", "healthy/P10/day4/a.png"),
    )
    study = open_cohort(tmp_path)
    assert study.folder == tmp_path
    assert study.notes == ()
    assert [(s.name, s.patient, s.label, len(s)) for s in study.samples] == [
        ("day3", "P2", "healthy", 1),
        ("day4", "P10", "healthy", 1),
        ("day1", "P1", "sickle", 2),
        ("day2", "P1", "sickle", 1),
    ]
    assert [frame.path.name for frame in study.samples[2].frames] == ["a2.png", "a10.png"]


def test_samples_of_one_name_get_the_patient_before_it(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/P1/day1/x.png", "a/P1/day2/x.png", "b/P2/day1/x.png")
    assert [s.name for s in open_cohort(tmp_path).samples] == ["P1/day1", "P1/day2", "P2/day1"]


def test_patients_numbered_anew_in_each_class_are_different_people(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/1/s/x.png", "a/2/s/x.png", "b/1/s/x.png", "b/P9/s/x.png")
    study = open_cohort(tmp_path)
    assert study.patients == ("a/1", "2", "b/1", "P9")
    assert [s.name for s in study.samples] == ["a/1/s", "a/2/s", "b/1/s", "b/P9/s"]
    assert len(study.notes) == 1
    assert "taken as different people" in study.notes[0]
    assert study.notes[0].endswith("into one class folder, as a patient has one class: 1.")


def test_advice_about_patients_of_one_name_makes_one_patient_of_them(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/1/s/x.png", "b/1/t/x.png", "b/2/s/x.png")
    (tmp_path / "b" / "1" / "t").rename(tmp_path / "a" / "1" / "t")
    (tmp_path / "b" / "1").rmdir()
    study = open_cohort(tmp_path)
    assert (study.patients, study.notes) == (("1", "2"), ())


def test_images_in_a_patient_folder_are_one_sample_and_it_is_said(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/P1/x.png", "a/P1/y.png", "b/P2/x.png")
    study = open_cohort(tmp_path)
    assert [(s.name, s.patient, len(s)) for s in study.samples] == [
        ("P1", "P1", 2),
        ("P2", "P2", 1),
    ]
    assert study.notes == (
        "Images directly in a patient's folder were taken as one sample: a/P1, b/P2.",
    )


def test_images_in_a_class_folder_are_each_a_sample_and_it_is_said(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/x.png", "a/y.png", "b/z.png")
    study = open_cohort(tmp_path)
    assert [(s.name, s.patient, s.label) for s in study.samples] == [
        ("x", "x", "a"),
        ("y", "y", "a"),
        ("z", "z", "b"),
    ]
    assert len(study.notes) == 1
    assert "each taken as a patient" in study.notes[0]
    assert study.notes[0].endswith(": a, b.")


def test_images_of_one_stem_in_a_class_keep_their_endings(
    tmp_path: Path, noise: Callable[..., Any], write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/x.png", "b/y.png")
    Image.fromarray(noise(6, 8)).save(tmp_path / "a" / "x.bmp")
    assert open_cohort(tmp_path).patients == ("x.bmp", "x.png", "y")


def test_stack_in_a_tree_gives_all_its_images_to_one_sample(
    tmp_path: Path, noise: Callable[..., Any], write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/P1/s/x.png")
    (tmp_path / "b" / "P2").mkdir(parents=True)
    tifffile.imwrite(tmp_path / "b" / "P2" / "stack.tif", noise(7, 6, 8))
    assert [len(s) for s in open_cohort(tmp_path).samples] == [1, 7]


def test_what_lies_at_odd_places_of_a_tree_is_said(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(
        tmp_path,
        *(
            "overview.png",
            "a/P1/s1/x.png",
            "a/P1/loose.png",
            "a/P1/s2/deep/er/x.png",
            "b/P2/s/x.png",
        ),
    )
    for empty in ("a/P3", "b/P2/none", "c", "features", "models/unfinished"):
        (tmp_path / empty).mkdir(parents=True)
    study = open_cohort(tmp_path)
    assert [(s.name, s.patient, len(s)) for s in study.samples] == [
        ("P1", "P1", 1),
        ("s1", "P1", 1),
        ("s2", "P1", 1),
        ("s", "P2", 1),
    ]
    assert study.notes == (
        "Images directly in a patient's folder were taken as one sample: a/P1.",
        "Folders within a sample's folder are part of it: a/P1/s2.",
        "Folders without images were left out: a/P3, b/P2/none, c.",
        "Images beside the class folders have no label and were left out: overview.png.",
    )


def test_picture_among_the_reports_of_a_study_is_no_class(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/P1/s/x.png", "b/P2/s/x.png", "reports/cells.png")
    (tmp_path / "features").mkdir()
    study = open_cohort(tmp_path)
    assert study.classes == ("a", "b")
    assert study.notes == (
        "Folders of a name that the project gives to its own were left out; if one is a class, "
        "rename it: reports.",
    )


def test_each_image_of_a_flat_folder_is_a_sample_without_a_class(
    tmp_path: Path, noise: Callable[..., Any], write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "x.png", "y.png")
    Image.fromarray(noise(9, 12)).save(tmp_path / "x.bmp")
    study = open_cohort(tmp_path)
    assert [(s.name, s.patient, s.label) for s in study.samples] == [
        ("x.bmp", "x.bmp", None),
        ("x.png", "x.png", None),
        ("y", "y", None),
    ]
    assert (study.folder, study.classes, study.notes) == (tmp_path, (), ())


def test_a_folder_of_images_in_the_folder_opened_is_no_class(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "images/x.png", "images/y.png")
    study = open_cohort(tmp_path)
    assert [(s.name, s.label) for s in study.samples] == [("x", None), ("y", None)]


def test_day_folders_are_samples_and_loose_images_samples_of_their_own(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "day1/x.png", "day1/y.png", "day2/x.png", "day2/late/z.png", "loose.png")
    study = open_cohort(tmp_path)
    assert [(s.name, s.patient, s.label, len(s)) for s in study.samples] == [
        ("loose", "loose", None, 1),
        ("day1", "day1", None, 2),
        ("day2", "day2", None, 1),
        ("late", "day2", None, 1),
    ]
    assert len(study.notes) == 1
    assert study.notes[0].startswith("The folders are not named like classes, so each folder")
    assert study.notes[0].endswith(": day1, day2.")


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (("P1", "P2", "P10"), ()),
        (("2024-01-05", "2024-01-06"), ()),
        (("2023", "2024"), ()),
        (("sickle1", "sickle2", "control1"), ()),
        (("sickle1", "control1"), ("control1", "sickle1")),
        (("class 1", "class 2"), ("class 1", "class 2")),
        (("0", "1"), ("0", "1")),
        (("healthy", "HbS"), ("HbS", "healthy")),
    ],
    ids=str,
)
def test_numbered_and_dated_folders_are_patients_rather_than_classes(
    tmp_path: Path,
    write_tree: Callable[..., Any],
    folders: tuple[str, ...],
    classes: tuple[str, ...],
) -> None:
    write_tree(tmp_path, *(f"{folder}/{image}.png" for folder in folders for image in "ab"))
    study = open_cohort(tmp_path)
    assert study.classes == classes
    if not classes:
        assert study.patients == tuple(sorted(folders, key=natural_key))


def test_loose_images_beside_folders_of_images_are_samples_without_a_class(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "healthy/x.png", "sickle/y.png", "x.png")
    study = open_cohort(tmp_path)
    assert [(s.name, s.patient, s.label) for s in study.samples] == [
        ("healthy/x.png", "healthy/x", "healthy"),
        ("sickle/y.png", "y", "sickle"),
        ("x.png", "x", None),
    ]


def test_files_that_cannot_be_read_are_left_out_and_named(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "x.png", "y.png")
    (tmp_path / "y.png").write_bytes(b"")
    (tmp_path / "z.svg").write_text("<svg/>")
    (tmp_path / "notes.txt").write_text("x")
    study = open_cohort(tmp_path)
    assert [s.name for s in study.samples] == ["x"]
    assert study.notes == (
        "Files that cannot be read were left out: y.png (is empty (0 bytes)).",
        "Files of formats that are not read were left out (read are TIFF, PNG, JPEG, BMP, CZI, "
        "OME-Zarr or another microscope's format): z.svg.",
    )
    (tmp_path / "x.png").unlink()
    with pytest.raises(UserError, match=r"y\.png' is empty"):
        open_cohort(tmp_path)


def test_files_and_folders_chosen_together_are_one_study(
    tmp_path: Path, noise: Callable[..., Any], write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/x.png", "b/c/y.png", "b/z.png", "b/other.png")
    tifffile.imwrite(tmp_path / "stack.tif", noise(3, 6, 8), photometric="minisblack")
    chosen = [tmp_path / "a" / "x.png", tmp_path / "stack.tif", tmp_path / "b" / "c"]
    study = open_cohort([*chosen, tmp_path / "b" / "c" / "y.png"])
    assert [(s.name, len(s), s.label) for s in study.samples] == [
        ("x", 1, None),
        ("stack", 3, None),
        ("y", 1, None),
    ]
    assert study.folder == tmp_path
    assert open_cohort([tmp_path / "b" / "z.png"]).folder == tmp_path / "b"


def test_class_folders_chosen_together_stay_classes(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "healthy/P1/x.png", "sickle/P2/y.png", "other/P3/z.png")
    study = open_cohort([tmp_path / "healthy", tmp_path / "sickle"])
    assert study.classes == ("healthy", "sickle")
    assert study.patients == ("P1", "P2")


def test_folder_with_empty_folders_is_no_cohort(tmp_path: Path) -> None:
    (tmp_path / "a" / "P1").mkdir(parents=True)
    with pytest.raises(UserError, match="no images in its 1 folders"):
        open_cohort(tmp_path)


def test_opening_a_cohort_writes_nothing(tmp_path: Path, write_tree: Callable[..., Any]) -> None:
    write_tree(tmp_path, "a/P1/s/x.png", "b/P2/s/x.png")
    before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))
    for sample in open_cohort(tmp_path).samples:
        np.asarray(read_images(sample))
        frame_digest(sample.frames[0])
    assert sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*")) == before


def test_masks_beside_images_are_left_out_and_told_with_the_way_to_import_them(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    masks = ("a_cp_masks.png", "b_mask.png", "b_labels.png")
    write_tree(tmp_path, "a.png", "b.png", "c_mask.png", *masks)
    (tmp_path / "a_seg.npy").write_bytes(b"x")
    for name in ("._a.png", "Thumbs.db", "@eaDir/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    study = open_cohort(tmp_path)
    assert [s.name for s in study.samples] == ["a", "b", "c_mask"]  # no image c: it may be one
    (note,) = study.notes
    assert note.startswith("Masks of other programs beside the images were left out;")
    named = note.rpartition(": ")[2].removesuffix(".").split(", ")
    assert sorted(named) == ["a_cp_masks.png", "a_seg.npy", "b_labels.png", "b_mask.png"]
    assert [frame.path.stem for frame in open_sample(tmp_path).frames] == ["a", "b", "c_mask"]
    assert len(open_sample(tmp_path / "b_mask.png")) == 1  # opened on purpose
