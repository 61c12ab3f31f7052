"""How functions take their inputs, and which outputs they refuse."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

import napari_attmil as attmil
from napari_attmil.api.runs import as_samples, checked_out, one_sample

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def field(tmp_path: Path) -> Path:
    """Return an image file."""
    path = tmp_path / "field.tif"
    tifffile.imwrite(path, np.full((96, 96), 90, np.uint8))
    return path


def test_images_of_one_name_in_two_folders_are_two_samples(field: Path) -> None:
    paths = []
    for folder in ("a", "b"):
        (field.parent / folder).mkdir()
        paths.append(shutil.copy(field, field.parent / folder / "img.tif"))
    samples = as_samples(path for path in paths)
    assert [sample.name for sample in samples] == [Path(path).as_posix() for path in paths]
    assert len(attmil.Study.around(samples)[0].cohort) == 2
    given = attmil.Sample("given", "p", None, (attmil.Frame(field),))
    mixed = as_samples([paths[0], given, paths[1]])
    assert mixed[0] is given and mixed[1:] == samples


def test_one_sample_is_one(place: Path) -> None:
    with pytest.raises(attmil.UserError, match=r"holds 3 samples \(.*\), but say which\."):
        one_sample(place / "study" / "sickle", "say which.")
    assert len(one_sample(place / "study" / "sickle" / "sickle-01", "say which.")) == 1


def test_cells_are_not_written_over_their_image(field: Path) -> None:
    before = field.read_bytes()
    for samples in (field, str(field), [field], (path for path in [field])):
        with pytest.raises(attmil.UserError, match=r"field\.tif is what the command reads"):
            attmil.detect(samples, field)
    assert field.read_bytes() == before


WRITTEN: list[tuple[str, Callable[[Path, Path], Any]]] = [
    ("study/cohort.csv", lambda study, out: attmil.train(study, out)),
    ("study/annotations.sqlite", lambda study, out: attmil.train(attmil.open_cohort(study), out)),
    ("model.safetensors", lambda study, out: attmil.train(study, out, weights=out)),
    ("model.safetensors", lambda study, out: attmil.classify(out, study, out)),
    ("model.safetensors", lambda study, out: attmil.report(out, study, out)),
    ("model.safetensors", lambda study, out: attmil.shapes(out, study, out)),
    ("model.safetensors", lambda study, out: attmil.ask(study, out, out)),
    ("model.safetensors", lambda study, out: attmil.finetune(study, out, weights=out)),
    ("study/cohort.csv", lambda study, out: attmil.export_boxes(study, out, "csv")),
    ("study/report.json", lambda study, out: attmil.evaluate(study, out.parent, weights=out)),
]


@pytest.mark.parametrize(("name", "call"), WRITTEN)
def test_what_cannot_be_made_again_is_refused_and_stays(
    name: str, call: Callable[[Path, Path], Any], place: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(place, tmp_path / "place")
    (folder / "study" / "report.json").write_text("weights")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(attmil.UserError, match="give the output another name"):
        call(folder / "study", folder / name)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_a_cohort_s_table_is_what_is_read(place: Path, tmp_path: Path) -> None:
    study = shutil.copytree(place / "study", tmp_path / "study")
    cohort = attmil.open_cohort((study / "cohort.csv").rename(study / "list.csv"))
    with pytest.raises(attmil.UserError, match=r"list\.csv is what the command reads"):
        checked_out(study / "list.csv", cohort)


def test_an_output_that_cannot_be_written_is_refused_first(field: Path) -> None:
    with pytest.raises(attmil.UserError, match="is a folder"):
        attmil.detect("missing.tif", field.parent)
    with pytest.raises(attmil.UserError, match="is a file"):
        attmil.train("missing", field / "model.safetensors")
    assert checked_out(None, field) is None
