"""A person's mistake at the command line ends with one sentence, whatever the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("detect", "nowhere.tif", "--out", "c.csv"), "does not exist"),
        (("detect", "text.tif", "--out", "c.csv"), "text.tif"),
        (("detect", "empty", "--out", "c.csv"), "holds no images"),
        (("detect", "field.tif", "--out", "c.csv", "--weights", "text.tif"), "not a readable"),
        (("detect", "field.tif", "--out", "text.tif/c.csv"), "could not be written"),
        (("detect", "field.tif", "--out", "c.csv", "--device", "gpu9"), "no device 'gpu9'"),
        (("detect", "field.tif", "--out", "c.csv", "--cell-diameter", "1"), "Cell diameter"),
        (("detect", "field.tif", "--out", "c.csv", "--cell-diameter", "big"), "7.5um"),
        (("detect", "field.tif", "--out", "c.csv", "--cell-diameter", "7um"), "size of their pix"),
        (("detect", "columns.csv", "--out", "c.csv"), "has no column 'label'"),
        (("detect", "field.tif", "--out", "few"), "is a folder; give the name of a file"),
        (("classify", "text.tif", "field.tif", "--out", "empty"), "is a folder"),
        (("classify", "m", "field.tif", "--out", "c", "--report", "empty"), "is a folder"),
        (("report", "m", "field.tif", "--out", "text.tif/r.html"), "text.tif is a file"),
        (("train", "few", "--out", "empty"), "is a folder; give the name of a file"),
        (("evaluate", "few", "--out", "text.tif"), "text.tif is a file"),
        (("finetune", "few", "--out", "empty"), "is a folder"),
        (("shapes", "m", "few", "--out", "empty"), "is a folder"),
        (("demo", "--out", "text.tif"), "text.tif is a file"),
        (("train", "field.tif", "--out", "m.safetensors"), "training needs two; give the samples"),
        (("train", "columns.csv", "--out", "m.safetensors"), "label"),
        (("train", "few", "--out", "m.safetensors", "--healthy-class", "c"), "no class 'c'"),
        (("evaluate", "few", "--out", "r"), "patient"),
        (("evaluate", "few", "--out", "r", "--methods", "mil"), "no method 'mil'"),
        (("classify", "text.tif", "field.tif", "--out", "c.csv"), "not a readable model file"),
        (("detect", "field.tif", "--out", "c.csv", "--colour", "red"), "no such option … --colour"),
        (("detect", "field.tif"), "--out"),
        (("evaluate", "few", "--out", "r", "--folds", "1"), "--folds"),
        (("train", "few", "--out", "m.safetensors", "--preset", "papre"), "paper"),
        (("train", "few", "--out", "m.safetensors", "--seed", 2**32), "--seed"),
        (("classify", "text.tif"), "inputs"),
        (("classify", "m", "field.tif", "--out", "c.csv", "--prior", "a"), "'a'; give each class"),
        (("classify", "m", "field.tif", "--out", "c.csv", "--prior", "a=x"), "healthy=0.9 --pri"),
        (
            ("classify", "m", "field.tif", "--out", "c.csv", *("--prior", "a=1") * 2),
            "--prior was given 'a=1'; give each class once",
        ),
        (
            (*("detect", "field.tif", "--out", "c.csv"), "--workers", 2, "--cluster", "tcp://h:1"),
            "has workers of its own; give one of the two",
        ),
    ],
)
def test_a_mistake_ends_with_code_1_and_one_sentence(
    arguments: tuple[object, ...],
    sentence: str,
    attmil: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.tif").write_text("I am not an image")
    Path("columns.csv").write_text("image,sample,patient\na.tif,s,p\n")
    Path("empty").mkdir()
    field = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    tifffile.imwrite("field.tif", field)
    for name in ("few/a/p1/1.tif", "few/b/p2/1.tif"):
        Path(name).parent.mkdir(parents=True)
        tifffile.imwrite(name, field)
    outcome = attmil(*arguments)
    assert outcome.code == 1
    assert outcome.last_line.startswith("attmil: ")
    # Versions of typer and click differ in capitals and in what is between an error and its option.
    for part in sentence.split(" … "):
        assert part.casefold() in outcome.last_line.casefold()
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_one_class_is_refused_before_its_cells_are_looked_for(
    command: str, attmil: Any, study: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(study / "cohort.csv")
    table["image"] = [study / image for image in table["image"]]
    table[table["label"] == "sickle"].to_csv(tmp_path / "sickle.csv", index=False)
    out = tmp_path / "out"
    outcome = attmil(command, tmp_path / "sickle.csv", "--out", out)
    assert outcome.code == 1
    assert "The cohort has 1 labelled class, but" in outcome.err
    assert "Computing on" not in outcome.err


def test_a_full_disk_is_said_and_leaves_no_half_file(
    attmil: Any, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    out = tmp_path / "cells.csv"
    outcome = attmil("detect", next(study.rglob("*.tif")), "--out", out)
    assert outcome.code == 1
    assert "disk is full" in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["classify", "report"])
def test_images_and_model_the_wrong_way_round_are_told_of(
    attmil: Any, tmp_path: Path, command: str
) -> None:
    outcome = attmil(command, "a.png", tmp_path / "m.safetensors", "--out", tmp_path / "out.csv")
    assert outcome.code == 1
    assert outcome.err.endswith(
        "m.safetensors is a model file, not an image; give the model first to a command that "
        "takes both."
    )
