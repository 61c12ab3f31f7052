"""Images are found by what other tools call them, and only where one image fits."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from napari_attmil.cells.exchange.annotation_set import (
    AnnotatedBox,
    AnnotatedImage,
    AnnotationSet,
)
from napari_attmil.cells.exchange.image_names import ImageNames, same_image
from napari_attmil.cells.exchange.importing import ImportPlan, plan_import
from napari_attmil.core import finished
from napari_attmil.images.cohort import Frame, Sample


def sample_of(*names: str) -> Sample:
    return Sample("s", "s", None, tuple(Frame(Path("/study") / name) for name in names))


def found(sample: Sample, name: str) -> list[str]:
    places = ImageNames([sample]).find(name).places
    return [sample.frames[index].path.relative_to("/study").as_posix() for _, index in places]


NFD = unicodedata.normalize("NFD", "Proben/Zelle ä 1.tif")
NFC = unicodedata.normalize("NFC", NFD)


@pytest.mark.parametrize(
    ("images", "name", "expected"),
    [
        ([NFD], NFC, [NFD]),
        ([NFC], NFD, [NFC]),
        (["Capture_décran.png"], "cb0618f6-Capture_d%C3%A9cran.png", ["Capture_décran.png"]),
        (["Capture d'écran.png"], "cb0618f6-Capture_d%C3%A9cran.png", ["Capture d'écran.png"]),
        (["a+b#1.png"], "folder/a+b#1.png", ["a+b#1.png"]),
        (["a+b 1.png"], "folder/a%2Bb%201.png", ["a+b 1.png"]),
        (["Snapshot (3).tif", "Snapshot (4).tif"], "Snapshot_3.tif", ["Snapshot (3).tif"]),
        (
            ["smear 12 (left).tif", "smear 12 (right).tif"],
            "train/smear-12-left_tif.rf.0123abcd.jpg",
            ["smear 12 (left).tif"],
        ),
        (["IMG_1.tif", "img_1.tif"], "IMG_1.tif", ["IMG_1.tif"]),
        (["IMG_1.tif", "img_1.tif"], "img_1.tif", ["img_1.tif"]),
        (["IMG_1.tif", "img_1.tif"], "Img_1.tif", ["IMG_1.tif", "img_1.tif"]),
        (["p1/s1/i.png", "p1/s2/i.png"], "masks/p1/s2/i.png", ["p1/s2/i.png"]),
        (["p1/s1/i.png", "p1/s2/i.png"], "p1/s2/images/i.png", ["p1/s2/i.png"]),
        (["P 1/i.png", "P 2/i.png"], "p-2/i.png", ["P 2/i.png"]),
        (["a_12.png"], "a_1_2.png", []),
        (["a.png", "a.tif"], "a.tif", ["a.tif"]),
        (["a.png", "a.tif"], "a", ["a.png", "a.tif"]),
        (["v1.2.png", "v1.3.png"], "v1.3", ["v1.3.png"]),
    ],
)
def test_names_are_compared_exactly_first_and_then_in_looser_ways(
    images: list[str], name: str, expected: list[str]
) -> None:
    assert found(sample_of(*images), name) == expected


def test_five_thousand_samples_with_an_image_of_one_name_each_are_looked_up_at_once() -> None:
    samples = [
        Sample(f"s{n}", f"p{n}", None, (Frame(Path(f"/study/p{n}/s{n}/i.png")),))
        for n in range(5000)
    ]
    names = ImageNames(samples)
    for n in range(5000):
        ((sample, index),) = names.find(f"p{n}/s{n}/i.png").places
        assert (sample.name, index) == (f"s{n}", 0)


def plan(folder: Path, images: list[str], names: list[str]) -> ImportPlan:
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (100, 80)).save(folder / image)
    sample = Sample("s", "s", None, tuple(Frame(folder / image) for image in images))
    box = AnnotatedBox((1, 2, 11, 12))
    listed = AnnotationSet("test", tuple(AnnotatedImage(name, (box,)) for name in names))
    return finished(plan_import([sample], listed))


def placed(of: ImportPlan) -> dict[str, str]:
    return {each.image.name: each.sample.frames[each.index].path.name for each in of.images}


def test_images_of_samples_that_are_not_here_do_not_fall_on_one_that_is(tmp_path: Path) -> None:
    names = [f"s{n}/i.png" for n in (1, 2, 3)]
    done = plan(tmp_path, ["s1/i.png"], names)
    assert placed(done) == {"s1/i.png": "i.png"}
    assert [each.image for each in done.left_out] == ["s2/i.png", "s3/i.png"]
    unclear = plan(tmp_path, ["s1/i.png"], names[1:])
    assert placed(unclear) == {}
    assert len(unclear.left_out) == 2


def test_augmented_copies_of_one_image_are_left_out(tmp_path: Path) -> None:
    done = plan(tmp_path, ["a.tif"], ["a_tif.rf.0123.jpg", "a_tif.rf.4567.jpg"])
    assert placed(done) == {}
    assert {each.image for each in done.left_out} == {"a_tif.rf.0123.jpg", "a_tif.rf.4567.jpg"}


def test_the_same_image_in_two_files_comes_in_from_both(tmp_path: Path) -> None:
    done = plan(tmp_path, ["p1/a.png"], ["train/p1/a.png", "p1/a"])
    assert len(done.images) == 2


def test_a_similar_name_is_told(tmp_path: Path) -> None:
    done = plan(tmp_path, ["Snapshot (3).tif"], ["Snapshot_3.tif"])
    assert done.images[0].is_renamed
    assert done.notes == ("Found by a similar name: Snapshot_3.tif as Snapshot (3).tif.",)


def test_a_name_of_nothing_but_slashes_is_of_no_image() -> None:
    assert not same_image("/", "a.png") and not same_image("", "a.png")
