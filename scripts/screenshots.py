"""Make all pictures of the interface in docs/images, from simulated data.

xvfb-run -a -s "-screen 0 3840x2160x24" python scripts/screenshots.py [--only main annotate]

Each panel's pictures are taken by a script of its own, in a process of its own. Of those in
docs/images only the ones that a page shows are kept; --out FOLDER keeps all looks.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Look = tuple[str, int, int]

OUT = Path(__file__).resolve().parents[1] / "docs" / "images"
LOOKS = (("dark", 1600, 1000), ("light", 1280, 800))
ALL_LOOKS = (*LOOKS, ("light", 1600, 1000), ("dark", 1280, 800))
PANELS = ("main", "annotate", "explorer", "detector")
PATIENCE_S = 1200


def main() -> None:
    """Run the scripts of all panels, or of those asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("--only", nargs="*", choices=PANELS, default=PANELS, help="panels")
    asked = arguments.parse_args()
    for panel in asked.only:
        script = Path(__file__).with_name(f"screenshots_{panel}.py")
        subprocess.run([sys.executable, str(script), "--out", str(asked.out)], check=True)
    if asked.out == OUT:
        remove_unshown()


def remove_unshown() -> None:
    """Remove the pictures that no page shows."""
    root = OUT.parents[1]
    pages = [root / "README.md", *(root / "docs").rglob("*.md")]
    text = "".join(page.read_text("utf-8") for page in pages)
    for picture in OUT.glob("*.png"):
        if f"images/{picture.name}" not in text:
            picture.unlink()


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows where pictures go."""
    arguments = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    arguments.add_argument("--out", type=Path, default=OUT, help="where the pictures go")
    return arguments


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder that stands for this person's settings and data, which stay as they are."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "napari.yaml")
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            os.environ[name] = scratch
        yield Path(scratch)


def photograph(
    viewer: Any,
    stem: Path,
    looks: Sequence[Look],
    prepare: Callable[[], None] | None = None,
    keep_view: bool = False,
) -> None:
    """Take pictures of the whole window, with what floats over it, in several themes and sizes.

    Parameters
    ----------
    viewer
        napari's viewer.
    stem
        Folder and beginning of the files' names.
    looks
        Theme, width and height.
    prepare
        What is done in each size before the picture is taken.
    keep_view
        Whether the view stays instead of showing the whole image.
    """
    from qtpy.QtGui import QGuiApplication

    stem.parent.mkdir(parents=True, exist_ok=True)
    for theme, width, height in looks:
        viewer.theme = theme
        viewer.window.resize(width, height)
        settle(0.6)
        if prepare is not None:
            prepare()
        if not keep_view:
            viewer.reset_view()
        settle(1.5)
        path = stem.with_name(f"{stem.name}-{theme}-{width}x{height}.png")
        screen: Any = QGuiApplication.primaryScreen()
        screen.grabWindow(0, *viewer.window.geometry()).save(str(path))
        print(path)


def wait(is_done: Callable[[], bool]) -> None:
    """Let Qt work until something is done."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError("The panel did not finish in time.")
        settle(0.05)


def settle(seconds: float) -> None:
    """Let Qt work for a while."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    main()
