"""Make the pictures of the panel "Classify samples" in docs/images, from simulated data.

A small simulated cohort is opened, its cells are found with the shipped detector, a classifier is
trained and a sample classified, all through the panel; a picture is taken after each step.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from screenshots import ALL_LOOKS, LOOKS, parser, photograph, scratch_folder, wait

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = "sickle-02-1"


def main() -> None:
    """Take all pictures."""
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=40, help="of the training that is shown")
    asked = arguments.parse_args()
    with scratch_folder():
        take_pictures(asked.out, asked.epochs)


def take_pictures(folder: Path, epochs: int) -> None:
    """Go through the four steps of the panel, and take a picture after each."""
    import napari

    viewer = napari.Viewer()
    _, panel = viewer.window.add_plugin_dock_widget("napari-attmil", "Classify samples")

    def shoot(step: str, name: str, looks: Any = LOOKS) -> None:
        photograph(viewer, folder / name, looks, partial(panel.show_step, step))

    shoot("images", "1-start")
    panel.context.opening.open_simulated()
    wait(lambda: not panel.context.opening.busy)
    panel.classifier_step.samples.open()
    shoot("classifier", "3-samples")
    panel.classifier_step.samples.dialog.close()
    panel.context.image_choice.show_sample(SAMPLE)
    panel.cells_step.detect()
    wait(lambda: not panel.context.runner.busy)
    viewer.dims.set_point(0, 0)
    shoot("cells", "2-cells")
    panel.classifier_step._form.field("epochs").setValue(epochs)
    panel.classifier_step.train()
    wait(lambda: not panel.context.runner.busy)
    panel.result_step.classify()
    wait(lambda: not panel.context.runner.busy and bool(panel.result_step._top_cells.value()))
    shoot("result", "4-result", ALL_LOOKS)
    panel.close_panel()
    viewer.close()


if __name__ == "__main__":
    main()
