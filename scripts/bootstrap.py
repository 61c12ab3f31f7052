"""Set up `.venv` and run the demo, the checks or the pages: what `make demo`, `test`, `docs` do.

Only the standard library is used, and nothing newer than Python 3.6, so that a Python which is too
old for the package can still find a newer one, or say what is needed.
"""

# ruff: noqa: UP006, UP035, UP045 - the newer ways to write types fail on those old Pythons.

import argparse
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "bootstrap-stamp"
DEMO_OUTPUT = ROOT / "demo-output"
OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 14)  # the newest one for which the packages are known to have wheels
OLDEST_PIP = (25, 1)  # the first one that knows dependency groups
WINDOWS = sys.platform == "win32"
LINUX = sys.platform.startswith("linux")
Version = Tuple[int, int]

# Debian package -> the library that shows that it is there, as Qt and OpenGL load it.
LIBRARIES = {
    "libegl1": "libEGL.so.1",
    "libgl1": "libGL.so.1",
    "libxkbcommon0": "libxkbcommon.so.0",
    "libdbus-1-3": "libdbus-1.so.3",
    "libfontconfig1": "libfontconfig.so.1",
    "libglib2.0-0": "libglib-2.0.so.0",
}
X11_LIBRARIES = {
    "libxkbcommon-x11-0": "libxkbcommon-x11.so.0",
    "libxcb-cursor0": "libxcb-cursor.so.0",
    "libxcb-icccm4": "libxcb-icccm.so.4",
    "libxcb-keysyms1": "libxcb-keysyms.so.1",
    "libxcb-randr0": "libxcb-randr.so.0",
    "libxcb-shape0": "libxcb-shape.so.0",
    "libxcb-image0": "libxcb-image.so.0",
    "libxcb-render-util0": "libxcb-render-util.so.0",
}
VIRTUAL_SCREEN_PROGRAMS = {"xvfb": "xvfb-run", "xauth": "xauth"}
VIRTUAL_SCREEN = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24"]


class SetupError(Exception):
    """Something that the person at the keyboard has to put right; the message says what."""


def main() -> int:
    """Set up the environment, run what was asked for, and return the exit status."""
    arguments = parse_arguments()
    try:
        python = prepare_venv()
        if arguments.task == "docs":
            prepare_package(python)
            return build_docs(python)
        virtual_screen = needs_virtual_screen()
        prepare_system(virtual_screen)
        if virtual_screen and shutil.which("xvfb-run") is None:
            virtual_screen = go_on_without_screen(arguments.task)
        prepare_package(python)
        if arguments.task == "demo":
            return run_demo(arguments.data, virtual_screen)
        if arguments.task == "test":
            return run_checks(virtual_screen)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Set up .venv and run the demo or the checks.")
    tasks = parser.add_subparsers(dest="task", metavar="{setup,demo,test,docs}")
    tasks.required = True
    tasks.add_parser("setup", help="set up .venv and the system libraries, nothing else")
    demo = tasks.add_parser("demo", help="run the main job and open napari on the result")
    demo.add_argument("--data", help="folder of images: class/patient/sample/image files")
    tasks.add_parser("test", help="lint, types, manifest and the test suite")
    tasks.add_parser("docs", help="build the pages as a site in `site`, links checked")
    return parser.parse_args()


# --- Python and the packages -----------------------------------------------------------------


def prepare_venv() -> str:
    """Return the Python of `.venv`, which is made afresh where there is none that will do."""
    python = str(venv_program("python"))
    wanted = os.environ.get("PYTHON")
    version = python_version(python)
    good = version is not None and version >= OLDEST_PYTHON and can_import(python, "pip")
    if not good or (wanted and version != checked(wanted)):
        make_venv(choose_python())
    return python


def prepare_package(python: str) -> None:
    """Install the package and what it needs, or do nothing where nothing has changed."""
    fingerprint = environment_fingerprint(python)
    if not STAMP.is_file() or STAMP.read_text() != fingerprint:
        install_package(python)
        STAMP.write_text(fingerprint)


