"""The package as pip, napari and a notebook see it."""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from hatch_fancy_pypi_readme.hooks import FancyReadmeMetadataHook
from hatchling.builders.wheel import WheelBuilder
from npe2 import PluginManifest

import napari_attmil

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(napari_attmil.__file__).parent
INSTALLED = distribution("napari-attmil")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BASE = PROJECT["project"]["dependencies"]


def test_manifest_is_valid_and_found_through_the_installed_package() -> None:
    manifest = PluginManifest.from_distribution("napari-attmil")
    assert manifest.name == "napari-attmil"
    manifest.validate_imports()


def test_every_command_id_starts_with_the_name_of_the_package() -> None:
    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    commands = manifest.contributions.commands
    assert commands
    assert all(command.id.startswith("napari-attmil.") for command in commands)


def test_manifest_at_the_root_is_a_link_to_the_packaged_one() -> None:
    link = ROOT / "napari.yaml"
    if (ROOT / "PKG-INFO").exists():  # a source distribution has no links
        assert link.read_bytes() == (PACKAGE / "napari.yaml").read_bytes()
    elif link.is_symlink():
        assert Path(os.readlink(link)).as_posix() == "src/napari_attmil/napari.yaml"
    else:  # git writes a link as a file with its target on a Windows that allows no links
        assert link.read_text(encoding="utf-8").strip() == "src/napari_attmil/napari.yaml"


def test_version_is_the_same_installed_imported_and_in_the_change_notes() -> None:
    notes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert INSTALLED.version == napari_attmil.__version__
    assert re.findall(r"^## \[?(\d+\.\d+\.\d+)", notes, re.MULTILINE)[0] == INSTALLED.version


@pytest.mark.parametrize("name", vars(napari_attmil)["__all__"])
def test_public_name_can_be_loaded(name: str) -> None:
    assert getattr(napari_attmil, name) is not None


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="No napari_attmil attribute Boxen"):
        getattr(napari_attmil, "Boxen")  # noqa: B009 - mypy knows that there is none


def test_base_dependencies_bring_no_qt_binding_and_cap_nothing() -> None:
    assert [line for line in BASE if re.search(r"pyqt\d|pyside|\[|<|==|~=", line)] == []


def test_everything_imported_is_a_declared_dependency() -> None:
    distributions = packages_distributions()
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py"))
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    foreign = {name.split(".")[0] for name in names} - {"napari_attmil", *sys.stdlib_module_names}
    declared = {re.split(r"[>\[]", line)[0] for line in BASE}
    wanting = {name for name in foreign if not declared & {*map(pep_503, distributions[name])}}
    assert wanting == set()


def pep_503(distribution_name: str) -> str:
    """Return a distribution's name in its one normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution_name).lower()


def test_wheel_holds_every_file_of_the_package() -> None:
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    in_wheel = {Path(file.path) for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {"page.html.jinja", "py.typed", "napari.yaml"} <= {path.name for path in files}
    assert files - in_wheel == set()
    assert ROOT / "docs" / "glossary.md" in in_wheel  # the glossary of the panels


def test_readme_on_pypi_has_no_link_that_needs_the_repository(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    settings = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    hook = FancyReadmeMetadataHook(str(ROOT), settings)
    metadata: dict[str, Any] = {"dynamic": ["readme"]}
    hook.update(metadata)
    text = metadata["readme"]["text"]
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(links) > 5 and [link for link in links if not link.startswith(("https:", "#"))] == []
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", text)
    assert pictures and all("/raw.githubusercontent.com/" in picture for picture in pictures)
    names = [picture.partition("/main/")[2] for picture in pictures]
    assert [name for name in names if not (ROOT / name).is_file()] == []


def test_the_conda_recipe_needs_what_the_package_needs() -> None:
    recipe = (ROOT / "packaging" / "conda-forge" / "recipe.yaml").read_text(encoding="utf-8")
    renamed = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
    run = recipe.partition("  run:\n")[2].partition("\ntests:")[0]
    needed = dict(re.findall(r"- ([\w-]+) >=([\d.]+)", run))
    needed = {renamed.get(name, name): floor for name, floor in needed.items()}
    assert needed == dict(line.split(">=") for line in BASE)
    assert f'version: "{napari_attmil.__version__}"' in recipe


def test_citation_has_the_version_of_the_package() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {napari_attmil.__version__}\n" in citation


def test_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
