"""The list of images to review: picture, state in words and as a shape, boxes, doubts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from qtpy.QtGui import QColor, QKeyEvent, QPainter, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from napari_attmil.core import counted
from napari_attmil.images import Sample, name_in_study
from napari_attmil.session import QueueEntry, ReviewState
from napari_attmil.widgets.viewer import HEIGHT_PX, WIDTH_PX, ImagePictures, Place

ENTRY_ROLE = Qt.ItemDataRole.UserRole
TEXT_ROLES = (
    Qt.ItemDataRole.DisplayRole,
    Qt.ItemDataRole.ToolTipRole,
    Qt.ItemDataRole.AccessibleTextRole,
)


class QueueModel(QAbstractListModel):
    """The entries of the queue in the order in which they are shown.

    Parameters
    ----------
    pictures
        The pictures.
    """

    def __init__(self, pictures: ImagePictures, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures = pictures
        self._entries: list[QueueEntry] = []
        self._rows: dict[Place, int] = {}
        self._samples: dict[str, Sample] = {}
        pictures.ready.connect(self._on_picture)

    @property
    def entries(self) -> Sequence[QueueEntry]:
        """What is shown, in its order."""
        return self._entries

    @property
    def samples(self) -> Sequence[Sample]:
        """The samples that the images belong to."""
        return tuple(self._samples.values())

    def set_entries(self, entries: Sequence[QueueEntry], samples: Sequence[Sample]) -> None:
        """Show other images, or the same in another order."""
        self.beginResetModel()
        self._entries = list(entries)
        self._rows = {entry.place: row for row, entry in enumerate(entries)}
        self._samples = {sample.name: sample for sample in samples}
        self.endResetModel()

    def update_entries(self, entries: Sequence[QueueEntry]) -> None:
        """Show new values of images without moving them."""
        for entry in entries:
            row = self._rows.get(entry.place)
            if row is not None and self._entries[row] != entry:
                self._entries[row] = entry
                self.dataChanged.emit(self.index(row), self.index(row))

    def row_of(self, place: Place | None) -> int:
        """Return the row of an image, -1 if it is not shown."""
        return -1 if place is None else self._rows.get(place, -1)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many images are shown."""
        return 0 if parent is not None and parent.isValid() else len(self._entries)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return picture, entry or text of an image."""
        if not index.isValid():
            return None
        entry = self._entries[index.row()]
        if role == Qt.ItemDataRole.DecorationRole:
            return self._pictures.picture(self._samples[entry.sample], entry.image_index)
        if role == ENTRY_ROLE:
            return entry
        return describe(entry) if role in TEXT_ROLES else None

    def _on_picture(self, place: Place) -> None:
        row = self.row_of(place)
        if row >= 0:
            self.dataChanged.emit(self.index(row), self.index(row))


class QueueDelegate(QStyledItemDelegate):
    """Draws one image of the queue."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Return the height of a picture with a margin."""
        return QSize(180, HEIGHT_PX + 6)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw picture, names, and state."""
        entry = index.data(ENTRY_ROLE)
        palette, area = option.palette, option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, palette.color(palette.ColorRole.Highlight))
        text = palette.color(palette.ColorRole.Text)
        place = QRect(area.left() + 3, area.top() + 3, WIDTH_PX, HEIGHT_PX)
        self._draw_picture(painter, place, index.data(Qt.ItemDataRole.DecorationRole), text)
        self._draw_lines(painter, area.adjusted(WIDTH_PX + 12, 4, -6, -4), entry, text)
        painter.restore()

    def _draw_picture(
        self, painter: QPainter, place: QRect, picture: QPixmap | None, text: QColor
    ) -> None:
        if picture is not None:
            painter.drawPixmap(place.topLeft(), picture)
        else:
            painter.setPen(QPen(text, 0.5))
            painter.drawRect(place)

    def _draw_lines(self, painter: QPainter, area: QRect, entry: QueueEntry, text: QColor) -> None:
        metrics = painter.fontMetrics()
        height = metrics.height()
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.setPen(text)
        first = QRect(area.left(), area.top(), area.width(), height)
        names = name_in_study(entry.sample, entry.title)
        shown = metrics.elidedText(names, Qt.TextElideMode.ElideMiddle, area.width())
        painter.drawText(first, middle, shown)
        second = QRect(area.left(), area.bottom() - height, area.width(), height)
        side = height - 5
        mark = QRectF(second.left(), second.center().y() - side / 2 + 1, side, side)
        draw_mark(painter, mark, entry.state, text)
        painter.setPen(text)
        painter.drawText(second.adjusted(height + 2, 0, 0, 0), middle, details(entry))


class QueueView(QListView):
    """The list; the arrow keys move in it, Return shows an image.

    Signals
    -------
    place_chosen(sample, image_index)
        The user has chosen an image.
    """

    place_chosen = Signal(str, int)

    def __init__(self, model: QueueModel) -> None:
        super().__init__()
        self._model = model
        self.setModel(model)
        self.setItemDelegate(QueueDelegate(self))
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Images to review")
        self.setToolTip("Click an image to show it.")
        self.clicked.connect(self._choose)
        self.activated.connect(self._choose)

    def show_place(self, place: Place | None) -> None:
        """Mark the image that the viewer shows."""
        row = self._model.row_of(place)
        if row >= 0 and row != self.currentIndex().row():
            self.setCurrentIndex(self._model.index(row))
            self.scrollTo(self._model.index(row), QListView.ScrollHint.EnsureVisible)

    def dataChanged(self, first: QModelIndex, last: QModelIndex, roles: Sequence[int] = ()) -> None:
        """Redraw only what is in sight; Qt would lay out every row, though all have one height."""
        self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave letters to the panel's keys instead of searching names with them."""
        if event.text().isprintable() and event.text().strip():
            event.ignore()
        else:
            super().keyPressEvent(event)

    def _choose(self, index: QModelIndex) -> None:
        entry = index.data(ENTRY_ROLE)
        self.place_chosen.emit(entry.sample, entry.image_index)


def details(entry: QueueEntry) -> str:
    """Return state, boxes and doubt in words: "predicted, 41 boxes, 3 doubtful"."""
    parts: list[str] = [entry.state]
    if entry.state != ReviewState.NEW or entry.box_count:
        parts.append(counted(entry.box_count, "box", "boxes"))
    if entry.doubtful_count:
        parts.append(f"{entry.doubtful_count} doubtful")
    return ", ".join(parts)


def describe(entry: QueueEntry) -> str:
    """Return all of an entry in one line, for tooltips and screen readers."""
    return f"{name_in_study(entry.sample, entry.title)}: {details(entry)}"


def draw_mark(painter: QPainter, area: QRectF, state: ReviewState, text: QColor) -> None:
    """Draw a state as a shape: empty ring, dotted ring, half-filled ring, tick."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    style = Qt.PenStyle.DotLine if state == ReviewState.PREDICTED else Qt.PenStyle.SolidLine
    painter.setPen(QPen(text, 1.5, style))
    if state == ReviewState.REVIEWED:
        x, y, unit = area.center().x(), area.center().y(), area.width() / 8
        points = [(x - 3 * unit, y), (x - unit, y + 3 * unit), (x + 4 * unit, y - 3 * unit)]
        painter.setPen(QPen(text, 2.4))
        painter.drawPolyline(QPolygonF([QPointF(*point) for point in points]))
        return
    painter.drawEllipse(area)
    if state == ReviewState.IN_WORK:
        painter.setBrush(text)
        painter.drawPie(area, 90 * 16, 180 * 16)
