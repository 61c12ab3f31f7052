"""Brighten or darken the image shown, and change its contrast, from the keyboard."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.notifications import show_info

from napari_attmil.widgets.context import PanelContext

STEP = 0.1
"""Share of the present range of grey levels that a key press moves or narrows it by."""


def brightness_functions(context: PanelContext) -> dict[str, Callable[[], None]]:
    """Return what the keys for brightness and contrast do, by the action's name."""
    return {
        "brighter": lambda: _move_limits(context, -STEP, -STEP),
        "darker": lambda: _move_limits(context, STEP, STEP),
        "more_contrast": lambda: _move_limits(context, STEP / 2, -STEP / 2),
        "less_contrast": lambda: _move_limits(context, -STEP / 2, STEP / 2),
    }


def _move_limits(context: PanelContext, low_by: float, high_by: float) -> None:
    layer = context.image_choice.chosen
    if layer is None:
        return
    if layer.rgb:
        show_info("napari shows colour images as they are; brightness is for grey ones.")
        return
    low, high = layer.contrast_limits
    span = high - low
    layer.contrast_limits = (low + low_by * span, high + high_by * span)
