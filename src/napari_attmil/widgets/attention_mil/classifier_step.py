"""Step 3: load a classifier, or train one on the open cohort."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_attmil import workflows
from napari_attmil.bags import EnsembleSettings, MILSettings, Preset, ensemble_preset, mil_preset
from napari_attmil.core import counted
from napari_attmil.evaluation import EvaluationSettings
from napari_attmil.images import Cohort, check_trainable
from napari_attmil.session import LoadedClassifier, SessionKey
from napari_attmil.widgets.attention_mil.compute_on import ComputeOnCombo
from napari_attmil.widgets.attention_mil.device_combo import DeviceCombo
from napari_attmil.widgets.attention_mil.evaluate_dialog import EvaluateDialog
from napari_attmil.widgets.attention_mil.healthy_class_combo import HealthyClassCombo
from napari_attmil.widgets.attention_mil.held_out_view import HeldOutView
from napari_attmil.widgets.attention_mil.samples import SamplesRow
from napari_attmil.widgets.attention_mil.step import Step
from napari_attmil.widgets.attention_mil.workers_box import WorkersBox
from napari_attmil.widgets.parts import (
    ProgressRow,
    SettingsForm,
    ask_for_file,
    ask_where_to_save,
    column,
    errors_shown,
    hint_label,
    narrow_combo,
    opening,
    primary_button,
    push_button,
    row,
    showing_folder,
    tell,
    with_ending,
)
from napari_attmil.workflows import Progress, unfinished_trainings

MODEL_FILES = "Model files (*.safetensors)"
NOTES_SHOWN = 3
STOPPED_EARLY = "Stopped before the first model was trained; the next training continues from here."
STOPPED = (
    "A training was stopped before its end; the states of {models} are kept. With the same "
    "samples, boxes, settings and kind of device it goes on from there, otherwise it begins anew."
)
EVALUATION_STOPPED = (
    "The evaluation was stopped before its end. What was trained is kept: the next one of the same "
    "samples, boxes and settings goes on from there."
)
NO_CLASSES = "To train, give the samples their classes above: two at least. Or load a model."
NO_HEALTHY_CLASS = (
    "No class is called healthy, control or the like: choose the healthy class above, if there is "
    "one. The classifier learns better when it knows what is normal."
)
OWN_PATIENTS = "Each sample counts as a separate patient; check this."
OWN_PATIENTS_TIP = (
    "If some samples are of the same person, say so under “Samples and classes”, or results will "
    "look better than they are."
)
PRESET_TITLES = {
    "default": "recommended",
    "paper": "as in the paper",
    "marrlab-code": "as in the published code",
}


class ClassifierStep(Step):
    """Trains, loads and saves the classifier.

    Signals
    -------
    started()
        A training has begun.
    ready()
        A classifier was loaded or trained.
    """

    started = Signal()
    ready = Signal()

    def _create(self) -> None:
        self._load = push_button(
            "Load model…", "Use a classifier that was trained before.", self.ask_for_model
        )
        self._save = push_button(
            "Save model…", "Save a copy of the classifier.", self._ask_where_to_save
        )
        self.samples = SamplesRow(self._context)
        presets = {PRESET_TITLES[name]: name for name in get_args(Preset)}
        self._preset = narrow_combo("Which set of training settings is used.", presets)
        self._healthy = HealthyClassCombo()
        self._compute_on = ComputeOnCombo()
        self._device, self._workers = DeviceCombo(), WorkersBox()
        own: dict[str, QWidget] = {"Settings": self._preset, "Healthy class": self._healthy}
        where: dict[str, QWidget] = {"Compute on": self._compute_on, "Device": self._device}
        where["Workers"] = self._workers
        self._form = SettingsForm(MILSettings, EnsembleSettings, above=own, more=where)
        self._train = primary_button(
            "Train classifier",
            "Learn the classes from the samples of the study that have one.",
            self.train,
        )
        self._evaluate = push_button(
            "Evaluate…",
            "Find out how well such classifiers do on patients they have not seen, and compare "
            "methods; with a report.",
            self.ask_what_to_evaluate,
        )
        self._progress = ProgressRow(
            self._context.runner,
            "Stop",
            "End it now; what was trained so far is kept.",
        )
        self._caution = hint_label(OWN_PATIENTS, "caution")
        self._caution.setToolTip(OWN_PATIENTS_TIP)
        self._unfinished = hint_label(name="unfinished")
        self._curve_place = column()
        self._curve: Any = None
        self._held_out = HeldOutView()
        self._hint = hint_label(name="hint")
        self._notes: list[str] = []
        """Remarks on the latest training."""

    def _lay_out(self) -> None:
        training = (
            self.samples,
            self._form,
            self._caution,
            row((self._train, 1), self._evaluate),
            self._unfinished,
            self._progress,
            self._curve_place,
        )
        column(row(self._load, self._save), *training, self._held_out, self._hint, within=self)

    def _connect(self) -> None:
        context = self._context
        self._preset.activated.connect(self._apply_preset)
        self._healthy.activated.connect(self.synchronise)
        # Another panel may have kept what was chosen.
        workers, cluster = context.workers
        self._workers.setValue(workers.number if workers else 0)
        self._compute_on.setValue(cluster)
        self._workers.setEnabled(not cluster)
        self._device.valueChanged.connect(context.set_device_name)
        self._workers.valueChanged.connect(self._pass_on_workers)
        self._compute_on.currentTextChanged.connect(self._pass_on_workers)
        context.runner.busy_changed.connect(self.synchronise)
        self._held_out.sample_clicked.connect(context.image_choice.show_sample)
        self.listen(context.session.cohort_changed, self.synchronise)
        self.listen(context.session.classifier_changed, self.synchronise)
        for changed in (context.session.cohort_changed, context.session.classifier_changed):
            self.listen(changed, self._show_held_out)
        self._show_held_out()

    def on_opened(self, is_open: bool) -> None:
        """List the devices when the step is unfolded for the first time."""
        if is_open:
            self._device.refresh()

    def _pass_on_workers(self) -> None:
        cluster = self._compute_on.value()
        self._workers.setEnabled(not cluster)  # A scheduler has its own.
        self._context.set_workers(self._workers.workers(), cluster)

    def train(self) -> None:
        """Train off the main thread."""
        context = self._context
        study = context.cohort_study()
        if study is None:
            return
        with errors_shown(self, "train"):
            check_trainable(study.cohort)
            settings, ensemble = self._settings()
            self._show_curve()
            self._notes.clear()
            samples = study.cohort.samples
            keys = {sample.name: context.session.key_of(sample.name) for sample in samples}
            self._progress.start(
                "Loading the detector",
                context.shared(workflows.train_classifier),
                study,
                settings,
                ensemble,
                context.detection_settings,
                context.device_name,
                on_done=self._take_over,
                on_progress=lambda progress: self._on_progress(progress, keys),
                again=self.train,
            )
            self.started.emit()

    def ask_what_to_evaluate(self) -> None:
        """Ask what is to be compared, and do so."""
        study = self._context.cohort_study()
        if study is None:
            return
        with errors_shown(self, "evaluate"):
            check_trainable(study.cohort)
            settings, ensemble = self._settings()
            out = workflows.evaluation_folder(study.cohort)
            dialog = EvaluateDialog(settings.method, not ensemble.is_one_model, out, self)
            if dialog.exec():
                self.evaluate(study, settings, ensemble, dialog.value(), out)

    def evaluate(
        self,
        study: workflows.Study,
        settings: MILSettings,
        ensemble: EnsembleSettings,
        plan: EvaluationSettings,
        out: Path,
    ) -> None:
        """Cross-validate by patient off the main thread, and write the report into a folder."""
        context = self._context
        self._progress.start(
            "Loading the detector",
            context.shared(workflows.evaluate_study),
            study,
            settings,
            plan,
            ensemble,
            context.detection_settings,
            context.device_name,
            out,
            on_done=lambda report: self._on_evaluated(report, out),
            again=self.ask_what_to_evaluate,
        )

    def _on_evaluated(self, report: Mapping[str, Any] | None, out: Path) -> None:
        if report is None:
            tell(self, EVALUATION_STOPPED, "evaluate")
            return
        # Reports take matplotlib, which is slow to import: no need for it before.
        from napari_attmil.evaluation import in_short

        page = out / "report.html"
        actions = (opening(page, "Open report"), showing_folder(page))
        tell(self, f"{in_short(report)} The report is {page}.", "evaluate", *actions)

    def _settings(self) -> tuple[MILSettings, EnsembleSettings]:
        """Return the settings of a training as the form has them."""
        settings = self._form.value(MILSettings)
        settings = settings.replace(reference_class=self._healthy.value())
        return settings, self._form.value(EnsembleSettings)

    def use_cpu(self) -> None:
        """Let the processor compute from now on."""
        self._device.setValue("cpu")
        self._context.set_device_name("cpu")

    def load(self, path: Path) -> None:
        """Load a model file off the main thread."""
        self._notes.clear()
        self._progress.start(
            "Loading the model",
            workflows.load_classifier,
            path,
            self._context.device_name,
            on_done=self._use,
            again=lambda: self.load(path),
        )

    def save(self, path: Path) -> None:
        """Write a copy of the classifier."""
        predictions = self._context.session.predictions
        classifier, path = predictions.classifier, with_ending(path, MODEL_FILES)
        if classifier is None:
            return
        with errors_shown(self, "save", elsewhere=self._ask_where_to_save):
            classifier.model.save(path)
            predictions.use(LoadedClassifier(classifier.model, path.name, path))
            tell(self, f"The classifier was saved as {path}.", "save", showing_folder(path))

    def _show_curve(self) -> None:
        if self._curve is None:
            # pyqtgraph takes half a second to import; no need for it before a training.
            from napari_attmil.widgets.parts import LossCurve

            self._curve = LossCurve()
            self._curve_place.addWidget(self._curve)
        self._curve.clear()

    def _on_progress(self, progress: Progress, keys: Mapping[str, SessionKey]) -> None:
        if progress.note:
            self._notes.append(progress.note)
        if hasattr(progress.detail, "epoch"):
            self._curve.add(progress.detail.title, progress.detail.epoch)
        elif hasattr(progress.detail, "boxes"):
            bag, session = progress.detail, self._context.session
            # Cells found on the way are kept, except where the user has worked on the sample.
            if bag.sample_boxes is not None and bag.sample not in session.states_of_samples():
                session.editor.merge(bag.sample_boxes, key=keys[bag.sample], automatic=True)

    def _take_over(self, training: workflows.Training | None) -> None:
        if training is None:
            tell(self, STOPPED_EARLY, "train")
            return
        path = training.classifier.path
        saved = " ".join([f"The classifier was saved as {path}.", *self._remarks()])
        tell(self, saved, "train", *([] if path is None else [showing_folder(path)]))
        self._use(training.classifier)

    def _use(self, classifier: LoadedClassifier) -> None:
        self._context.session.predictions.use(classifier)
        self.ready.emit()

    def _remarks(self) -> list[str]:
        """Return the first few remarks on the latest training in one text, if there are any."""
        more = len(self._notes) - NOTES_SHOWN
        also = [f"Likewise {counted(more, 'more sample')}."] if more > 0 else []
        shown = " ".join([*self._notes[:NOTES_SHOWN], *also])
        return [f"Latest training: {shown}"] if shown else []

    def _apply_preset(self) -> None:
        preset = cast("Preset", self._preset.currentData())
        self._form.setValue(mil_preset(preset))
        self._form.setValue(ensemble_preset(preset))

    def ask_for_model(self) -> None:
        """Ask for a model file and load it."""
        if path := ask_for_file(self, "Load a classifier", MODEL_FILES, "models"):
            self.load(path)

    def _ask_where_to_save(self) -> None:
        classifier = self._context.session.predictions.classifier
        proposed = classifier.name if classifier is not None else ""
        if path := ask_where_to_save(self, "Save the classifier", proposed, MODEL_FILES):
            self.save(path)

    def synchronise(self) -> None:
        """Show which classifier is in use, and what can be done."""
        session, busy = self._context.session, self._context.runner.busy
        self._load.setEnabled(not busy)
        self._save.setEnabled(session.predictions.classifier is not None)
        for button in (self._train, self._evaluate):
            button.setEnabled(session.cohort is not None and not busy)
        self._healthy.setEnabled(session.cohort is not None)
        self._healthy.setClasses(() if session.cohort is None else session.cohort.classes)
        self._caution.setVisible(session.cohort is not None and _own_patients(session.cohort))
        classifier = session.predictions.classifier
        unfinished = 0 if session.cohort is None else unfinished_trainings(session.cohort)
        self._train.setText("Continue training" if unfinished else "Train classifier")
        self._unfinished.setText(STOPPED.format(models=counted(unfinished, "model")))
        self._unfinished.setVisible(bool(unfinished) and not busy)
        self._hint.setText("\n".join([self._in_use(), *self._remarks()]))
        self._hint.setToolTip("" if classifier is None else str(classifier.path or ""))
        self.state_changed.emit(_summary(classifier), classifier is not None)

    def _show_held_out(self) -> None:
        session = self._context.session
        classifier = session.predictions.classifier
        samples = () if session.cohort is None else session.cohort.samples
        self._held_out.setValue(None if classifier is None else classifier.model, samples)

    def _in_use(self) -> str:
        """Return which classifier is in use, or how to get one."""
        session = self._context.session
        classifier = session.predictions.classifier
        if classifier is not None:
            classes = ", ".join(classifier.model.classes)
            return f"In use: {classifier.name}\n{classifier.model.description}\nClasses: {classes}"
        if session.cohort is None:
            return "Load a model, or open images to train one."
        if len(session.cohort.classes) < 2:
            return NO_CLASSES
        advice = f" {NO_HEALTHY_CLASS}" if self._healthy.is_missing() else ""
        return f"Train on the open images, or load a model.{advice}"


def _own_patients(cohort: Cohort) -> bool:
    """Tell whether there are classes to train on, and no two samples of the same patient."""
    return len(cohort.classes) > 1 and len(cohort.patients) == len(cohort)


def _summary(classifier: LoadedClassifier | None) -> str:
    """Return what the heading of the step says: how the classifier does, else its name."""
    if classifier is None:
        return "none yet"
    held_out = classifier.model.held_out
    if held_out is None:
        return classifier.name
    return f"{held_out.right} of {len(held_out.of_patients)} right, held out"
