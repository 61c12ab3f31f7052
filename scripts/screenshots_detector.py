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
    with scratch_folder() as scratch:
        take_pictures(asked.out, scratch)


def take_pictures(folder: Path, folder_of_images: Path) -> None:
    """Review images, fit the detector, and take a picture of what changed."""
    import napari

    from napari_attmil.core import finished
    from napari_attmil.simulation import SimulationSettings, simulate_cohort
    from napari_attmil.workflows import open_cohort

    settings = SimulationSettings(
        patients_per_class=1, samples_per_patient=1, images_per_sample=3, cells_per_image=24
    )
    viewer = napari.Viewer()
    _, main_panel = viewer.window.add_plugin_dock_widget("napari-attmil", "Classify samples")
    study = folder_of_images / "study"
    finished(simulate_cohort(study, settings))
    main_panel.context.image_choice.use_cohort(open_cohort(study))
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
