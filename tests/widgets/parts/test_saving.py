"""Names of files that a person saves to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox, QWidget

from napari_attmil.widgets.parts.saving import (
    FIGURES,
    TABLES,
    as_file_name,
    ask_for_file,
    ask_where_to_save,
    with_ending,
)

KINDS = f"{FIGURES};;{TABLES}"


@pytest.mark.parametrize(
    ("name", "kind", "ends"),
    [
        ("cells", "", "cells.png"),
        ("model v1.2", "", "model v1.2.png"),
        ("a.svg", "", "a.svg"),
        ("a.PARQUET", "", "a.PARQUET"),
        ("gexp.v1", TABLES, "gexp.v1.csv"),
        ("a.png", TABLES, "a.png"),
    ],
)
def test_only_names_without_an_ending_that_can_be_written_get_one(
    name: str, kind: str, ends: str
) -> None:
    assert with_ending(Path("study.d") / name, KINDS, kind) == Path("study.d") / ends


def test_the_ending_is_that_of_the_kind_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer = (str(tmp_path / "roc v1.2"), TABLES)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args: answer)
    assert ask_where_to_save(QWidget(), "Save", "roc.png", KINDS) == tmp_path / "roc v1.2.csv"


def test_dialogs_start_in_the_study(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Panel(QWidget):
        study_folder = tmp_path

    asked: list[str] = []

    def answer(parent: Any, title: str, start: str, kinds: str) -> tuple[str, str]:
        asked.append(start)
        return "", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", answer)
    panel = Panel()
    part = QWidget(panel)
    ask_where_to_save(part, "Save", "roc.png", KINDS)
    ask_for_file(part, "Load", FIGURES, "models")
    (tmp_path / "models").mkdir()
    ask_for_file(part, "Load", FIGURES, "models")
    assert asked == [str(tmp_path / "roc.png"), str(tmp_path), str(tmp_path / "models")]


def test_no_file_is_no_file(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args: ("", ""))
    assert ask_where_to_save(QWidget(), "Save", "roc.png", KINDS) is None


@pytest.mark.parametrize("may", [True, False])
def test_a_file_that_the_ending_leads_to_is_only_replaced_if_the_person_says_so(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, may: bool
) -> None:
    asked, buttons = [], QMessageBox.StandardButton
    (tmp_path / "roc.png").write_bytes(b"mine")

    def question(parent: Any, title: str, text: str) -> QMessageBox.StandardButton:
        asked.append(text)
        return buttons.Yes if may else buttons.No

    monkeypatch.setattr(QMessageBox, "question", question)
    for name in ("roc", "roc.png"):  # Qt has asked about the second
        monkeypatch.setattr(
            QFileDialog, "getSaveFileName", lambda *args, name=name: (str(tmp_path / name), FIGURES)
        )
        chosen = ask_where_to_save(QWidget(), "Save", "roc.png", KINDS)
        assert chosen == (tmp_path / "roc.png" if may or name == "roc.png" else None)
    assert asked == ["roc.png exists already. Replace it?"]


def test_a_samples_name_becomes_one_name_of_a_file() -> None:
    assert as_file_name("hs2/s1") == "hs2-s1"
    assert as_file_name('C:\\a?"b') == "C-a-b"
    assert as_file_name("Müller Jörg") == "Müller Jörg"
