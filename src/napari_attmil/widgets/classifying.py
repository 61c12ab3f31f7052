"""Classification of the shown sample, and its result, for more than one panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QWidget

from napari_attmil import workflows
from napari_attmil.explore import held_out_in_words, in_words
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import (
    ProbabilityBars,
    ProgressRow,
    column,
    hint_label,
    set_warning,
    wrapping_label,
)

if TYPE_CHECKING:
    from napari_attmil.bags import Prediction


class PredictionView(QWidget):
    """Class probabilities, how far they can be relied on, and a note."""

    def __init__(self) -> None:
        super().__init__()
        self._bars = ProbabilityBars()
        self._certainty = wrapping_label(name="certainty")
        self._held_out = wrapping_label(name="held_out")
        self._held_out.setToolTip(
            "What models said that were trained without this patient: compare this with the class, "
            "not the bars above, which show what was learnt."
        )
        self._frequencies = hint_label(name="frequencies")
        self._note = hint_label(name="note")
        parts = (self._bars, self._certainty, self._held_out, self._frequencies, self._note)
        column(*parts, within=self, margin_px=0)

    def setValue(self, prediction: Prediction | None) -> None:
        """Show a prediction, or that there is none."""
        self._bars.setVisible(prediction is not None)
        self._held_out.setVisible(prediction is not None and prediction.held_out is not None)
        frequencies = "" if prediction is None else prediction.frequencies_in_words()
        self._frequencies.setText(frequencies)
        self._frequencies.setVisible(bool(frequencies))
        if prediction is None:
            self._certainty.setText("This sample is not classified yet.")
            self._certainty.show()
            set_warning(self._certainty, False)
            self._note.hide()
            return
        alone = prediction.member_probabilities.tolist()
        self._bars.setValue(prediction.classes, prediction.probabilities.tolist(), alone)
        self._certainty.setText(in_words(prediction))
        self._certainty.setVisible(bool(in_words(prediction)))
        set_warning(self._certainty, prediction.abstains)
        self._held_out.setText(held_out_in_words(prediction))
        self._note.setText(prediction.note)
        self._note.setVisible(bool(prediction.note))


def missing_to_classify(context: PanelContext) -> str:
    """Return what has to be done before the shown sample can be classified."""
    session, steps = context.session, []
    if context.images is None:
        steps.append("choose images (step 1)")
    if not len(session.state.cells):
        steps.append("detect cells (step 2)")
    if session.predictions.classifier is None:
        steps.append("load or train a classifier (step 3)")
    return f"First {', then '.join(steps)}." if steps else ""


def classify_shown(context: PanelContext, progress: ProgressRow) -> None:
    """Classify the shown sample off the main thread; only changed cells are read again."""
    session = context.session
    if context.images is None or session.sample is None or session.predictions.classifier is None:
        return
    key = session.key

    def take_over(outcome: workflows.ClassifiedSample | None) -> None:
        if outcome is not None:
            session.predictions.set(outcome.prediction, outcome.boxes, key)

    progress.start(
        "Loading the detector",
        workflows.classify_sample,
        context.shown_study(),
        workflows.CellsAtHand(session.sample, session.state.cells, context.images, key),
        session.predictions.classifier.model,
        context.device_name,
        on_done=take_over,
    )
