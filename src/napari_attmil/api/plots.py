"""Plots for notebooks and papers: each returns the matplotlib axes that it drew into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.core import UserError
from napari_attmil.images import Sample, read_images

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from napari_attmil.bags import Classifier, Prediction
    from napari_attmil.cells import Boxes
    from napari_attmil.core import Progress

Images = Sample | Sequence[npt.NDArray[Any]] | npt.NDArray[Any]
_LEGEND: Final = {"model": "models", "calibration": "models for calibration"}
_PLAIN: Final = (1.0, 0.85, 0.1, 1.0)
"""Colour of boxes without attention."""


def plot_cells(
    images: Images,
    cells: Boxes | Prediction,
    image_index: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw an image with its boxes: white for the highest attention, dark blue for the lowest.

    Colours follow the rank of the attention among all cells of the sample; a colour bar tells the
    values.

    Parameters
    ----------
    images
        A sample, its images, or one image of shape (Y, X) or (Y, X, 3).
    cells
        Boxes, all in one colour; or a prediction, whose boxes are coloured by attention.
    image_index
        Which image of the sample.
    ax
        Axes to draw into; new ones if None.

    Examples
    --------
    >>> image = attmil.read_images(attmil.open_cohort("study")[0])[0]
    >>> boxes = attmil.Detector.load().detect(image)
    >>> axes = attmil.plot_cells(image, boxes)
    >>> axes.figure.savefig("cells.png")
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    from napari_attmil.cells import Boxes
    from napari_attmil.images import to_uint8

    boxes, colours = _coloured(cells)
    ax = ax or _new_axes()
    image = _image(images, image_index)
    ax.imshow(to_uint8(image, image), cmap="gray", interpolation="none")
    here = boxes.image_index == image_index
    # A pixel's middle has whole coordinates in matplotlib, its left edge in a box.
    corners = boxes.xyxy[here] - 0.5
    patches = [Rectangle((x, y), right - x, low - y) for x, y, right, low in corners.tolist()]
    drawn = PatchCollection(patches, facecolor="none", edgecolor=colours[here], linewidth=1.5)
    ax.add_collection(drawn)
    ax.set_axis_off()
    if not isinstance(cells, Boxes):
        _add_attention_bar(ax, cells.attention)
    return ax


def plot_losses(steps: Sequence[Progress], ax: Axes | None = None) -> Axes:
    """Draw the loss of every pass of a training, a line a model.

    Parameters
    ----------
    steps
        What `train` gave to `on_progress`: pass it the `append` of a list.
    ax
        Axes to draw into; new ones if None.

    Raises
    ------
    UserError
        If there is no pass of a training among the steps.

    Examples
    --------
    >>> steps = []
    >>> one, short = attmil.ensemble_preset("paper"), attmil.mil_preset("default", epochs=2)
    >>> _ = attmil.train("study", "one.safetensors", short, one, on_progress=steps.append)
    >>> attmil.plot_losses(steps).get_xlabel()
    'Pass over the samples'
    """
    from napari_attmil.bags.training import EnsembleProgress

    lines: dict[tuple[str, int], list[float]] = {}
    for step in steps:
        training = step.detail
        if isinstance(training, EnsembleProgress):
            key = (training.stage, training.training)
            lines.setdefault(key, []).append(training.epoch.loss)
    if not lines:
        raise UserError(
            "None of these steps is a pass of a training; give `train` a list's append as "
            "`on_progress`, and this list here."
        )
    ax = ax or _new_axes()
    stages = list(dict.fromkeys(stage for stage, _ in lines))
    for (stage, number), losses in lines.items():
        label = _LEGEND.get(stage, stage) if number == 1 else None
        passes = range(1, len(losses) + 1)
        ax.plot(passes, losses, color=f"C{stages.index(stage)}", alpha=0.6, label=label)
    ax.set_xlabel("Pass over the samples")
    ax.set_ylabel("Loss")
    ax.legend()
    return ax


def plot_confusion(
    result: Classifier | Mapping[str, Any], method: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw which classes were taken for which, by patients or samples never trained on.

    Parameters
    ----------
    result
        A calibrated classifier, for its held-out patients; or the report that `evaluate` returns.
    method
        Of a report: which of its methods; its main one if None.
    ax
        Axes to draw into; new ones if None.

    Raises
    ------
    UserError
        If the classifier has no held-out patients, or the report no such method.

    Examples
    --------
    >>> axes = attmil.plot_confusion(attmil.Classifier.load("model.safetensors"))
    >>> axes.get_title()
    'Held-out patients'
    """
    if isinstance(result, Mapping):
        classes, counts, title = _of_report(result, method)
    else:
        classes, counts, title = _of_classifier(result)
    ax = ax or _new_axes()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        ink = "white" if shares[row, column] > 0.5 else "black"
        ax.text(column, row, f"{count:.3g}", ha="center", va="center", color=ink)
    places = range(len(classes))
    ax.set_xticks(places, classes, rotation=45, ha="right")
    ax.set_yticks(places, classes)
    ax.set_xlabel("Taken for")
    ax.set_ylabel("Class")
    ax.set_title(title)
    return ax


def _coloured(cells: Boxes | Prediction) -> tuple[Boxes, npt.NDArray[np.float64]]:
    """Return boxes and their (n, 4) colours."""
    from napari_attmil.cells import Boxes
    from napari_attmil.explore import attention_colours

    if isinstance(cells, Boxes):
        return cells, np.tile(_PLAIN, (len(cells), 1))
    if cells.boxes is None:
        raise UserError(
            f"The prediction of {cells.sample!r} has no boxes, as its bag had none; classify the "
            "sample instead."
        )
    return cells.boxes, np.asarray(attention_colours(cells.attention))


def _add_attention_bar(ax: Axes, attention: npt.NDArray[Any]) -> None:
    """Draw beside an image which colour is which attention."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap

    from napari_attmil.explore import Colouring, colours_of_parts

    colouring = Colouring()
    ticks = colouring.spread(attention).distribution.ticks
    scale = ScalarMappable(cmap=ListedColormap(colours_of_parts(colouring.colour_map).tolist()))
    scale.set_clim(0, 1)
    bar = ax.figure.colorbar(scale, ax=ax, shrink=0.6, label="Attention, coloured by rank")
    bar.set_ticks(np.linspace(0, 1, len(ticks)).tolist(), labels=ticks)


def _image(images: Images, image_index: int) -> npt.NDArray[Any]:
    several = read_images(images) if isinstance(images, Sample) else images
    shape = np.shape(several) if isinstance(several, np.ndarray) else ()
    is_one = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))
    return np.asarray(several if is_one else several[image_index])


def _of_report(
    report: Mapping[str, Any], method: str | None
) -> tuple[list[str], npt.NDArray[np.float64], str]:
    name, methods = method or report["main"], report["methods"]
    if name not in methods:
        raise UserError(f"The report has no method {name!r}; choose one of {', '.join(methods)}.")
    classes = list(report["cohort"]["classes"])
    return classes, np.asarray(methods[name]["confusion"], dtype=float), methods[name]["title"]


def _of_classifier(classifier: Classifier) -> tuple[list[str], npt.NDArray[np.float64], str]:
    if classifier.held_out is None:
        raise UserError(
            "No patient was held out when this classifier was trained, so there is nothing to "
            "count; train it with calibration, or use the report of `evaluate`."
        )
    counts = classifier.held_out.confusion().astype(np.float64)
    return list(classifier.classes), counts, "Held-out patients"


def _new_axes() -> Axes:
    from matplotlib import pyplot

    return pyplot.figure(layout="constrained").add_subplot()
