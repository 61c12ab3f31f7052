"""What every test gets: napari settings, caches and threads of its own, and a reason to skip."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

# Set before anything imports napari, torch or matplotlib: they read these variables once.
_SCRATCH = tempfile.TemporaryDirectory(prefix="napari-attmil-tests-", ignore_cleanup_errors=True)
os.environ["NAPARI_CONFIG"] = str(Path(_SCRATCH.name) / "napari-settings.yaml")
os.environ["NAPARI_ENSURE_PLUGIN_MAIN_THREAD"] = "1"
os.environ["XDG_CACHE_HOME"] = str(Path(_SCRATCH.name) / "cache")
os.environ["XDG_CONFIG_HOME"] = str(Path(_SCRATCH.name) / "config")
os.environ["XDG_DATA_HOME"] = str(Path(_SCRATCH.name) / "data")
os.environ["XDG_STATE_HOME"] = str(Path(_SCRATCH.name) / "state")
os.environ["MPLCONFIGDIR"] = str(Path(_SCRATCH.name) / "matplotlib")
# More threads than cores make the small networks of the tests slower, not faster.
os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))

# Mesa's LLVM and triton's crash each other, see `widgets.parts.graphics_clash`; which one a test
# loads first depends on the order of tests, so none gets triton.
sys.modules.setdefault("triton", None)  # type: ignore[arg-type]

_QT_FIXTURES = {"qtbot", "qapp", "make_napari_viewer", "make_napari_viewer_proxy"}
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, and say why, what this machine cannot run."""
    without_screen = sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    for item in items:
        if without_screen and _QT_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.skip(reason="needs a screen: use `make test` or xvfb-run"))
        if item.get_closest_marker("real_data") and not REAL_DATA.is_dir():
            item.add_marker(pytest.mark.skip(reason=f"needs the images under {REAL_DATA}"))
        if item.get_closest_marker("gpu") and not _has_accelerator():
            item.add_marker(pytest.mark.skip(reason="needs an accelerator that torch can use"))


def _has_accelerator() -> bool:
    from napari_attmil.core.device import available_devices

    return available_devices()[0].name != "cpu"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real images; use it with the marker `real_data`."""
    return REAL_DATA


@pytest.fixture(autouse=True)
def no_paces() -> None:
    """Forget how long earlier work took: how many workers pay depends on no test before."""
    kept = Path(os.environ["XDG_CACHE_HOME"]) / "napari-attmil" / "paces.json"
    kept.unlink(missing_ok=True)
