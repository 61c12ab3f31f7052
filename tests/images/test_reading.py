"""Frames, samples and lazy sequences, and the way to a cohort."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal
from PIL import Image

from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample
from napari_attmil.images.formats import file_header
from napari_attmil.images.reading import (
    frame_digest,
    open_cohort,
    open_frames,
    open_sample,
    open_samples,
    read_frame,
    read_images,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_sample_has_a_pixel_size_only_if_its_files_agree(
    tmp_path: Path, noise: Callable[..., Any]
) -> None:
    for name, per_cm in [("a", 1e5), ("b", 1e5), ("c", 2e5)]:
        tifffile.imwrite(
            tmp_path / f"{name}.tif",
            noise(20, 30),
            resolution=(per_cm, per_cm),
            resolutionunit="centimeter",
        )
    assert open_sample([tmp_path / "a.tif", tmp_path / "b.tif"]).pixel_size_um == pytest.approx(0.1)
    assert open_sample(tmp_path).pixel_size_um is None


def test_sequence_is_taken_like_the_array_it_stands_for(
    tmp_path: Path, noise: Callable[..., Any]
) -> None:
    images = noise(6, 20, 30)
    tifffile.imwrite(tmp_path / "s.tif", images, photometric="minisblack")
    sequence = read_images(open_sample(tmp_path / "s.tif"))
    assert (sequence.shape, sequence.ndim, sequence.dtype) == ((6, 20, 30), 3, np.uint8)
    assert_array_equal(sequence[-1], images[-1])
    assert_array_equal(sequence[np.int64(2)], images[2])  # type: ignore[call-overload]
    assert_array_equal(sequence[1:5:2], images[1:5:2])
    assert_array_equal(sequence[2:2], images[2:2])
    assert_array_equal(np.asarray(sequence), images)
    assert len(list(sequence)) == 6
    with pytest.raises(IndexError):
        sequence[6]


def test_grey_beside_colour_and_eight_beside_sixteen_bit_are_brought_to_one_form(
    tmp_path: Path, noise: Callable[..., Any], write_png: Callable[..., Any]
) -> None:
    grey, colour = noise(20, 30), noise(20, 30, 3, dtype="uint16")
    write_png(tmp_path / "1.png", grey)
    write_png(tmp_path / "2.png", colour)
    images = read_images(open_sample(tmp_path))
    assert (images.shape, images.dtype) == ((2, 20, 30, 3), np.uint16)
    assert_array_equal(images[0], np.stack([grey.astype(int) * 257] * 3, axis=-1))
    assert_array_equal(images[1], colour)


def test_images_of_different_sizes_in_a_sample_keep_their_own(
    tmp_path: Path, noise: Callable[..., Any], write_png: Callable[..., Any]
) -> None:
    small, large = noise(48, 128), noise(96, 64, 3)
    write_png(tmp_path / "a.png", small)
    write_png(tmp_path / "b.png", large)
    images = read_images(open_sample(tmp_path, name="P07"))
    assert images.sizes == ((48, 128), (96, 64))
    assert_array_equal(images[0], np.repeat(small[..., np.newaxis], 3, axis=-1))
    assert_array_equal(images[1], large)
    assert images[1:].sizes == ((96, 64),)
    padded = np.asarray(images)
    assert padded.shape == images.shape == (2, 96, 128, 3)
    assert_array_equal(padded[1, :, :64], large)
    assert not padded[1, :, 64:].any()
    assert not padded[0, 48:].any()


def test_sample_without_images_is_refused_when_read() -> None:
    with pytest.raises(UserError, match="'S1' has no images"):
        read_images(Sample("S1", "P1", None, ()))


def test_sample_is_named_after_its_folder_or_file(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "P07/a.png", "P07/b.png")
    folder = tmp_path / "P07"
    assert open_sample(folder).name == "P07"
    assert open_sample(str(folder / "a.png")).name == "a"
    assert open_sample([folder / "a.png", folder / "b.png"]).name == "P07"
    named = open_sample(folder, name="mine")
    assert (named.name, named.patient, named.label, len(named)) == ("mine", "mine", None, 2)


def test_fingerprint_follows_content_and_page_but_not_the_folder(
    tmp_path: Path, noise: Callable[..., Any]
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    tifffile.imwrite(old / "s.tif", noise(2, 300, 300), photometric="minisblack")
    first, second = map(frame_digest, open_frames(old))
    assert first != second
    old.rename(new)
    assert frame_digest(Frame(new / "s.tif")) == first
    data = bytearray((new / "s.tif").read_bytes())
    data[-1] ^= 1
    status = (new / "s.tif").stat()
    (new / "s.tif").write_bytes(data)
    os.utime(new / "s.tif", ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert frame_digest(Frame(new / "s.tif")) != first


def test_fingerprint_of_a_picture_replaced_with_the_same_size_and_time_is_another(
    tmp_path: Path, noise: Callable[..., Any]
) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, noise(700, 700), photometric="minisblack")
    first, status = frame_digest(Frame(path)), path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert frame_digest(Frame(path)) != first
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert frame_digest(Frame(path)) == first  # at another time


def test_folder_without_images_is_named_with_what_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"holds no images; choose one that does \(TIFF, PNG"):
        open_frames(tmp_path)


@pytest.mark.parametrize("name", ["gone", "gone.tif", "gone.csv"])
def test_path_that_does_not_exist_is_named(tmp_path: Path, name: str) -> None:
    openers: list[Callable[[Path], object]] = [open_frames, open_sample, open_cohort, file_header]
    for opener in openers:
        with pytest.raises(UserError, match=f"{name}'"):
            opener(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read"):
        frame_digest(Frame(tmp_path / name))


def test_one_image_is_a_study_of_one_sample(
    tmp_path: Path, noise: Callable[..., Any], write_png: Callable[..., Any]
) -> None:
    path = write_png(tmp_path / "x.png", noise(6, 8))
    study = open_cohort(path)
    assert [(s.name, s.patient, s.label, len(s)) for s in study.samples] == [("x", "x", None, 1)]
    assert study.folder == tmp_path


def test_nothing_to_open_is_said() -> None:
    with pytest.raises(UserError, match="No images were given"):
        open_sample([])
    with pytest.raises(UserError, match="No images were given"):
        open_cohort([])


@pytest.mark.real_data
def test_smears_of_five_anaemias_open_as_a_cohort(real_data: Path) -> None:
    study = open_cohort(real_data / "chula" / "smears")
    assert len(study) == 30
    assert study.classes == (
        "he",
        "hs",
        "iron_deficiency_anemia",
        "megaloblastic_anemia",
        "thalassemia",
    )
    for sample in study.samples:
        images = read_images(sample)
        assert images[0].shape == images.shape[1:]
        assert images[0].std() > 5


@pytest.mark.real_data
def test_smears_of_many_sizes_are_read_alike_by_pillow(real_data: Path) -> None:
    frames = open_frames(real_data / "txl_pbc" / "val")[::40]
    assert len({read_frame(frame).shape for frame in frames}) > 1
    for frame in frames:
        with Image.open(frame.path) as picture:
            assert_array_equal(read_frame(frame), np.asarray(picture))


def test_each_file_and_each_folder_with_images_is_a_sample(
    tmp_path: Path, noise: Callable[..., Any], write_png: Callable[..., Path]
) -> None:
    for name in ("a/1.png", "a/2.png", "a/deeper/3.png", "b/4.png"):
        write_png(tmp_path / name, noise(8, 9))
    samples = open_samples([tmp_path / "a", tmp_path / "b" / "4.png"])
    assert [(sample.name, len(sample)) for sample in samples] == [("a", 2), ("deeper", 1), ("4", 1)]
    with pytest.raises(UserError, match="No images were given"):
        open_samples([])


def test_samples_of_a_table_are_opened_with_others(
    tmp_path: Path, write_tree: Callable[..., Any]
) -> None:
    write_tree(tmp_path, "a/1.png", "a/2.png", "b/3.png")
    table = tmp_path / "some.csv"
    table.write_text("image,sample,patient,label\na/1.png,s1,p1,x\na/2.png,s1,p1,x\n")
    samples = open_samples([table, tmp_path / "b"])
    assert [(sample.name, len(sample), sample.label) for sample in samples] == [
        ("s1", 2, "x"),
        ("b", 1, None),
    ]


def test_samples_of_one_name_are_told_apart_by_their_paths(
    tmp_path: Path, noise: Callable[..., Any], write_png: Callable[..., Path]
) -> None:
    paths = [write_png(tmp_path / name, noise(8, 9)) for name in ("a/1.png", "b/1.png", "b/2.png")]
    names = [sample.name for sample in open_samples(paths)]
    assert names == [paths[0].as_posix(), paths[1].as_posix(), "2"]


@pytest.mark.parametrize(("place", "given"), [("P07", "."), ("P07/more", "..")])
def test_a_folder_that_is_named_by_dots_gives_its_own_name(
    tmp_path: Path,
    write_tree: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    given: str,
) -> None:
    write_tree(tmp_path, "P07/a.png", "P07/more/b.png")
    monkeypatch.chdir(tmp_path / place)
    assert open_sample(given).name == "P07"
    assert [sample.name for sample in open_samples([given])] == ["P07", "more"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_refused_when_it_is_opened(
    tmp_path: Path, noise: Callable[..., Any], write_png: Callable[..., Path]
) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    write_png(folder / "a.png", noise(8, 9))
    with pytest.raises(UserError, match=r"caf\\udce9.*rename the file or folder"):
        open_samples([folder])
    with pytest.raises(UserError, match="rename"):
        file_header(folder / "a.png")
