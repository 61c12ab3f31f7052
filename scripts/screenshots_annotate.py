"""Make the pictures of the panel "Annotate cells" in docs/images, from simulated data.

A few images of a study are reviewed and corrected by hand, while the next ones are searched.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from screenshots import ALL_LOOKS, LOOKS, parser, photograph, scratch_folder, settle, wait

if TYPE_CHECKING:
    from pathlib import Path


def main() -> None:
    """Take all pictures."""
    asked = parser(__doc__).parse_args()
    with scratch_folder() as scratch:
        take_pictures(asked.out, scratch / "study")


def take_pictures(folder: Path, study: Path) -> None:
    """Correct some boxes of a study, and show the panel and the sheet of keys."""
    import napari
    from qtpy.QtWidgets import QDialog

    from napari_attmil.images import open_cohort
    from napari_attmil.simulation import SimulationSettings, simulate_cohort

    settings = SimulationSettings(
        patients_per_class=3, samples_per_patient=1, images_per_sample=2, cells_per_image=24
    )
    list(simulate_cohort(study, settings))
    viewer = napari.Viewer()
    _, bench = viewer.window.add_plugin_dock_widget("napari-attmil", "Annotate cells")
    bench.context.image_choice.use_cohort(open_cohort(study))
    bench._ahead.setChecked(True)
    wait(lambda: len(bench.context.session.boxes) > 0)
    for _ in range(3):
        bench.reviewing.mark_and_go_on()
        wait(lambda: bench.reviewing.entry.box_count > 0)
        settle(2)
    bench._ahead.setChecked(False)
    wait(lambda: not bench.look_ahead.busy)
    correct(bench)
    photograph(viewer, folder / "6-annotate", ALL_LOOKS)
    bench.exchange.read([boxes_of_another_program(bench.context.session, study.parent)])
    wait(lambda: bench.findChild(QDialog) is not None)
    photograph(viewer, folder / "6-import", LOOKS)
    bench.findChild(QDialog).reject()
    settle(0.5)
    bench.show_history()
    photograph(viewer, folder / "6-history", LOOKS)
    bench.findChild(QDialog).close()
    settle(0.5)
    bench.show_keys()
    settle(1)
    sheet = bench.findChild(QDialog)
    sheet.grab().save(str(folder / "6-annotate-keys.png"))
    sheet.close()
    bench.close_panel()
    viewer.close()


def boxes_of_another_program(session: Any, folder: Path) -> Path:
    """Write a COCO file with boxes of the first images, white cells and a foreign image."""
    study = session.cohort.folder
    frames = [sample.frames[0].path for sample in session.cohort.samples[:3]]
    names = [*(str(path.relative_to(study)) for path in frames), "elsewhere.tif"]
    boxes = [
        {"id": 7 * image + k, "image_id": image, "category_id": 1 + (k == 6), "iscrowd": 0}
        | {"bbox": [60 * k + 20, 90 * image + 300, 45, 45], "area": 2025}
        for image in range(len(names))
        for k in range(7)
    ]
    path = folder / "boxes.json"
    images = [{"id": place, "file_name": name} for place, name in enumerate(names)]
    kinds = [{"id": 1, "name": "RBC"}, {"id": 2, "name": "WBC"}]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": kinds}))
    return path


def correct(bench: Any) -> None:
    """Do a little of everything to the image shown."""
    session = bench.context.session
    ids = session.boxes.of_image(bench.context.cells.camera.image_index()).cell_id
    session.editor.accept(ids[:6])
    for cell in ids[6:9]:
        session.editor.move(cell, session.boxes.xyxy[session.boxes.index_of(cell)[0]] + 3)
    session.select([ids[10]])


if __name__ == "__main__":
    main()
