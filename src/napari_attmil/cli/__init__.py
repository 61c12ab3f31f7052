"""The command line `attmil`: the same stages as the panel's, without a screen.

Progress goes to stderr, results to stdout or into files. A mistake of the person's ends with exit
code 1 and one line that says what to do; Ctrl+C with 130 and such a line.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Final

import typer

from napari_attmil.cli.boxes import agreement, check, export_boxes, import_files
from napari_attmil.cli.detector import finetune, queue
from napari_attmil.cli.exploring import report
from napari_attmil.cli.merging import merge
from napari_attmil.cli.options import with_grouped_options
from napari_attmil.cli.shapes import shapes
from napari_attmil.cli.stages import classify, demo, detect, evaluate, simulate, train
from napari_attmil.cli.terminal import say
from napari_attmil.core import UserError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Find red blood cells in bright-field images, classify samples by attention-based "
    "multiple instance learning, and see which cells decided. "
    "Decision support for research, not a diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "demo": demo,
    "simulate": simulate,
    "detect": detect,
    "train": train,
    "classify": classify,
    "evaluate": evaluate,
    "report": report,
    "shapes": shapes,
    "queue": queue,
    "finetune": finetune,
    "export": export_boxes,
    "import": import_files,
    "merge": merge,
    "agreement": agreement,
    "check": check,
}
"""The commands as a study needs them, one after the other; help lists them so."""
for _name, _command in _COMMANDS.items():
    app.command(_name)(with_grouped_options(_command))

_STOPPED: Final = 130
"""What a program returns that Ctrl+C ended; typer catches the key and returns it without a word."""
_STOPPED_SENTENCE: Final = "Stopped before the end; run the same command again to have it done."


def main() -> None:
    """Run the command line; the way in for the script `attmil`."""
    _print_any_name()
    code = 1
    try:
        code = app(prog_name="attmil", standalone_mode=False) or 0
        if code != _STOPPED:
            sys.exit(code)
        sentence = _STOPPED_SENTENCE
    except UserError as error:
        sentence = str(error)
    except (typer.Abort, KeyboardInterrupt):
        code, sentence = _STOPPED, _STOPPED_SENTENCE
    except Exception as error:
        # Typer and Click, whichever typer is built on, tell of a mistyped command line this way.
        if not hasattr(error, "format_message"):
            raise
        reason = error.format_message().rstrip(".")
        if not reason:
            sys.exit(1)  # `attmil` alone has printed its help
        context = getattr(error, "ctx", None)
        command = "attmil" if context is None else context.command_path
        stop = "" if reason.endswith("?") else "."
        sentence = f"{reason}{stop} See `{command} --help`."
    say(f"attmil: {sentence}")
    sys.exit(code)


def _print_any_name() -> None:
    """Make characters that the output's encoding lacks no error: they are written as escapes.

    On Windows output that goes into a file or a pipe has an encoding of western Europe; a sample
    named "β-thalassemia" must not end a classification just when its result is printed.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
