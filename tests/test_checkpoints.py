from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
import torch

from napari_attmil.checkpoints import Checkpoint, load_checkpoint, save_checkpoint, write_atomically
from napari_attmil.settings import UserError

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = {"layer.weight": torch.arange(6).reshape(2, 3).half(), "layer.bias": torch.ones(2)}


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "m.safetensors"
    save_checkpoint(path, Checkpoint("detector", WEIGHTS, {"size": 3}, {"data": "made up"}))
    return path


def test_a_model_file_gives_back_weights_settings_and_provenance(model_file: Path) -> None:
    loaded = load_checkpoint(model_file, "detector")
    assert {k: v.dtype for k, v in loaded.weights.items()} == {
        "layer.weight": torch.float16,
        "layer.bias": torch.float32,
    }
    assert all(torch.equal(loaded.weights[name], WEIGHTS[name]) for name in WEIGHTS)
    assert loaded.settings == {"size": 3}
    assert loaded.provenance["data"] == "made up"
    assert loaded.provenance["created"].endswith("+00:00")


def test_a_model_of_another_kind_is_refused(model_file: Path) -> None:
    with pytest.raises(UserError, match="holds a detector, but a classifier is needed"):
        load_checkpoint(model_file, "classifier")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model file"):
        load_checkpoint(tmp_path / "nothing.safetensors", "detector")


@pytest.mark.parametrize("content", [b"", b"hello, I am a text file", b"\xff" * 200])
def test_a_file_that_is_no_model_gives_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a readable model file"):
        load_checkpoint(path, "detector")


def test_a_truncated_model_gives_one_sentence(model_file: Path) -> None:
    model_file.write_bytes(model_file.read_bytes()[:-5])
    with pytest.raises(UserError, match="not a readable model file"):
        load_checkpoint(model_file, "detector")


def test_a_model_of_other_software_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file(WEIGHTS, path)
    with pytest.raises(UserError, match="made by other software"):
        load_checkpoint(path, "detector")


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_text("old")
    with pytest.raises(UserError, match="disk is full"), write_atomically(path) as temporary:
        temporary.write_text("ne")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["cells.csv"]


def test_a_full_disk_while_weights_are_written_is_said_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(UserError, match="disk is full"):
        save_checkpoint(tmp_path / "m.safetensors", Checkpoint("detector", WEIGHTS, {}))


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(UserError, match="choose another folder"),
        write_atomically(tmp_path / "taken" / "cells.csv"),
    ):
        pass


def test_writing_replaces_the_old_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_text("old")
    with write_atomically(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
