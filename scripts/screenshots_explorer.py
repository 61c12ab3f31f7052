"""Make the pictures of the panel "Explore cells" in docs/images, from simulated data.

A simulated cohort is drawn, a classifier trained on it, every sample classified through the panel,
and a picture taken of each tab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from screenshots import parser, photograph, scratch_folder, settle, wait

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOKS = (("dark", 1280, 800), ("light", 1280, 800))
LARGE = {"gallery": ("dark", 3840, 2160), "shape": ("light", 3840, 2160)}
CLASS = "sickle"
SAMPLE = f"{CLASS}-02-1"
TABS = ("colours", "gallery", "table", "sample", "map", "shape", "cohort", "asking", "teaching")
SCOPES = {"gallery": "*", "map": "*", "shape": CLASS}
PATIENTS = 8
"""Of a class: fewer than six cannot show that shapes differ."""


def main() -> None:
    """Take all pictures."""
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=40, help="of the training")
    arguments.add_argument("--tabs", nargs="*", choices=TABS, default=TABS, help="what is shown")
    asked = arguments.parse_args()
    with scratch_folder() as scratch:
        take_pictures(asked.out, scratch / "cohort", asked.epochs, asked.tabs)


def take_pictures(folder: Path, cohort: Path, epochs: int, tabs: list[str]) -> None:
    """Work through both panels, and take a picture of each tab."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(1280, 800)
    _, panel = viewer.window.add_plugin_dock_widget("napari-attmil", "Classify samples")
    prepare(panel, cohort, epochs)
    panel.show_step("result")
    _, explorer = viewer.window.add_plugin_dock_widget("napari-attmil", "Explore cells")
    explorer.cohort.classify()
    wait(lambda: not explorer.cohort._runner.busy)
    panel.context.image_choice.show_sample(SAMPLE)
    shoot_card(viewer, explorer, (panel.card_host, explorer.card_host), folder)
    if "sample" in tabs:
        explorer.sample.prepare()
        wait(lambda: not explorer.sample._runner.busy)
    for tab in tabs:
        shoot(viewer, explorer, tab, folder)
    explorer.close_panel()
    panel.close_panel()
    viewer.close()


def prepare(panel: Any, folder: Path, epochs: int) -> None:
    """Draw a cohort, find its cells, and train two models on all of it."""
    from napari_attmil.bags import EnsembleSettings, MILSettings
    from napari_attmil.cells import DetectionSettings
    from napari_attmil.images import open_cohort
    from napari_attmil.simulation import SimulationSettings, simulate_cohort
    from napari_attmil.workflows import train_classifier

    settings = SimulationSettings(
        patients_per_class=PATIENTS,
        samples_per_patient=1,
        images_per_sample=2,
        classes=("healthy", CLASS, "spherocytosis"),
    )
    list(simulate_cohort(folder, settings))
    panel.context.image_choice.use_cohort(open_cohort(folder))
    panel.context.image_choice.show_sample(SAMPLE)
    session = panel.context.session
    panel.context.runner.start(
        train_classifier,
        panel.context.cohort_study(),
        MILSettings(epochs=epochs),
        EnsembleSettings(members=5, calibrate=False),
        DetectionSettings(),
        "cpu",
        on_done=lambda training: session.predictions.use(training.classifier),
    )
    wait(lambda: not panel.context.runner.busy)


def fill_shape_tab(explorer: Any) -> None:
    """Measure all cells, and compare those of a high contribution with the others."""
    exploration = explorer.context.exploration
    exploration.set_scope("*")
    explorer.show_tab(explorer.shape)
    settle(1)
    explorer.shape.measure()
    wait(lambda: not explorer.shape._runner.busy)
    exploration.set_scope(CLASS)
    settle(1)
    explorer.shape._score.setCurrentIndex(explorer.shape._score.findData(f"contribution_{CLASS}"))
    explorer.shape.compare()


def fill_asking_tab(explorer: Any) -> None:
    """Answer about a few cells."""
    tab = explorer.asking
    tab.ask()
    wait(lambda: not tab._runner.busy)
    for answer in ("altered", "not altered", "altered", "cannot tell"):
        settle(0.5)
        tab.answer(answer)


def fill_teaching_tab(explorer: Any) -> None:
    """Mark cells as a student would, and ask for the answer."""
    tab, session = explorer.teaching, explorer.context.session
    tab._person.setText("Ana")
    tab.start()
    ranked = session.state.prediction.cell_id[session.state.prediction.attention.argsort()[::-1]]
    session.select(ranked[[0, 1, 2, 4, 7, 12]])
    settle(0.5)
    tab.finish()


def shoot_card(viewer: Any, explorer: Any, hosts: Sequence[Any], folder: Path) -> None:
    """Ask why the cell with the highest attention is white."""
    context = explorer.context
    prediction = context.session.state.prediction
    cell = int(prediction.cell_id[prediction.attention.argmax()])

    def is_complete() -> bool:
        cards = [host.card for host in hosts if host.card is not None]
        return bool(cards and cards[0].facts is not None and cards[0].facts.similar)

    def ask() -> None:
        context.cells.show_cell(cell)
        context.exploration.ask_about((SAMPLE, cell))
        wait(is_complete)

    photograph(viewer, folder / "5-cell-card", LOOKS, ask, keep_view=True)
    for host in hosts:
        host.close_card()


def shoot(viewer: Any, explorer: Any, name: str, folder: Path) -> None:
    """Take pictures of the whole window with one tab in front."""
    session, tab = explorer.context.session, getattr(explorer, name)
    explorer.show_tab(tab)
    explorer.context.exploration.set_scope(SCOPES.get(name, ""))
    if name == "shape":
        fill_shape_tab(explorer)
    if name == "asking":
        fill_asking_tab(explorer)
    if name == "teaching":
        fill_teaching_tab(explorer)
    if name == "gallery":
        tab._shown.setCurrentIndex(1)
        tab.invalidate()

    def ready() -> None:
        settle(1)
        session.select(session.boxes.cell_id[:1])

    looks = (*LOOKS, LARGE[name]) if name in LARGE else LOOKS
    photograph(viewer, folder / f"7-explore-{name}", looks, ready)


if __name__ == "__main__":
    main()
