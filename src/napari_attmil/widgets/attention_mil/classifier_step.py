"""Step 3: load a classifier, or train one on the open cohort."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_attmil import workflows
from napari_attmil.bags import EnsembleSettings, MILSettings, Preset, ensemble_preset, mil_preset
from napari_attmil.core import UserError, counted
from napari_attmil.session import LoadedClassifier, SessionKey
from napari_attmil.widgets.attention_mil.device_combo import DeviceCombo
from napari_attmil.widgets.attention_mil.healthy_class_combo import HealthyClassCombo
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import (
    Listening,
    ProgressRow,
    SettingsForm,
    ask_where_to_save,
    hint_label,
    narrow_combo,
    primary_button,
    tell_error,
    with_ending,
)
from napari_attmil.workflows import Progress

MODEL_FILES = "Model files (*.safetensors)"
NOTES_SHOWN = 3
NO_HEALTHY_CLASS = (
    "No class is plainly called healthy or control: choose the healthy class above, if there is "
    "one. The classifier learns better when it knows what is normal."
)
PRESET_TITLES = {
    "default": "recommended",
    "paper": "as in the paper",
    "marrlab-code": "as in the published code",
}


class ClassifierStep(Listening, QWidget):
    """Trains, loads and saves the classifier.

    Parameters
    ----------
    context
        What the panel shares.

    Signals
    -------
    state_changed(str, bool)
        One line that names the classifier, and whether there is one.
    started()
        A training has begun.
    ready()
        A classifier was loaded or trained.
    """

    state_changed = Signal(str, bool)
    started = Signal()
    ready = Signal()

    def __init__(
        self,
        context: PanelContext,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._create()
        self._lay_out()
        self._connect()
        self._synchronise()

    def _create(self) -> None:
        self._train = primary_button(
            "Train classifier", "Learn the classes from the labelled samples of the open cohort."
        )
        self._load = QPushButton("Load model…")
        self._load.setToolTip("Use a classifier that was trained before.")
        self._save = QPushButton("Save model…")
        self._save.setToolTip("Keep a copy of the classifier where you want it.")
        self._device = DeviceCombo()
        self._preset = narrow_combo("Which set of training settings is used.")
        for name in get_args(Preset):
            self._preset.addItem(PRESET_TITLES[name], name)
        self._healthy = HealthyClassCombo()
        own = {"Settings": self._preset, "Healthy class": self._healthy, "Device": self._device}
        self._form = SettingsForm(MILSettings, EnsembleSettings, above=own)
        self._progress = ProgressRow(
            "Stop", "End the training now; the models that are there by then are kept."
        )
        self._curve_place = QVBoxLayout()
        self._curve: Any = None
        self._hint = hint_label(name="hint")
        self._notes: list[str] = []
        """What is to know of the latest training."""

    def _lay_out(self) -> None:
        files = QHBoxLayout()
        files.addWidget(self._load)
        files.addWidget(self._save)
        layout = QVBoxLayout(self)
        layout.addLayout(files)
        layout.addWidget(self._form)
        layout.addWidget(self._train)
        layout.addWidget(self._progress)
        layout.addLayout(self._curve_place)
        layout.addWidget(self._hint)

    def _connect(self) -> None:
        context = self._context
        self._train.clicked.connect(self.train)
        self._load.clicked.connect(self._ask_for_model)
        self._save.clicked.connect(self._ask_where_to_save)
        self._preset.activated.connect(self._apply_preset)
        self._healthy.activated.connect(self._synchronise)
        self._device.valueChanged.connect(context.set_device_name)
        self._progress.stop_clicked.connect(context.runner.stop)
        context.runner.busy_changed.connect(self._synchronise)
        self.listen(context.session.cohort_changed, self._synchronise)
        self.listen(context.session.classifier_changed, self._synchronise)

    def tell_state(self) -> None:
        """Emit `state_changed`."""
        self._synchronise()

    def on_opened(self, is_open: bool) -> None:
        """Look up the devices when the step is unfolded for the first time."""
        if is_open:
            self._device.refresh()

    def train(self) -> None:
        """Train off the main thread."""
        context = self._context
        study = context.cohort_study()
        if study is None:
            return
        try:
            settings = self._form.value(MILSettings)
            settings = settings.replace(reference_class=self._healthy.value())
            ensemble = self._form.value(EnsembleSettings)
        except UserError as error:
            tell_error(error)
            return
        self._show_curve()
        self._notes.clear()
        self._progress.begin("Loading the detector")
        keys = {sample.name: context.session.key_of(sample.name) for sample in study.cohort.samples}
        context.runner.start(
            workflows.train_classifier,
            study,
            settings,
            ensemble,
            context.detection_settings,
            context.device_name,
            on_done=self._take_over,
            on_progress=lambda progress: self._on_progress(progress, keys),
            on_end=self._progress.hide,
        )
        self.started.emit()

    def load(self, path: Path) -> None:
        """Load a model file off the main thread."""
        self._notes.clear()
        self._progress.begin("Loading the model")
        self._context.runner.start(
            workflows.load_classifier,
            path,
            self._context.device_name,
            on_done=self._use,
            on_progress=self._progress.setValue,
            on_end=self._progress.hide,
        )

    def save(self, path: Path) -> None:
        """Write a copy of the classifier."""
        classifier = self._context.session.predictions.classifier
        if classifier is None:
            return
        path = with_ending(path, MODEL_FILES)
        try:
            classifier.model.save(path)
        except UserError as error:
            tell_error(error)
            return
        self._context.session.predictions.use(LoadedClassifier(classifier.model, path.name, path))
        show_info(f"The classifier was saved as {path}.")

    def _show_curve(self) -> None:
        if self._curve is None:
            # pyqtgraph takes half a second to import; no need for it before a training.
            from napari_attmil.widgets.parts import LossCurve

            self._curve = LossCurve()
            self._curve_place.addWidget(self._curve)
        self._curve.clear()

    def _on_progress(self, progress: Progress, keys: Mapping[str, SessionKey]) -> None:
        self._progress.setValue(progress)
        if progress.note:
            self._notes.append(progress.note)
        if hasattr(progress.detail, "epoch"):
            self._curve.add(progress.detail.title, progress.detail.epoch)
        elif progress.detail is not None:
            bag = progress.detail
            self._keep_cells(bag, keys[bag.sample])

    def _keep_cells(self, bag: Any, key: SessionKey) -> None:
        """Keep the cells that were found on the way, unless the person has seen to them."""
        session = self._context.session
        if bag.boxes is not None and bag.sample not in session.states_of_samples():
            session.editor.merge(bag.boxes, key=key)

    def _take_over(self, training: workflows.Training | None) -> None:
        if training is None:
            show_info(
                "Stopped before the first model was there; the next training goes on from there."
            )
            return
        show_info(
            " ".join([f"The classifier was saved as {training.classifier.path}.", *self._told()])
        )
        self._use(training.classifier)

    def _use(self, classifier: LoadedClassifier) -> None:
        self._context.session.predictions.use(classifier)
        self.ready.emit()

    def _told(self) -> list[str]:
        """Return what is to know of the latest training, no more than a person reads."""
        more = len(self._notes) - NOTES_SHOWN
        also = [f"Likewise {counted(more, 'more sample')}."] if more > 0 else []
        shown = " ".join([*self._notes[:NOTES_SHOWN], *also])
        return [f"Latest training: {shown}"] if shown else []

    def _apply_preset(self) -> None:
        preset = cast("Preset", self._preset.currentData())
        self._form.setValue(mil_preset(preset))
        self._form.setValue(ensemble_preset(preset))

    def _ask_for_model(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load a classifier", "", MODEL_FILES)
        if path:
            self.load(Path(path))

    def _ask_where_to_save(self) -> None:
        classifier = self._context.session.predictions.classifier
        proposed = classifier.name if classifier is not None else ""
        path = ask_where_to_save(self, "Save the classifier", proposed, MODEL_FILES)
        if path is not None:
            self.save(path)

    def _synchronise(self) -> None:
        session, busy = self._context.session, self._context.runner.busy
        self._load.setEnabled(not busy)
        self._save.setEnabled(session.predictions.classifier is not None)
        self._train.setEnabled(session.cohort is not None and not busy)
        self._healthy.setEnabled(session.cohort is not None)
        self._healthy.setClasses(() if session.cohort is None else session.cohort.classes)
        classifier = session.predictions.classifier
        self._hint.setText("\n".join([self._in_use(), *self._told()]))
        self._hint.setToolTip("" if classifier is None else str(classifier.path or ""))
        summary = classifier.name if classifier is not None else "none yet"
        self.state_changed.emit(summary, classifier is not None)

    def _in_use(self) -> str:
        """Return which classifier is in use, or how to come to one."""
        session = self._context.session
        classifier = session.predictions.classifier
        if classifier is not None:
            classes = ", ".join(classifier.model.classes)
            return f"In use: {classifier.name}\n{classifier.model.description}\nClasses: {classes}"
        if session.cohort is None:
            return "Load a model, or open a cohort (step 1) to train one."
        advice = f" {NO_HEALTHY_CLASS}" if self._healthy.is_missing() else ""
        return f"Train on the open cohort, or load a model.{advice}"
