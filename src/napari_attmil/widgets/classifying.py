"""Classification of the shown sample, which more than one panel can start."""

from __future__ import annotations

from napari_attmil import workflows
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import ProgressRow


def missing_to_classify(context: PanelContext) -> str:
    """Return what the person has to do before the shown sample can be classified."""
    session, steps = context.session, []
    if context.images is None:
        steps.append("choose images (step 1)")
    if not len(session.boxes):
        steps.append("detect cells (step 2)")
    if session.predictions.classifier is None:
        steps.append("load or train a classifier (step 3)")
    return f"First {', then '.join(steps)}." if steps else ""


def classify_shown(context: PanelContext, progress: ProgressRow) -> None:
    """Classify the shown sample off the main thread; only cells that changed are read again."""
    session = context.session
    if context.images is None or session.sample is None or session.predictions.classifier is None:
        return
    key = session.key
    progress.begin("Loading the detector")

    def take_over(outcome: workflows.ClassifiedSample | None) -> None:
        if outcome is not None:
            session.predictions.set(outcome.prediction, outcome.boxes, key)

    context.runner.start(
        workflows.classify_sample,
        context.shown_study(),
        session.sample,
        context.images,
        session.boxes,
        session.predictions.classifier.model,
        context.device_name,
        on_done=take_over,
        on_progress=progress.setValue,
        on_end=progress.hide,
    )
