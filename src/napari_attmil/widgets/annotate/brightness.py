"""Brighten or darken the image shown, and change its contrast, from the keyboard."""

from __future__ import annotations

from collections.abc import Callable

from napari_attmil.widgets.context import PanelContext

STEP = 0.1
"""Share of the present range of grey levels that a key press moves or narrows it by."""


def brightness_functions(
    context: PanelContext, hint: Callable[[str], None]
) -> dict[str, Callable[[], None]]:
    """Return what the keys for brightness and contrast do, by the action's name."""
    changes = {
        "brighter": (-STEP, -STEP),
        "darker": (STEP, STEP),
        "more_contrast": (STEP / 2, -STEP / 2),
        "less_contrast": (-STEP / 2, STEP / 2),
    }

    def function(low_by: float, high_by: float) -> Callable[[], None]:
        return lambda: _move_limits(context, hint, low_by, high_by)

    return {name: function(*change) for name, change in changes.items()}


def _move_limits(
    context: PanelContext, hint: Callable[[str], None], low_by: float, high_by: float
) -> None:
    layer = context.image_choice.chosen
    if layer is None:
        return
    if layer.rgb:
        hint("Brightness can be changed in grey images only.")
        return
    low, high = layer.contrast_limits
    span = high - low
    layer.contrast_limits = (low + low_by * span, high + high_by * span)
