"""A progress bar with words, the time that remains, and a button to stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_attmil.workflows import Progress


class RemainingTime:
    """Estimates how long a stage still takes, from how long it took so far.

    Parameters
    ----------
    clock
        Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started: tuple[int, int, float] | None = None

    def seconds(self, done: int, total: int) -> float | None:
        """Return the seconds that remain, None while nothing can be said."""
        now = self._clock()
        if self._started is None or self._started[0] != total or done < self._started[1]:
            self._started = (total, done, now)
        worked = done - self._started[1]
        if worked <= 0 or done >= total:
            return None
        return (now - self._started[2]) / worked * (total - done)


def in_words(seconds: float) -> str:
    """Return a time as a person says it: "about 20 s", "about 3 min"."""
    if seconds < 90:
        return f"about {max(5 * round(seconds / 5), 1)} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"


class ProgressRow(QWidget):
    """Shows `Progress`; hidden while nothing runs.

    Signals
    -------
    stop_clicked()
        The person wants the work to end.
    """

    stop_clicked = Signal()

    def __init__(self, stop_text: str, stop_tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar = QProgressBar()
        self._stop = QPushButton(stop_text)
        self._label = QLabel()
        self._remaining = RemainingTime()

        row = QHBoxLayout()
        row.addWidget(self._bar, 1)
        row.addWidget(self._stop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(row)
        layout.addWidget(self._label)

        self._stop.clicked.connect(self._on_stop)

        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(12)
        self._bar.setToolTip("How far the work is.")
        self._stop.setToolTip(stop_tip)
        self._stop_text = stop_text
        self._label.setProperty("hint", True)
        self._label.setWordWrap(True)
        self.hide()

    def begin(self, text: str) -> None:
        """Show that work has begun."""
        self._remaining = RemainingTime()
        self._stop.setEnabled(True)
        self._stop.setText(self._stop_text)
        self.setValue(Progress(0, 0, text))
        self.show()

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

    def _on_stop(self) -> None:
        self._stop.setEnabled(False)
        self._stop.setText("Stopping…")
        self.stop_clicked.emit()
