"""Nothing that a command reads, no image and no file of a study is written over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_attmil.core.errors import UserError
from napari_attmil.workflows import check_outputs


@pytest.fixture(autouse=True)
def files(project: Any, monkeypatch: pytest.MonkeyPatch) -> dict[Path, bytes]:
    """Stand beside a study with corrections, a model, a detector and lists of images and boxes."""
    monkeypatch.chdir(project.folder.parent)
    for name in ("m.safetensors", "w.safetensors", "coco.json", "list.csv"):
        Path(name).write_text("cannot be made again")
    Path("study/cohort.csv").write_text("image,sample,patient,label\n")
    tifffile.imwrite("field.tif", np.zeros((64, 64), np.uint8))
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "arguments",
    [
        "detect field.tif --out field.tif",
        "detect field.tif --out study/../field.tif",
        "detect field.tif --out study/healthy/p1/s1/a.tif",
        "detect field.tif --out w.safetensors --weights w.safetensors",
        "train list.csv --out list.csv",
        "train study --out w.safetensors --weights w.safetensors",
        "classify m.safetensors field.tif --out m.safetensors",
        "classify m.safetensors field.tif --out cells.csv --report field.tif",
        "report m.safetensors field.tif --out m.safetensors",
        "shapes m.safetensors study --out m.safetensors",
        "finetune coco.json --out coco.json",
        "finetune study --out w.safetensors --weights w.safetensors",
        "export study --format csv --out study/cohort.csv",
        "export study --format csv --out study/Cohort.csv",
        "export study --format coco --out study/annotations.sqlite",
        "export study --format coco --out study/healthy/p1/s1/b.tif",
    ],
)
def test_what_would_be_lost_is_named_and_stays_as_it_is(
    arguments: str, attmil: Any, files: dict[Path, bytes]
) -> None:
    outcome = attmil(*arguments.split())
    assert outcome.code == 1
    option = "--report" if "--report" in arguments else "--out"
    lost = arguments.split(f"{option} ")[1].split()[0]
    assert outcome.last_line == outcome.err
    assert outcome.err.startswith(f"attmil: {lost} ")
    assert outcome.err.endswith("give the output another name.")
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == files


def test_a_demo_does_not_write_its_cells_over_the_cohort_s_table(attmil: Any) -> None:
    Path("cells.csv").write_text("image,sample,patient,label\n")
    outcome = attmil("demo", "--data", "cells.csv", "--out", ".")
    assert "cells.csv is what the command reads" in outcome.err


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("target", ["study/annotations.sqlite", "list.csv", "field.tif"])
def test_a_link_is_refused(target: str) -> None:
    Path("link.csv").symlink_to(target)
    with pytest.raises(UserError, match=r"link\.csv is a link, not a file; give"):
        check_outputs([Path("link.csv")], [Path("list.csv")])


def test_a_second_name_of_an_input_file_is_known(files: dict[Path, bytes]) -> None:
    del files
    os.link("list.csv", "again.csv")
    with pytest.raises(UserError, match=r"again\.csv is what the command reads"):
        check_outputs([Path("again.csv")], [None, Path("list.csv")])


def test_results_are_replaced_and_may_lie_in_the_study() -> None:
    for out in ("list.csv", "w.safetensors", "new.csv", "study", "new.tif"):
        check_outputs([Path(out), None], [Path("study"), Path("m.safetensors")])
