"""The rules of the house: rooms on floors, doors, Qt in one room, torch late."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from npe2 import PluginManifest

import napari_attmil

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(napari_attmil.__file__).parent

# A room imports itself and what lies on floors before its own.
FLOORS = [
    {"core"},
    {"images"},
    {"cells", "simulation"},
    {"bags"},
    {"reports"},
    {"evaluation", "explore"},
    {"session"},
    {"workflows"},
    {"api", "widgets"},
    {"cli"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MOST_ROOMS, MOST_FILES = 15, 20
SHARED_BY_PANELS = {"", "card", "parts", "viewer"}
SCREEN = {"qtpy", "napari", "superqt", "magicgui", "pyqtgraph", "vispy"}
BINDINGS = {"PyQt5", "PyQt6", "PySide2", "PySide6"}

# What opens before a stage runs, and so without torch. A folder stands for all modules in it.
WITHOUT_TORCH = {
    "core",
    "images",
    "simulation",
    "reports",
    "explore",
    "session",
    "workflows",
    "cli",
    "widgets",
    "cells.boxes",
    "cells.settings",
    "cells.annotations",
    "cells.exchange",
    "bags.methods",
    "bags.presets",
    "bags.settings",
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
FOLDERS = {name for name, path in SOURCES.items() if path.name == "__init__.py"}
MODULES = [name for name in SOURCES if name]  # the package's own __init__ is its door


def room_of(module: str) -> str:
    return module.split(".")[0]


def folder_of(module: str) -> str:
    return module if module in FOLDERS else module.rpartition(".")[0]


def imports_of(module: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of everything a module imports, also for types and in functions."""
    for node in ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def imported_from_outside(module: str) -> set[str]:
    """Return the top-level names of the other packages which a module imports."""
    return {name.split(".")[0] for name, _ in imports_of(module)} - {"napari_attmil"}


def own_imports(module: str) -> set[tuple[str, str]]:
    """Return (module, name) below the package of what a module imports of it."""
    found = set()
    for source, name in imports_of(module):
        top, _, rest = source.partition(".")
        if top == "napari_attmil":
            # `from room import file` names the file, not something in the room
            whole = f"{rest}.{name}".strip(".")
            found.add((whole, "") if whole in SOURCES else (rest, name))
    return found


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


def test_house_is_small_enough_to_know() -> None:
    assert [name for name in MODULES if "." not in name and name not in FOLDERS] == []
    rooms = {room_of(name) for name in MODULES}
    assert rooms == set(FLOOR_OF) and len(rooms) <= MOST_ROOMS
    crowded = {name: len([*SOURCES[name].parent.glob("*.py")]) for name in FOLDERS}
    assert {name: files for name, files in crowded.items() if files > MOST_FILES} == {}


def test_rooms_import_only_from_floors_below() -> None:
    wrong = [
        (module, source)
        for module in MODULES
        for source, _ in own_imports(module)
        if room_of(source) != room_of(module)
        and FLOOR_OF[room_of(source)] >= FLOOR_OF[room_of(module)]
    ]
    assert wrong == []


def test_from_outside_a_folder_only_its_door_is_imported() -> None:
    wrong = [
        (module, source)
        for module in MODULES
        for source, _ in own_imports(module)
        if not f"{folder_of(module)}.".startswith(f"{folder_of(source)}.") and source not in FOLDERS
    ]
    assert wrong == []


def test_nothing_imports_in_a_circle() -> None:
    open_arrows = {module: files_behind(module) - {module} for module in MODULES}
    while leaves := [module for module, files in open_arrows.items() if not files]:
        for leaf in leaves:
            del open_arrows[leaf]
        open_arrows = {module: files - set(leaves) for module, files in open_arrows.items()}
    assert open_arrows == {}


def files_behind(module: str) -> set[str]:
    """Return the files which a module imports, those behind doors too."""
    files = set()
    for source, name in own_imports(module):
        behind = door_of(source).get(name, source) if source in FOLDERS else source
        files |= {behind} - FOLDERS
    return files


def door_of(folder: str) -> dict[str, str]:
    """Return in which file each name of a folder's door lies."""
    stub = SOURCES[folder].with_suffix(".pyi")
    nodes = ast.parse(stub.read_text(encoding="utf-8")).body if stub.exists() else []
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return {a.name: f"{folder}.{node.module}" for node in imports for a in node.names}


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_every_name_of_a_door_is_there(folder: str) -> None:
    room = importlib.import_module(f"napari_attmil.{folder}".rstrip("."))
    names = door_of(folder)
    assert [name for name in names if not hasattr(room, name)] == []
    # A file of that name would take its place once it is loaded.
    files = {path.stem for path in SOURCES[folder].parent.iterdir()}
    assert files & set(names) == set()


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
            panels = {panel_of(name) for name, _ in own_imports(module)}
            wrong[module] = panels - {*SHARED_BY_PANELS, panel_of(module)}
    assert {module: panels for module, panels in wrong.items() if panels} == {}


def test_parts_of_panels_never_import_each_other() -> None:
    parts = {name for name in MODULES if name.endswith(("_panel", "_step", "_tab"))}
    parts -= {
        "widgets.dock_panel",
        "widgets.explorer.tabs.explorer_tab",
    }  # what others are based on
    wrong = {}
    for part in parts:
        wrong[part] = files_behind(part) & parts - {part}
    assert {part: others for part, others in wrong.items() if others} == {}


def test_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in SOURCES.values()}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_importing_the_package_loads_neither_torch_nor_qt_nor_numpy() -> None:
    heavy = {"torch", "numpy", "pandas", *SCREEN, *BINDINGS}
    assert loaded_by_importing(["napari_attmil"], heavy) == {}


def test_what_opens_before_a_stage_runs_loads_no_torch() -> None:
    early = [
        name
        for name in MODULES
        if any(f"{name}.".startswith(f"{place}.") for place in WITHOUT_TORCH)
    ]
    modules = [f"napari_attmil.{name}" for name in early]
    assert loaded_by_importing(modules, {"torch", "torchvision"}) == {}


def test_command_line_opens_without_qt_and_napari() -> None:
    modules = [f"napari_attmil.{name}" for name in MODULES if name == "cli"]
    assert loaded_by_importing(modules, {*SCREEN, *BINDINGS}) == {}