def environment_fingerprint(python: str) -> str:
    """Return a digest of everything that decides what is installed, and where."""
    parts = [repr(python_version(python)).encode(), str(ROOT).encode()]
    for path in ("pyproject.toml", "src/napari_attmil/core/version.py"):
        parts.append((ROOT / path).read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def choose_python() -> str:
    """Return a Python that the package runs on: $PYTHON, else the first good one on the PATH."""
    wanted = os.environ.get("PYTHON")
    if wanted:
        checked(wanted)
        return wanted
    minors = range(NEWEST_PYTHON[1], OLDEST_PYTHON[1] - 1, -1)
    names = [sys.executable, "python3", "python", *(f"python3.{minor}" for minor in minors)]
    versions = {name: python_version(name) or (0, 0) for name in names}
    good = [name for name in names if versions[name] >= OLDEST_PYTHON]
    if not good:
        raise SetupError(
            "napari-attmil needs Python 3.11 or newer, and the newest one found here is "
            f"{as_text(max(versions.values()))}: install a newer one, or name it with "
            "PYTHON=/path/to/python3."
        )
    return next((name for name in good if versions[name] <= NEWEST_PYTHON), good[0])


def checked(python: str) -> Version:
    """Return the version of the Python that $PYTHON names; raise where it is too old."""
    version = python_version(python)
    if version is None:
        raise SetupError(f"PYTHON={python} cannot be run: name a Python 3.11 or newer.")
    if version < OLDEST_PYTHON:
        found = as_text(version)
        raise SetupError(f"PYTHON={python} is Python {found}: name a Python 3.11 or newer.")
    return version


def python_version(python: str) -> Optional[Version]:
    """Return (major, minor) of an interpreter, or None where it cannot be run."""
    try:
        answer = subprocess.run(
            [python, "-c", "import sys; print('%d %d' % sys.version_info[:2])"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        major, minor = map(int, answer.stdout.split())
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return major, minor


def as_text(version: Version) -> str:
    """Return a version as people write it: "3.11"."""
    return ".".join(map(str, version))


def make_venv(python: str) -> None:
    """Make `.venv` afresh."""
    if not can_import(python, "ensurepip"):
        # Debian puts this part of Python into a package of its own.
        install_system_packages([f"python{as_text(checked(python))}-venv"])
    say(f"Making .venv with {python}")
    run_or_fail(
        [python, "-m", "venv", "--clear", str(VENV)],
        f"{python} cannot make a virtual environment (see above).",
    )


def install_package(python: str) -> None:
    """Install the package with Qt, editable, and the developers' tools."""
    say("Installing napari-attmil and what it needs (up to 8 GB, a few minutes the first time)")
    pip = [python, "-m", "pip"]
    if pip_version(python) < OLDEST_PIP:
        run_or_fail([*pip, "install", "--upgrade", "pip"], "pip could not be upgraded.")
    run_or_fail(
        [*pip, "install", "--editable", ".[all]", "--group", "dev"],
        "The installation failed (see above); the same command tries again.",
    )


def pip_version(python: str) -> Version:
    """Return (major, minor) of an interpreter's pip."""
    command = [python, "-c", "import pip; print(pip.__version__)"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    major, minor = answer.stdout.decode().split(".")[:2]
    return int(major), int(minor)


def can_import(python: str, module: str) -> bool:
    """Tell whether an interpreter has a module."""
    command = [python, "-c", f"import {module}"]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def venv_program(name: str) -> Path:
    """Return the path of a program in `.venv`."""
    return VENV / ("Scripts" if WINDOWS else "bin") / (name + ".exe" if WINDOWS else name)


# --- System libraries ------------------------------------------------------------------------


def needs_virtual_screen() -> bool:
    """Tell whether windows have to open on a virtual screen."""
    if not LINUX:
        return False
    has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return headless() or not has_screen


def headless() -> bool:
    """Tell whether the person asked for no window."""
    return os.environ.get("HEADLESS", "") not in ("", "0")


def prepare_system(virtual_screen: bool) -> None:
    """Install the system packages that are missing, or say which they are."""
    missing = missing_system_packages(virtual_screen) if LINUX else {}
    if missing:
        install_system_packages(list(missing))
        missing = missing_system_packages(virtual_screen)
    if missing:
        say(
            f"Not found on this system: {', '.join(missing.values())}. If a window does not open, "
            f"install them; Debian's packages are {' '.join(missing)}."
        )


def go_on_without_screen(task: str) -> bool:
    """Let the checks run that need no screen; return False: there is no virtual screen.

    On continuous integration a screen is missing by mistake, and tests that are left out would go
    unnoticed.
    """
    if task == "demo" or os.environ.get("CI"):
        raise SetupError("There is no screen, and no xvfb-run to make a virtual one: install it.")
    say(
        "There is no screen, and no xvfb-run to make a virtual one: tests that open a window are "
        "left out. Debian's package is xvfb."
    )
    return False


def missing_system_packages(virtual_screen: bool) -> Dict[str, str]:
    """Return Debian package -> what it would bring, for all that are missing."""
    libraries = dict(LIBRARIES)
    if virtual_screen or os.environ.get("DISPLAY"):
        libraries.update(X11_LIBRARIES)
    missing = {package: name for package, name in libraries.items() if not can_load(name)}
    if virtual_screen:
        programs = VIRTUAL_SCREEN_PROGRAMS.items()
        missing.update({package: name for package, name in programs if not shutil.which(name)})
        if not has_opengl_driver():
            missing["libgl1-mesa-dri"] = "Mesa's OpenGL driver"
    return missing


def can_load(library: str) -> bool:
    """Tell whether the dynamic loader finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def has_opengl_driver() -> bool:
    """Tell whether Mesa's drivers, one of which renders without a GPU, are there."""
    patterns = ("lib*/dri/*_dri.so", "lib/*/dri/*_dri.so", "lib*/libgallium-*.so")
    return any(any(Path("/usr").glob(pattern)) for pattern in patterns)


def install_system_packages(packages: List[str]) -> None:
    """Install Debian packages where there is apt-get, and root or sudo; else do nothing."""
    sudo = [] if WINDOWS or os.geteuid() == 0 else ["sudo"]
    if not all(map(shutil.which, [*sudo, "apt-get"])):
        return
    say(f"Installing system packages: {' '.join(packages)}")
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        subprocess.run([*apt, "--quiet", *step], cwd=str(ROOT))


# --- The two jobs ----------------------------------------------------------------------------


def run_demo(data: Optional[str], virtual_screen: bool) -> int:
    """Run `attmil demo`; without a screen it leaves its results in `demo-output`."""
    command = [str(venv_program("attmil")), "demo", "--out", str(DEMO_OUTPUT)]
    if data:
        command += ["--data", str(Path(data).expanduser().resolve())]
    if virtual_screen or headless():
        command += ["--headless"]
    return run_on_screen(command, virtual_screen)


def build_docs(python: str) -> int:
    """Build the pages as a site; a warning, for instance about a link, fails."""
    say("Installing what builds the pages")
    run_or_fail(
        [python, "-m", "pip", "install", "--quiet", "--group", "docs"],
        "What builds the pages could not be installed (see above).",
    )
    say("mkdocs build")
    environment = dict(os.environ, NO_MKDOCS_2_WARNING="1")
    command = [python, "-m", "mkdocs", "build", "--strict", "--clean", "--quiet"]
    status = subprocess.run(command, cwd=str(ROOT), env=environment).returncode
    if status == 0:
        say(f"The pages are in {ROOT / 'site'}: open index.html there")
    return status


def run_checks(virtual_screen: bool) -> int:
    """Run all checks, also after one has failed, and say at the end which ones failed."""
    python = [str(venv_program("python")), "-m"]
    manifest = ROOT / "src" / "napari_attmil" / "napari.yaml"
    checks = {
        "ruff check": [*python, "ruff", "check"],
        "ruff format": [*python, "ruff", "format", "--check"],
        "mypy": [*python, "mypy"],
        "npe2 validate": [*python, "npe2", "validate", str(manifest)],
    }
    failed = []
    for name, command in checks.items():
        say(name)
        if subprocess.run(command, cwd=str(ROOT)).returncode != 0:
            failed.append(name)
    say("pytest")
    if run_on_screen([*python, "pytest"], virtual_screen) != 0:
        failed.append("pytest")
    say(f"Failed: {', '.join(failed)}" if failed else "All checks passed")
    return 1 if failed else 0


def run_on_screen(command: List[str], virtual_screen: bool) -> int:
    """Run a command which opens windows and return its exit status."""
    environment = dict(os.environ)
    if virtual_screen:
        command = VIRTUAL_SCREEN + command
        # A Wayland session would win over the virtual X screen.
        environment.pop("WAYLAND_DISPLAY", None)
        environment["QT_QPA_PLATFORM"] = "xcb"
    return subprocess.run(command, cwd=str(ROOT), env=environment).returncode


def run_or_fail(command: List[str], message: str) -> None:
    """Run a command; raise with the message where it fails."""
    if subprocess.run(command, cwd=str(ROOT)).returncode != 0:
        raise SetupError(message)


def say(text: str) -> None:
    """Print a step's headline, in order with what the commands print."""
    print(f"\n==> {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
