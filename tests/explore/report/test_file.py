from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image
from pypdf import PdfReader

from napari_attmil.bags.prediction import Prediction
from napari_attmil.cells.annotations.corrections import move_box
from napari_attmil.cells.boxes import Boxes
from napari_attmil.core.errors import UserError
from napari_attmil.core.progress import Progress
from napari_attmil.core.words import CAUTION
from napari_attmil.explore.report.by_class import measured_cells
from napari_attmil.explore.report.content import Finding
from napari_attmil.explore.report.file import write_report
from napari_attmil.images import LargeImage
from napari_attmil.images.cohort import Frame, Sample
from napari_attmil.reports.blocks import Block, Heading, Listing
from napari_attmil.reports.pdf import pdf_file
from napari_attmil.reports.pictures import PICTURE_PX, boxed_picture, thumbnail

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

CORNERS = np.array([(10, 10, 40, 40), (60, 50, 90, 80), (20, 60, 50, 90)], np.float32)


def image(seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (100, 120), dtype=np.uint8)


@pytest.fixture
def finding(tmp_path: Path) -> Finding:
    """Return a sample of two images and three cells, of which the last is the highest."""
    for number in (0, 1):
        tifffile.imwrite(tmp_path / f"{number}.tif", image(number))
    frames = (Frame(tmp_path / "0.tif"), Frame(tmp_path / "1.tif"))
    sample = Sample("P<7>", "P7", None, frames, pixel_size_um=0.25)
    boxes = Boxes.from_detections(np.array([0, 0, 1]), CORNERS, np.ones(3))
    prediction = Prediction(
        sample="P<7>",
        classes=("healthy", "sick & tired"),
        probabilities=np.array([0.2, 0.8], np.float32),
        cell_id=boxes.cell_id,
        attention=np.array([0.1, 0.3, 0.6], np.float32),
        contribution=np.array([(0, -0.1), (0, 0.2), (0, 0.7)], np.float32),
        member_probabilities=np.array([(0.1, 0.9), (0.3, 0.7)], np.float32),
        prediction_set=("sick & tired",),
        coverage=0.9,
        note="Few patients.",
    )
    return Finding(sample, boxes, prediction)


def written(path: Path, *findings: Finding) -> list[Progress]:
    return list(write_report(path, findings, {"detector": "d1gest", "model_sha256": "5ha"}))


def page_of(*findings: Finding) -> str:
    path = findings[0].sample.frames[0].path.with_name("report.html")
    written(path, *findings)
    return path.read_text("utf-8")


def test_cell_that_was_moved_since_counts_no_longer_in_the_tables(finding: Finding) -> None:
    moved = move_box(finding.boxes, 3, [25, 60, 55, 90])
    now = replace(finding, boxes=moved, classified=finding.boxes)
    np.testing.assert_allclose(now.cells()["attention"], [0.1, 0.3, np.nan], atol=1e-6)
    assert measured_cells([now])["attention"].isna().tolist() == [False, False, True]


def test_page_needs_no_other_file_and_escapes_names(finding: Finding) -> None:
    page = page_of(finding)
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in page
    assert "P&lt;7&gt;" in page and "P<7>" not in page
    assert "sick &amp; tired" in page


def test_page_says_what_is_known_and_how_sure(finding: Finding) -> None:
    page = page_of(finding)
    assert CAUTION in page and "Few patients." in page
    assert "2 of 2 models agree" in page
    assert "<td>80.0%</td><td>70% to 90%</td><td>yes</td>" in page
    assert "d1gest" in page and "5ha" in page and finding.boxes.digest() in page


def test_every_cell_is_traced_to_file_frame_and_box_the_highest_first(finding: Finding) -> None:
    page = page_of(finding)
    told = re.findall(r"Cell (\d+): attention ([\d.]+).*?, frame (\d+), box ([\d., ]+) px", page)
    highest = str(finding.boxes.cell_id[2])
    assert told[0] == (highest, "0.6000", "0", "20, 60, 50, 90")
    assert [cell for cell, *_ in told] == [str(cell) for cell in finding.boxes.cell_id[::-1]]
    assert str(finding.sample.frames[1].path) in page


