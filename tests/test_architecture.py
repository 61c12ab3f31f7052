"""The import rules of the design: rooms from left to right, Qt in one of them, torch late."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from npe2 import PluginManifest

import napari_attmil

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(napari_attmil.__file__).parent

# A room imports itself and what stands to its left. The command line opens the widgets for the
# demo, never the other way round.
ROOMS = ["images", "cells", "bags", "explore"]
ROOMS += [
    "sample_state",
    "kept_records",
    "loaded_classifier",
    "session",
    "review_queue",
    "cell_columns",
    "exploration",
]
ROOMS += ["terminal", "demo", "widgets", "cli"]
SERVANTS = [
    "methods",
    "settings",
    "presets",
    "device",
    "checkpoints",
    "arrays",
    "words",
]  # import no room and serve all
SCREEN = {"qtpy", "napari", "superqt", "magicgui", "pyqtgraph", "vispy"}
BINDINGS = {"PyQt5", "PyQt6", "PySide2", "PySide6"}

# What opens before a stage runs, and so without torch. A room stands for all modules in it.
WITHOUT_TORCH = {
    *SERVANTS,
    "images",
    "explore",
    "sample_state",
    "kept_records",
    "session",
    "review_queue",
    "exploration",
    "terminal",
    "demo",
    "widgets",
    "cli",
    "cells.boxes",
    "cells.corrections",
    "cells.edits",
    "cells.journal",
    "cells.database",
    "cells.stored",
    "cells.project",
    "cells.connection",
    "cells.merging",
    "cells.merged_file",
    "cells.formats",
    "cells.queue",
    "cells.proposals",
    "cells.candidates",
    "cells.importing",
    "cells.agreement",
    "cells.box_checks",
}

IMPORT_ALL = """
import importlib, json, sys
culprits = {}
for module in sys.argv[2:]:
    importlib.import_module(module)
    culprits[module] = sorted(set(sys.argv[1].split(",")) & set(sys.modules))
print(json.dumps(culprits))
"""


def module_name(path: Path) -> str:
    """Return a file's module name below the package: 'cells.boxes', or 'cells' for its __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = [name for name in SOURCES if name]  # the package's own __init__ names every room


def room_of(module: str) -> str:
    return module.split(".")[0]


def imported_names(module: str) -> Iterator[str]:
    """Yield the dotted name of everything a module imports, also for types and in functions."""
    for node in ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_from_outside(module: str) -> set[str]:
    """Return the top-level names of the other packages which a module imports."""
    return {name.split(".")[0] for name in imported_names(module)} - {"napari_attmil"}


def own_imports(module: str) -> set[str]:
    """Return the dotted names below the package of what a module imports of it."""
    prefix = "napari_attmil."
    own = {name.removeprefix(prefix) for name in imported_names(module) if name.startswith(prefix)}
    return own - {"__version__"}


def imported_rooms(module: str) -> set[str]:
    """Return the rooms and servants which a module imports."""
    return {room_of(name) for name in own_imports(module)}


def modules_that_napari_calls() -> set[str]:
    """Return the modules behind the manifest's commands: reader, sample data, widgets."""
    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    names = [str(command.python_name) for command in manifest.contributions.commands or []]
    return {name.split(":")[0].removeprefix("napari_attmil.") for name in names}


def loaded_by_importing(modules: list[str], wanted: set[str]) -> dict[str, list[str]]:
    """Import modules one after the other in a fresh interpreter; say what of `wanted` came along.

    Stops short of naming all culprits: once loaded, a package stays loaded, so the first module
    with an entry is the one to look at.
    """
    answer = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, ",".join(sorted(wanted)), *modules],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return {module: found for module, found in json.loads(answer.stdout).items() if found}


def test_every_module_stands_in_a_room_of_the_design() -> None:
    assert [module for module in MODULES if room_of(module) not in ROOMS + SERVANTS] == []


def test_rooms_import_only_from_their_left() -> None:
    wrong = {}
    for module in MODULES:
        room = room_of(module)
        to_the_left = ROOMS[: ROOMS.index(room) + 1] if room in ROOMS else []
        wrong[module] = imported_rooms(module) - {*to_the_left, *SERVANTS}
    assert {module: rooms for module, rooms in wrong.items() if rooms} == {}


def test_only_widgets_and_what_napari_calls_know_the_screen() -> None:
    knowing = {module for module in MODULES if imported_from_outside(module) & SCREEN}
    outside = {module for module in knowing if room_of(module) != "widgets"}
    assert outside <= modules_that_napari_calls()


def test_no_module_names_a_qt_binding() -> None:
    assert [module for module in MODULES if imported_from_outside(module) & BINDINGS] == []


def panel_of(name: str) -> str:
    """Return in whose folder of `widgets` a module stands; empty for what panels share."""
    parts = name.split(".")
    has_folder = (
        parts[0] == "widgets" and len(parts) > 1 and (PACKAGE / "widgets" / parts[1]).is_dir()
    )
    return parts[1] if has_folder else ""


def test_panels_never_import_each_other_nor_does_what_they_share() -> None:
    wrong = {}
    for module in MODULES:
        if room_of(module) == "widgets" and module != "widgets.demo_window":  # it opens a panel
            panels = {panel_of(name) for name in own_imports(module)}
            wrong[module] = panels - {"", panel_of(module)}
    assert {module: panels for module, panels in wrong.items() if panels} == {}


def test_parts_of_panels_never_import_each_other() -> None:
    parts = {name for name in MODULES if name.endswith(("_panel", "_step", "_tab"))}
    parts -= {"widgets.dock_panel", "widgets.explorer.explorer_tab"}  # what others are based on
    wrong = {}
    for part in parts:
        modules = {name.rpartition(".")[0] for name in own_imports(part)} | own_imports(part)
        wrong[part] = modules & parts
    assert {part: others for part, others in wrong.items() if others} == {}


def test_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in SOURCES.values()}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_importing_the_package_loads_neither_torch_nor_qt_nor_numpy() -> None:
    heavy = {"torch", "numpy", "pandas", *SCREEN, *BINDINGS}
    assert loaded_by_importing(["napari_attmil"], heavy) == {}


def test_what_opens_before_a_stage_runs_loads_no_torch() -> None:
    early = [name for name in MODULES if {name, room_of(name)} & WITHOUT_TORCH]
    modules = [f"napari_attmil.{name}" for name in early]
    assert loaded_by_importing(modules, {"torch", "torchvision"}) == {}


def test_command_line_opens_without_qt_and_napari() -> None:
    modules = [f"napari_attmil.{name}" for name in MODULES if name == "cli"]
    assert loaded_by_importing(modules, {*SCREEN, *BINDINGS}) == {}
