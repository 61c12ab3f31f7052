"""Labels lie over the image that they are of, and over no other."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_attmil.widgets.viewer import show_labels_over


def labels() -> np.ndarray:
    """Return one cell, number 5, at rows 10 to 19 and columns 20 to 39."""
    array = np.zeros((80, 100), np.uint16)
    array[10:20, 20:40] = 5
    return array


@pytest.mark.parametrize("scale", [(1, 1, 1), (2, 0.5, 0.5)])
def test_they_are_seen_in_their_own_image_of_a_stack_only(scale: tuple[float, ...]) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((3, 80, 100), np.uint8), scale=scale)
    show_labels_over(viewer, image, labels(), 1, "Outlines")
    layer = viewer.layers["Outlines"]

    # The layer has one step of its own, which lies where the second image is.
    assert layer.data.shape == (1, 80, 100)
    here = layer.world_to_data(image.data_to_world((1, 15, 30)))
    assert here == pytest.approx((0, 15, 30))
    assert layer.data[tuple(np.round(here).astype(int))] == 5
    assert viewer.layers.selection.active is image


def test_they_replace_those_shown_before_and_one_image_needs_no_axis() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((80, 100), np.uint8))
    for _ in range(2):
        show_labels_over(viewer, image, labels(), 0, "Outlines")
    assert [layer.name for layer in viewer.layers].count("Outlines") == 1
    np.testing.assert_array_equal(viewer.layers["Outlines"].data, labels())


def test_nothing_is_shown_over_an_image_that_has_gone() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((80, 100), np.uint8))
    viewer.layers.remove(image)
    show_labels_over(viewer, image, labels(), 0, "Outlines")
    assert len(viewer.layers) == 0
