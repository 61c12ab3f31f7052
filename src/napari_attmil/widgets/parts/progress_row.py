"""A progress bar with words, the time that remains, and a button to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QProgressBar, QWidget

from napari_attmil.widgets.parts.layouts import column, row
from napari_attmil.widgets.parts.messages import begin
from napari_attmil.widgets.parts.style import hint_label, push_button
from napari_attmil.widgets.parts.workers import Task, TaskRunner
from napari_attmil.workflows import Progress

SHORTEST_PAUSE_S = 60.0
PAUSE_FACTOR = 10
"""A step that takes longer than this many usual ones, and than the shortest pause, was a pause."""


class RemainingTime:
    """Estimates how long a stage still takes, from how long it took so far.

    A step that took very much longer than those before was a pause, as when the computer slept:
    it counts as one of them.

    Parameters
    ----------
    clock
        Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total = self._first = self._done = 0
        self._at = self._worked_s = 0.0

    def seconds(self, done: int, total: int) -> float | None:
        """Return the seconds that remain, None while nothing can be said."""
        now = self._clock()
        if self._total != total or done < self._done:
            self._total, self._first, self._done, self._worked_s = total, done, done, 0.0
        elif done > self._done:
            self._worked_s += self._without_pause(now - self._at, done - self._done)
            self._done = done
        else:
            now = self._at  # no step ends here
        self._at = now
        worked = done - self._first
        if worked <= 0 or done >= total:
            return None
        return self._worked_s / worked * (total - done)

    def _without_pause(self, seconds: float, steps: int) -> float:
        before = self._done - self._first
        if not before:
            return seconds
        usual = self._worked_s / before * steps
        return usual if seconds > max(SHORTEST_PAUSE_S, PAUSE_FACTOR * usual) else seconds


def in_words(seconds: float) -> str:
    """Return a time as a person says it: "about 20 s", "about 3 min"."""
    if seconds < 90:
        return f"about {max(5 * round(seconds / 5), 1)} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"


class ProgressRow(QWidget):
    """Starts tasks and shows their progress; hidden while none of them runs.

    Parameters
    ----------
    runner
        What runs the tasks.
    stop_text, stop_tip
        Of the button that stops a task.
    """

    def __init__(self, runner: TaskRunner, stop_text: str, stop_tip: str) -> None:
        super().__init__()
        self._runner = runner
        self._bar = QProgressBar()
        self._stop = push_button(stop_text, stop_tip, self.stop)
        self._label = hint_label()
        self._remaining = RemainingTime()

        column(row((self._bar, 1), self._stop), self._label, within=self, margin_px=0, spacing_px=3)

        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(12)
        self._bar.setToolTip("How far the work is.")
        self._stop_text = stop_text
        self.hide()

    def start(
        self,
        text: str,
        task: Task,
        *args: Any,
        on_done: Callable[[Any], None],
        on_progress: Callable[[Progress], None] | None = None,
        again: Callable[[], object] | None = None,
        elsewhere: Callable[[], object] | None = None,
    ) -> None:
        """Start a task, and show its progress until it ends; see `TaskRunner.start`.

        Parameters
        ----------
        text
            What is shown until the task yields its first progress.
        """
        if self._runner.busy:
            return

        def show(progress: Progress) -> None:
            self.setValue(progress)
            if on_progress is not None:
                on_progress(progress)

        begin(self)
        self.begin(text)
        self._runner.start(
            task,
            *args,
            on_done=on_done,
            on_progress=show,
            on_end=self.hide,
            again=again,
            elsewhere=elsewhere,
        )

    def begin(self, text: str) -> None:
        """Show that work has begun."""
        self._remaining = RemainingTime()
        self._stop.setEnabled(True)
        self._stop.setText(self._stop_text)
        self.setValue(Progress(0, 0, text))
        self.show()

    @property
    def is_working(self) -> bool:
        """Whether a task that was started here is under way, also while the panel is hidden."""
        return self._runner.busy and not self.isHidden()

    @property
    def text(self) -> str:
        """What is being done: "Model 1 of 3, about 5 min left"."""
        return self._label.text()

    def value(self) -> tuple[int, int]:
        """Return what the bar shows: done and total."""
        return self._bar.value(), self._bar.maximum()

    def setValue(self, progress: Progress) -> None:
        """Show how far the work is."""
        self._bar.setRange(0, progress.total)
        self._bar.setValue(progress.done)
        seconds = self._remaining.seconds(progress.done, progress.total)
        left = f", {in_words(seconds)} left" if seconds is not None else ""
        self._label.setText(f"{progress.text}{left}")

    def stop(self) -> None:
        """Ask the task to end early with what it has."""
        self._stop.setEnabled(False)
        self._stop.setText("Stopping…")
        self._runner.stop()
