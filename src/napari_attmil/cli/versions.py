"""What a report about a fault needs to know of this installation."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import typer

from napari_attmil.core import __version__, choose_device

_BINDINGS: Final = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def print_versions(wanted: bool) -> None:
    """Print the versions of the program and of what it rests on, and end."""
    if wanted:
        for line in versions():
            print(line)
        raise typer.Exit


def versions() -> list[str]:
    """Return a line each for the program, Python, torch with its device, napari and Qt."""
    device = choose_device()
    bindings = [f"{name} {_version(name)}" for name in _BINDINGS if _version(name)]
    return [
        f"napari-attmil {__version__}",
        f"Python {platform.python_version()}, {platform.platform()}",
        f"torch {_version('torch')}, torchvision {_version('torchvision')}",
        f"device {device.name}: {device.description}",
        f"napari {_version('napari')}",
        f"Qt: {', '.join(bindings) or 'no binding is installed'}",
    ]


def _version(package: str) -> str:
    """Return a package's version; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
