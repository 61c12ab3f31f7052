"""Try an installed package as a user does: version, manifest, and a picture of each panel.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/try_install.py --out pictures

The Python that runs it has the wheel or the source distribution installed; the sources beside this
file are refused. A sample, its cells, the simulated study and the four panels are opened by menus
and buttons.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from screenshots import photograph, scratch_folder, settle, wait

if TYPE_CHECKING:
    from collections.abc import Iterable

PLUGIN = "Attention MIL"
SAMPLE = "Simulated blood sample: healthy"
STUDY = "Simulated images"
PANELS = ("Classify samples", "Annotate cells", "Train detector", "Explore cells")
LOOKS = (("dark", 1600, 1000),)


def main() -> None:
    """Try the commands, then the windows."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    asked = arguments.parse_args()
    with scratch_folder():
        refuse_sources()
        program = Path(sys.executable).with_name("attmil")
        subprocess.run([str(program), "--version"], check=True)
        subprocess.run([sys.executable, "-m", "npe2", "validate", "napari-attmil"], check=True)
        try_windows(asked.out)


def refuse_sources() -> None:
    """Stop where the package is not the installed one."""
    import napari_attmil

    package = Path(napari_attmil.__file__).parent
    if package.is_relative_to(Path(__file__).resolve().parents[1] / "src"):
        sys.exit(f"{package} is not installed: install the wheel, and unset PYTHONPATH.")
    print(package)


def try_windows(folder: Path) -> None:
    """Open the sample, find its cells, open the study and the panels; a picture after each."""
    import napari

    viewer = napari.Viewer()
    window: Any = viewer.window._qt_window
    choose(window.menuBar(), "File", "Open Sample", PLUGIN, SAMPLE)
    wait(lambda: len(viewer.layers) > 0)
    panel = open_panel(window, PANELS[0])
    find_cells(viewer, panel)
    photograph(viewer, folder / "sample", LOOKS)
    open_study(viewer, panel)
    for name in PANELS:
        if name != PANELS[0]:
            open_panel(window, name)
        photograph(viewer, folder / name.lower().replace(" ", "-"), LOOKS)
    viewer.close()


def open_panel(window: Any, name: str) -> Any:
    """Open a panel by the menu, and return its dock."""
    from qtpy.QtWidgets import QDockWidget

    choose(window.menuBar(), "Plugins", PLUGIN, name)
    docks = window.findChildren(QDockWidget)
    return next(dock for dock in docks if dock.windowTitle().startswith(name))


def find_cells(viewer: Any, panel: Any) -> None:
    """Press the button that finds the cells of the sample, and wait for their boxes."""
    from qtpy.QtWidgets import QPushButton

    with_text(panel.findChildren(QPushButton), "Detect cells").click()
    wait(lambda: any(getattr(layer, "nshapes", 0) for layer in viewer.layers))


def open_study(viewer: Any, panel: Any) -> None:
    """Choose the simulated study from the menu of the first button, and wait for its images."""
    from qtpy.QtGui import QAction

    before = {layer.name for layer in viewer.layers}
    with_text(panel.findChildren(QAction), STUDY).trigger()
    wait(lambda: bool({layer.name for layer in viewer.layers} - before))


def choose(menu: Any, *texts: str) -> None:
    """Choose an entry by its texts from the menu bar down, as a person does with the mouse."""
    for text in texts[:-1]:
        menu = with_text(menu.actions(), text).menu()
        menu.aboutToShow.emit()
        settle(0.1)
    with_text(menu.actions(), texts[-1]).trigger()


def with_text(parts: Iterable[Any], text: str) -> Any:
    """Return the button or entry whose text begins with a text."""
    named = {part.text().replace("&", ""): part for part in parts}
    found = [part for name, part in named.items() if name.startswith(text)]
    if not found:
        raise LookupError(f"Nothing is called {text!r}; there are {sorted(named)}.")
    return found[0]


if __name__ == "__main__":
    main()
