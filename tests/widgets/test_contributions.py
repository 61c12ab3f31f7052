from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from npe2 import PluginManager, PluginManifest

import napari_attmil
from napari_attmil.widgets import contributions
from napari_attmil.widgets.contributions import folder_reader

if TYPE_CHECKING:
    from collections.abc import Callable

MANIFEST = Path(napari_attmil.__file__).with_name("napari.yaml")
SAMPLES = [
    contributions.healthy_sample,
    contributions.spherocytosis_sample,
    contributions.sickle_sample,
    contributions.thalassemia_sample,
    contributions.xerocytosis_sample,
]


@pytest.fixture
def manager() -> PluginManager:
    manager = PluginManager()
    manager.register(PluginManifest.from_file(MANIFEST))
    return manager


def test_every_command_of_the_manifest_can_be_called() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    for command in manifest.contributions.commands:
        assert command.id.startswith("napari-attmil.")
        module, name = command.python_name.split(":")
        assert callable(getattr(__import__(str(module), fromlist=[str(name)]), str(name)))


@pytest.mark.parametrize("make", SAMPLES)
def test_sample_data_is_a_stack_with_a_pixel_size(make: Callable[[], list[Any]]) -> None:
    ((data, settings, kind),) = make()
    assert kind == "image" and data.shape == (4, 512, 512) and data.dtype == np.uint8
    assert settings["scale"][0] == 1 and 0.05 < settings["scale"][1] < 0.5
    np.testing.assert_array_equal(make()[0][0], data)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "b.csv", "c.czi"])
def test_common_files_are_left_to_other_readers(manager: PluginManager, name: str) -> None:
    assert list(manager.iter_compatible_readers([name])) == []


def test_folder_of_images_opens_as_one_stack(manager: PluginManager, tmp_path: Path) -> None:
    for number in (1, 2, 10):
        tifffile.imwrite(tmp_path / f"field{number}.tif", np.full((20, 30), number, np.uint8))
    assert len(list(manager.iter_compatible_readers([str(tmp_path)]))) == 1
    read = folder_reader(str(tmp_path))
    assert read is not None
    ((data, settings, kind),) = read(str(tmp_path))
    assert kind == "image" and settings["name"] == tmp_path.name
    assert np.asarray(data)[:, 0, 0].tolist() == [1, 2, 10]


def test_folder_without_images_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    assert folder_reader(str(tmp_path)) is None
    assert folder_reader(str(tmp_path / "notes.txt")) is None
