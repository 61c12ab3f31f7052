"""The command line `attmil`: the same stages as in the panels, without a screen.

Progress goes to stderr, results to stdout or into files. After a mistake by the user the exit code
is 1 and one line says what to do; after Ctrl+C or SIGTERM it is 130, also with one line.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Annotated, Any, Final, TextIO

import typer

from napari_attmil.cli.asking import answer, ask
from napari_attmil.cli.boxes import agreement, check, export_boxes, import_files
from napari_attmil.cli.clusters import cluster
from napari_attmil.cli.detector import finetune, queue
from napari_attmil.cli.exploring import cell, report
from napari_attmil.cli.merging import merge
from napari_attmil.cli.options import with_grouped_options
from napari_attmil.cli.repairing import repair
from napari_attmil.cli.samples import samples
from napari_attmil.cli.shapes import shapes
from napari_attmil.cli.stages import classify, demo, detect, evaluate, simulate, train
from napari_attmil.cli.terminal import say
from napari_attmil.cli.versions import print_versions
from napari_attmil.core import UserError, printable

__all__ = ["app", "main"]

app = typer.Typer(
    help="Find red blood cells in bright-field images, classify samples by attention-based "
    "multiple instance learning, and see which cells decided. "
    "Decision support for research, not a diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _options_of_all(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=print_versions,
            is_eager=True,
            help="Print the versions of all that matters, for a report about a fault.",
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "demo": demo,
    "simulate": simulate,
    "detect": detect,
    "samples": samples,
    "train": train,
    "ask": ask,
    "answer": answer,
    "classify": classify,
    "evaluate": evaluate,
    "report": report,
    "cell": cell,
    "shapes": shapes,
    "queue": queue,
    "finetune": finetune,
    "export": export_boxes,
    "import": import_files,
    "merge": merge,
    "agreement": agreement,
    "check": check,
    "repair": repair,
}
"""The commands in the order in which a study needs them, which is also that of the help."""
for _name, _command in _COMMANDS.items():
    app.command(_name)(with_grouped_options(_command))

app.add_typer(cluster, name="cluster")

_STOPPED: Final = 130
"""The exit code after Ctrl+C; typer catches the key itself and returns this code."""
_STOPPED_SENTENCE: Final = "Stopped before the end; run the same command again to have it done."


def main() -> None:
    """Run the command line; the entry point of the script `attmil`."""
    _print_any_name()
    signal.signal(signal.SIGTERM, _stop)
    # Help has colours of its own; results have names of files and classes.
    is_help = "--help" in sys.argv or len(sys.argv) < 2
    with redirect_stdout(sys.stdout if is_help else _Printable(sys.stdout)):
        code, sentence = _run()
    if sentence:
        say(f"attmil: {sentence}")
    sys.exit(code)


class _Printable(io.TextIOBase):
    """Writes text to a stream without the control characters that steer a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(printable(text))

    def flush(self) -> None:
        self._stream.flush()


def _stop(number: int, frame: object) -> None:
    """End as after Ctrl+C where a scheduler or a shutdown ends the program."""
    raise KeyboardInterrupt


def _run() -> tuple[int, str]:
    """Run the command that was typed; return its exit code, and what to say at the end."""
    try:
        code = app(prog_name="attmil", standalone_mode=False) or 0
    except UserError as error:
        return 1, str(error)
    except (typer.Abort, KeyboardInterrupt):
        code = _STOPPED
    except Exception as error:
        # Errors in what was typed are recognised by this method: which package their class is in
        # depends on the version of typer.
        if not hasattr(error, "format_message"):
            raise
        return 1, _mistyped(error.format_message().rstrip("."), getattr(error, "ctx", None))
    return code, _STOPPED_SENTENCE if code == _STOPPED else ""


def _mistyped(reason: str, context: Any) -> str:
    """Return what is wrong with the command line, and where to read about the command."""
    if not reason:
        return ""  # `attmil` alone has printed its help
    command = "attmil" if context is None else context.command_path
    return f"{reason}{'' if reason.endswith('?') else '.'} See `{command} --help`."


def _print_any_name() -> None:
    """Write characters that the output's encoding lacks as escapes instead of failing.

    On Windows, output to a file or a pipe is often encoded for western Europe; a sample named
    "β-thalassemia" must not end a classification just when its result is printed.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
