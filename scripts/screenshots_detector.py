"""Make the pictures of the panel "Train detector" in docs/images, from simulated data.

The images of a few samples are corrected and marked as reviewed; the detector is fitted to them,
and what changed is shown on a held-out one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from screenshots import LOOKS, parser, photograph, scratch_folder, wait

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = ("healthy-01-1", "sickle-01-1", "xerocytosis-01-1")
STEPS = 40


def main() -> None:
    """Take the pictures."""
    asked = parser(__doc__).parse_args()
    with scratch_folder():
        take_pictures(asked.out)


def take_pictures(folder: Path) -> None:
    """Review images, fit the detector, and take a picture of what changed."""
    import napari

    viewer = napari.Viewer()
    _, main_panel = viewer.window.add_plugin_dock_widget("napari-attmil", "Classify samples")
    main_panel.images_step.open_simulated_cohort()
    wait(lambda: not main_panel.context.runner.busy)
    for sample in SAMPLES:
        main_panel.context.image_choice.show_sample(sample)
        main_panel.cells_step.detect()
        wait(lambda: not main_panel.context.runner.busy)
        for index in range(len(main_panel.context.images)):
            correct(main_panel.context.session, index)
    dock, panel = viewer.window.add_plugin_dock_widget(
        "napari-attmil", "Train detector", tabify=True
    )
    dock.raise_()
    panel._form.field("steps").setValue(STEPS)
    panel.train()
    wait(lambda: not panel.context.runner.busy)
    panel.compare()
    wait(lambda: not panel._comparer.busy)
    photograph(viewer, folder / "8-train-detector", LOOKS)
    panel.close_panel()
    main_panel.close_panel()
    viewer.close()


def correct(session: Any, index: int) -> None:
    """Review an image as a person does: a box is moved, another one drawn closer."""
    boxes, editor = session.boxes.of_image(index), session.editor
    for cell, shift in zip(boxes.cell_id[:2].tolist(), (2, -2), strict=False):
        row = int(boxes.index_of(cell)[0])
        editor.move(cell, boxes.xyxy[row] + shift)
    editor.set_reviewed(index)


if __name__ == "__main__":
    main()
