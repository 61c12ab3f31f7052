"""The command line `attmil`: the same stages as the panel's, without a screen.

Progress goes to stderr, results to stdout or into files. A mistake of the person's ends with exit
code 1 and one line that says what to do.
"""

from __future__ import annotations

import sys

import typer

from napari_attmil.cli import (  # each adds its commands
    boxes,
    detector,
    exploring,
    merging,
    shapes,
    stages,
)
from napari_attmil.cli.options import app
from napari_attmil.settings import UserError
from napari_attmil.terminal import stderr

__all__ = ["app", "boxes", "detector", "exploring", "main", "merging", "shapes", "stages"]


def main() -> None:
    """Run the command line; the way in for the script `attmil`."""
    try:
        sys.exit(app(standalone_mode=False))
    except UserError as error:
        sentence = str(error)
    except (typer.Abort, KeyboardInterrupt):
        sentence = "Stopped; nothing was written."
    except Exception as error:
        # Typer and Click, whichever typer is built on, tell of a mistyped command line this way.
        if not hasattr(error, "format_message"):
            raise
        sentence = f"{error.format_message()} See `attmil --help`."
        if not error.format_message():
            sys.exit(1)  # `attmil` alone has printed its help
    stderr.print(f"attmil: {sentence}", soft_wrap=True, markup=False)
    sys.exit(1)