def test_first_thumbnail_shows_the_pixels_of_the_highest_cell(finding: Finding) -> None:
    encoded = re.findall(r"data:image/png;base64,([^\"]+)", page_of(finding))
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded[0]))))
    # Cells of 30 px of 0.25 µm and half as much again need 11.25 µm, which is rounded up to 15.
    expected = thumbnail(image(1), CORNERS[2], 15 / 0.25)
    np.testing.assert_array_equal(shown, np.asarray(expected))
    assert "every picture shows 15 µm" in page_of(finding)


def test_image_with_the_most_attention_comes_first(finding: Finding) -> None:
    captions = re.findall(r"(\d)\.tif, frame 0: (\d) cells with (\d+)%", page_of(finding))
    assert captions == [("1", "1", "60"), ("0", "2", "40")]


def test_report_is_written_a_sample_at_a_time_and_kept_at_the_end(
    finding: Finding, tmp_path: Path
) -> None:
    steps = write_report(tmp_path / "r.html", [finding, finding], {})
    assert (
        next(steps) == Progress(1, 2, "Writing sample 1 of 2")
        and not (tmp_path / "r.html").exists()
    )
    assert (
        list(steps) == [Progress(2, 2, "Writing sample 2 of 2")] and (tmp_path / "r.html").exists()
    )


def test_pdf_says_the_same_in_text_that_can_be_searched(finding: Finding, tmp_path: Path) -> None:
    written(tmp_path / "r.pdf", finding)
    text = "".join(page.extract_text() for page in PdfReader(tmp_path / "r.pdf").pages)
    text = " ".join(text.split())
    assert "P<7>" in text and "sick & tired" in text and "2 of 2 models agree" in text
    assert CAUTION in text and finding.boxes.digest() in text and "5ha" in text
    assert "box 20, 60, 50, 90 px" in text and "every picture shows 15 µm" in text


def test_pdf_holds_the_pixels_of_the_highest_cell(finding: Finding, tmp_path: Path) -> None:
    written(tmp_path / "r.pdf", finding)
    shown = [i.image for page in PdfReader(tmp_path / "r.pdf").pages for i in page.images]
    expected = np.asarray(thumbnail(image(1), CORNERS[2], 15 / 0.25))
    assert any(np.array_equal(np.asarray(each), expected) for each in shown)


def test_pdf_takes_names_in_other_scripts_and_texts_longer_than_a_page(tmp_path: Path) -> None:
    blocks: list[Block] = [
        Heading("Пациент Ωμέγα", 1),
        Listing("All", "x" * 300 + "\n" + "line\n" * 400),
    ]
    (tmp_path / "r.pdf").write_bytes(pdf_file("Title", blocks))
    pages = PdfReader(tmp_path / "r.pdf").pages
    text = "".join(page.extract_text() for page in pages)
    assert "Пациент Ωμέγα" in text and text.count("x") == 300 and text.count("line") == 400
    assert len(pages) > 2


def test_other_suffixes_are_refused_with_those_that_are_known(
    finding: Finding, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"'r\.docx'; choose a name that ends in \.html or \.pdf"):
        written(tmp_path / "r.docx", finding)


def test_wide_image_is_shrunk_and_its_boxes_with_it() -> None:
    wide = np.full((500, 2 * PICTURE_PX), 128, np.uint8)
    picture = np.asarray(boxed_picture(wide, [(200, 100, 400, 300)], [(1, 0.5, 0, 1)]))
    assert picture.shape == (250, PICTURE_PX, 3)
    np.testing.assert_array_equal(picture[100, 100], (255, 128, 0))
    np.testing.assert_array_equal(picture[100, 150], (128, 128, 128))


def test_the_picture_of_a_slide_is_made_of_a_smaller_copy_of_it() -> None:
    wide = np.full((1500, 4 * PICTURE_PX), 128, np.uint8)
    copies = LargeImage((wide, wide[::2, ::2], wide[::4, ::4]))
    boxes, colours = [(400, 200, 800, 600)], [(1, 0.5, 0, 1)]
    picture = np.asarray(boxed_picture(copies, boxes, colours))  # type: ignore[arg-type]
    np.testing.assert_array_equal(picture, boxed_picture(wide[::1, ::1], boxes, colours))
