"""What all commands do: print names, show progress, and end with one sentence."""

from __future__ import annotations

import io
import platform
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from napari_attmil import cli
from napari_attmil.cli.terminal import say, shown

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

OPEN_HELP = """
import contextlib, sys
from napari_attmil import cli
sys.argv = ["attmil", "--help"]
with contextlib.suppress(SystemExit):
    cli.main()
print(sorted({"numpy", "pandas", "scipy", "torch", "torchvision"} & set(sys.modules)))
"""


def test_help_lists_the_commands_as_a_study_needs_them(attmil: Any) -> None:
    text = attmil("--help").out
    commands = ("demo", "detect", "train", "classify", "evaluate", "queue", "check")
    places = [text.index(f"│ {name} ") for name in commands]
    assert places == sorted(places)


def test_help_opens_without_the_packages_that_compute() -> None:
    opened = subprocess.run([sys.executable, "-c", OPEN_HELP], capture_output=True, text=True)
    assert "Usage: attmil" in opened.stdout, opened.stderr
    assert opened.stdout.splitlines()[-1] == "[]"


def test_version_names_what_a_report_about_a_fault_needs(attmil: Any) -> None:
    outcome = attmil("--version")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    words = [line.split()[0].rstrip(":") for line in lines]
    assert words == ["napari-attmil", "Python", "torch", "device", "napari", "Qt"]
    assert platform.python_version() in lines[1]
    assert any(name in lines[5] for name in ("PyQt6", "PySide6"))


def test_a_shell_completes_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "from napari_attmil import cli; cli.main()"
    asked = {"_ATTMIL_COMPLETE": "complete_bash", "COMP_WORDS": "attmil ex", "COMP_CWORD": "1"}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert completed.stdout.split() == ["export"], completed.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others always have a screen")
def test_a_demo_without_a_screen_is_refused_before_it_works(
    attmil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    outcome = attmil("demo", "--out", tmp_path / "demo")
    assert outcome.code == 1 and "napari cannot open a window here" in outcome.err
    assert "xvfb-run" in outcome.err
    assert not (tmp_path / "demo" / "cohort").exists()


def test_a_demo_without_qt_says_what_to_install(
    attmil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "qtpy").mkdir()
    fault = (
        "class QtBindingsNotFoundError(ImportError): pass\nraise QtBindingsNotFoundError('none')"
    )
    (tmp_path / "qtpy" / "__init__.py").write_text(fault)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    outcome = attmil("demo", "--out", tmp_path / "demo")
    assert outcome.code == 1 and 'pip install "napari-attmil[all]"' in outcome.err


def test_a_name_that_the_output_cannot_encode_is_written_as_an_escape(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = project.copied_to(tmp_path / "β-thalassemia")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    monkeypatch.setattr(sys, "argv", ["attmil", "queue", str(copy.folder)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    sys.stdout.flush()
    assert not stopped.value.code
    assert written.getvalue().count(rb"\u03b2-thalassemia") == 3


def test_names_that_look_like_markup_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "a [red] [/bold] :bee:"
    steps = [SimpleNamespace(done=1, total=1)]
    assert shown((step for step in steps), f"Cells of {name}") is None
    say(f"{name} was left out.")
    err = capsys.readouterr().err
    assert f"Cells of {name}" in err and f"{name} was left out." in err


def test_a_long_path_is_not_broken_over_lines(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/".join(["a folder with a long name"] * 9)
    say(f"Left out: {path}.")
    assert capsys.readouterr().err == f"Left out: {path}.\n"


def test_ctrl_c_ends_with_one_sentence(
    attmil: Any, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_attmil.cells.annotations.annotation_file import AnnotationFile

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(AnnotationFile, "read_all", interrupted)
    outcome = attmil("queue", project.folder)
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err == (
        "attmil: Stopped before the end; run the same command again to have it done."
    )


def test_a_mistyped_command_line_ends_with_sentences(attmil: Any) -> None:
    outcome = attmil("detect", "a.tif", "--out", "c.csv", "--min-score", "2")
    assert outcome.code == 1 and outcome.err.endswith(". See `attmil detect --help`.")
    assert ".. See" not in outcome.err
    misspelt = attmil("imports").err  # newer typers ask which command was meant
    assert misspelt.endswith(" See `attmil --help`.") and "?. See" not in misspelt


def interrupted_stage(seen: list[str]) -> Generator[SimpleNamespace, None, str]:
    """Yield twice, and return what there is when Ctrl+C is pressed in between."""
    try:
        yield SimpleNamespace(done=1, total=2, text="working", note="First.")
        yield SimpleNamespace(done=2, total=2, text="working")
    except KeyboardInterrupt:
        seen.append("interrupted")
        return "half"
    return "whole"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that can be caught")
def test_a_scheduler_that_ends_the_program_gets_the_sentence_of_ctrl_c() -> None:
    program = (
        "import os, signal, sys\n"
        "from napari_attmil import cli\n"
        "cli.app.command('wait')(lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
        "sys.argv = ['attmil', 'wait']\n"
        "cli.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 130
    assert ended.stderr == (
        "attmil: Stopped before the end; run the same command again to have it done.\n"
    )


def test_ctrl_c_reaches_the_stage_which_returns_what_it_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_attmil.cli import terminal

    seen: list[str] = []
    assert shown(interrupted_stage(seen)) == "whole" and not seen
    assert "First." in capsys.readouterr().err

    def press(sentence: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "say", press)
    assert shown(interrupted_stage(seen)) == "half" and seen == ["interrupted"]


def test_ctrl_c_ends_a_stage_that_does_not_expect_it() -> None:
    def stage() -> Generator[SimpleNamespace, None, None]:
        yield SimpleNamespace(done=0, total=1, text="working")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shown(stage())
