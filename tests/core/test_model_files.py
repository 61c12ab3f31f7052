from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from napari_attmil.core.errors import UserError
from napari_attmil.core.files import write_atomically
from napari_attmil.core.model_files import FORMAT, Checkpoint, load_checkpoint, save_checkpoint

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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists what is mapped")
def test_a_model_that_was_read_does_not_hold_its_file(model_file: Path) -> None:
    loaded = load_checkpoint(model_file, "detector")
    assert loaded.weights and str(model_file) not in Path("/proc/self/maps").read_text()


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the size of files")
def test_weights_that_do_not_fit_on_the_disk_are_said_in_one_sentence(tmp_path: Path) -> None:
    # A limit on the size of files stops the writing where a full disk would.
    code = f"""
import resource, signal
from pathlib import Path
import torch
from napari_attmil.core.model_files import Checkpoint, save_checkpoint
from napari_attmil.core.settings import UserError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    model = Checkpoint("detector", {{"a": torch.ones(999)}}, {{}})
    save_checkpoint(Path({str(tmp_path)!r}) / "m.safetensors", model)
except UserError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "m.safetensors could not be written (File too large)" in said.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({}, "no known kind"),
        ({"kind": "detector", "settings": "[]"}, "no table of names and values"),
        ({"kind": "detector", "provenance": "null"}, "no table of names and values"),
        ({"kind": "detector", "settings": "{"}, "not a readable model file"),
    ],
)
def test_a_model_file_that_somebody_tampered_with_gives_one_sentence(
    tmp_path: Path, metadata: dict[str, str], sentence: str
) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "m.safetensors"
    save_file(WEIGHTS, path, {"format": FORMAT, **metadata})
    with pytest.raises(UserError, match=sentence):
        load_checkpoint(path, "detector")


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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_was_written_is_on_the_disk_before_it_replaces_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "cells.csv", list[tuple[str, bool]]()

    def sync(handle: int) -> None:
        place = Path(os.readlink(f"/proc/self/fd/{handle}"))
        seen.append((place.name.split(".")[-1], path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    with write_atomically(path) as temporary:
        temporary.write_text("new")
    assert seen == [("attmil-unfinished", False), (tmp_path.name, True)]


def test_what_a_killed_program_left_is_removed_after_a_day(tmp_path: Path) -> None:
    old, new = (tmp_path / f".{name}.attmil-unfinished" for name in ("old", "new"))
    for leftover, age_s in ((old, 25 * 3600), (new, 3600)):
        leftover.write_text("half")
        os.utime(leftover, (time.time() - age_s,) * 2)
    with write_atomically(tmp_path / "cells.csv") as temporary:
        temporary.write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [new.name, "cells.csv"]


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (torch.tensor([1.0, float("nan")]), "weights a hold values that are no finite numbers"),
        (torch.tensor([1.0, float("inf")]), "weights a hold values that are no finite numbers"),
        (torch.ones(2, dtype=torch.int8), "weights a are of the type int8"),
    ],
)
def test_weights_that_make_no_sense_are_refused(
    tmp_path: Path, weights: torch.Tensor, sentence: str
) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, Checkpoint("detector", {"a": weights}, {}))
    with pytest.raises(UserError, match=sentence):
        load_checkpoint(path, "detector")
    save_checkpoint(path, Checkpoint("training", {"a": weights}, {}))
    assert load_checkpoint(path, "training").weights["a"].dtype == weights.dtype


def test_settings_nested_too_deeply_are_a_sentence(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "m.safetensors"
    save_file(WEIGHTS, path, {"format": FORMAT, "kind": "detector", "settings": "[" * 100_000})
    with pytest.raises(UserError, match="not a readable model file"):
        load_checkpoint(path, "detector")
