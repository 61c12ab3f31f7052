"""Fine-tuning of the detector on a user's own images: about ten reviewed ones, a few minutes.

The model file holds the best trained weights so far at any time, also where they are no better than
those before: whoever trained decides what is used. Nothing is lost if the generator is stopped or
the process killed. The state of the training is written to the study's folder; a later
call with the same images and settings resumes from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from napari_attmil.cells.boxes import median_diameter_px
from napari_attmil.cells.detection import (
    DetectionScore,
    Detector,
    ReadAhead,
    SavedNetwork,
    load_network,
    save_network,
)
from napari_attmil.cells.finetuning.augmentation import LabelledImage, random_crop
from napari_attmil.cells.finetuning.gate import (
    WEIGHTS_IN_WORDS,
    LookOutcome,
    TestedImage,
    is_better,
    outcomes,
    weighted_precision,
)
from napari_attmil.cells.finetuning.holdout import HoldOut, hold_out_in_words
from napari_attmil.cells.finetuning.learner import Learner, learning_rate
from napari_attmil.cells.finetuning.looks import Looks
from napari_attmil.cells.finetuning.study_detectors import CANDIDATE, keep_candidate
from napari_attmil.cells.settings import DetectionSettings, FinetuneSettings
from napari_attmil.core import (
    Checkpoint,
    Device,
    Remedy,
    UserError,
    choose_device,
    counted,
    load_checkpoint,
    save_checkpoint,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_attmil.core import Float32Array

TEST_EVERY_STEPS: Final = 20
"""Interval at which the held-out images are scored and the state is saved."""
WARM_UP_STEPS: Final = 10
AVERAGE_DECAY: Final = 0.95
CHANGED_LOOKS: Final = 0.4
"""Share of crops with another look than their own: enough not to forget other looks."""
STATE_NAME: Final = "finetuning.safetensors"
ANY_SCORE: Final = 0.05


@dataclass(frozen=True)
class FinetuneProgress:
    """The progress of a fine-tuning.

    Attributes
    ----------
    done, total
        Steps; fewer than `total` are taken if it ends early.
    loss
        Sum of the detector's four losses in this step; NaN before the first.
    score
        On the held-out images, if they were scored after this step.
    before, best
        That score before the first step, and the best since; None without held-out images.
    written
        Whether the model file holds fine-tuned weights.
    note
        A message for the user, given once.
    looks
        What became of the cells of the held-out images with the best weights, by look.
    """

    done: int
    total: int
    loss: float
    score: DetectionScore | None
    before: DetectionScore | None
    best: DetectionScore | None
    written: bool
    note: str = ""
    looks: tuple[LookOutcome, ...] = ()

    @property
    def is_better(self) -> bool:
        """Whether the best weights are better than those before on the held-out images."""
        if self.before is None or self.best is None:
            return False
        return is_better(self.before, self.best)


def finetune(
    images: Sequence[LabelledImage],
    settings: FinetuneSettings,
    out: Path,
    device: Device | None = None,
    weights: Path | None = None,
    project: Path | None = None,
) -> Iterator[FinetuneProgress]:
    """Fit a detector to reviewed images, step by step.

    Parameters
    ----------
    images
        Reviewed images with unique names; those without cells are used too. With four images or
        more, some are held out (see `HoldOut`): the training ends when the score on those no longer
        improves, and the result is the weights with the best score.
    settings
        Length and learning rate.
    out
        Model file, written whenever the score is the best so far; whether that is better than the
        detector before is told. Without held-out images it is written at regular intervals.
    device
        Where to compute; the fastest device of this machine if None.
    weights
        Model file to start from; the shipped one if None.
    project
        Folder for the list of held-out images and for the state to resume from.

    Yields
    ------
    FinetuneProgress
        Before the first step, and after each.

    Raises
    ------
    UserError
        If no image has a cell, two have one name, or a file cannot be read or written.
    """
    images, look_of = _checked(images), Looks.of(images).of_image
    corrections = {image.name: image.corrections for image in images}
    hold_out = HoldOut.read(project).extended(corrections, look_of)
    held_out = hold_out.of(corrections)
    hold_out.with_learnt(corrections.keys() - held_out).write(project)
    learnt = [image for image in images if image.name not in held_out]
    measured = [image for image in images if image.name in held_out]
    if not any(len(image.xyxy) for image in learnt):
        raise UserError(
            f"Of {len(images)} reviewed images those with cells are all held out to test with; "
            "review another one, or hold out fewer.",
            Remedy.REVIEW_IMAGES,
        )
    training = _Finetuning(
        learnt,
        measured if any(len(image.xyxy) for image in measured) else [],
        look_of,
        hold_out.learnt,
        settings,
        out,
        load_network(weights),
        device or choose_device(),
        None if project is None else project / STATE_NAME,
    )
    yield from training.steps()


@dataclass(eq=False)
class _Finetuning:
    """One fine-tuning; see `finetune`."""

    images: Sequence[LabelledImage]
    held_out: Sequence[LabelledImage]
    look_of: Mapping[str, str]
    learnt_before: frozenset[str]
    settings: FinetuneSettings
    out: Path
    parent: SavedNetwork
    device: Device
    state_path: Path | None

    def __post_init__(self) -> None:
        self._learner = Learner.of(self.parent.network, self.device, frozen_statistics=True)
        self._data_digest = _digest_of([*self.images, *self.held_out])
        self._found_before: list[TestedImage] = []
        self._before: DetectionScore | None = None
        self._best: DetectionScore | None = None
        self._looks: tuple[LookOutcome, ...] = ()
        self._best_step, self._elapsed_s = 0, 0.0
        self._lost_state = False

    def steps(self) -> Iterator[FinetuneProgress]:
        """Train to the end; see `finetune`."""
        if self.held_out:
            self._found_before = self._test()
            self._before = weighted_precision(self._found_before)
        self._resume()
        yield self._progress(float("nan"), self._before, self._opening_note())
        with ReadAhead(self._crops, self.settings.steps) as crops:
            while not self._finished():
                started = time.monotonic()
                step = self._learner.step
                loss = self._step(crops[step : step + 1][0])
                self._elapsed_s += time.monotonic() - started
                due = self._learner.step % TEST_EVERY_STEPS == 0 or self._finished()
                score = self._keep_if_best() if due else None
                if due:
                    self._save_state()
                yield self._progress(loss, score, self._closing_note() if self._finished() else "")
        if self.state_path is not None:
            self.state_path.unlink(missing_ok=True)

    def _finished(self) -> bool:
        late = self._elapsed_s >= 60 * self.settings.minutes
        waited = self._learner.step - self._best_step
        hopeless = bool(self.held_out) and waited >= self.settings.patience * TEST_EVERY_STEPS
        return late or hopeless or self._learner.step >= self.settings.steps

    def _step(self, crops: Sequence[tuple[Float32Array, Float32Array]]) -> float:
        settings, learner = self.settings, self._learner
        share = max(learner.step / settings.steps, self._elapsed_s / (60 * settings.minutes))
        rate = learning_rate(settings.learning_rate, WARM_UP_STEPS, learner.step, share)
        with _seeded(settings.seed + learner.step, learner.device):
            return sum(learner.learn(crops, rate, AVERAGE_DECAY).values())

    def _crops(self, step: int) -> list[tuple[Float32Array, Float32Array]]:
        """Draw the crops of a step; they depend on its number and the seed only."""
        rng = np.random.default_rng([self.settings.seed, step])
        chosen = rng.integers(len(self.images), size=self.settings.crops_per_step)
        size = self.parent.architecture.working_diameter_px
        return [random_crop(self.images[place], size, rng, CHANGED_LOOKS) for place in chosen]

    def _keep_if_best(self) -> DetectionScore | None:
        """Score the averaged weights; write them if none were better since the first step."""
        found = self._test()
        score = weighted_precision(found) if found else None
        if score is None or self._rank(score) > self._rank(self._best):
            if self._best_step == 0 and self.out.name == CANDIDATE:
                keep_candidate(self.out.parent)
            self._best, self._best_step = score, self._learner.step
            self._looks = tuple(outcomes(self._found_before, found, self.look_of))
            provenance = self._provenance()
            save_network(self.out, self._learner.average, self.parent.architecture, provenance)
        return score

    def _rank(self, score: DetectionScore | None) -> tuple[bool, float]:
        """Return what is greater for the better of two scores of this training."""
        if score is None or self._before is None:
            return False, -1.0
        return is_better(self._before, score), score.ap

    def _test(self) -> list[TestedImage]:
        """Return what the averaged weights find in the held-out images, cell sizes given."""
        learner, tested = self._learner, []
        detector = Detector(learner.average, self.parent.architecture, learner.device, digest="")
        for image in self.held_out:
            settings = DetectionSettings(min_score=ANY_SCORE, cell_diameter_px=image.diameter_px)
            (found,) = detector.detect_frames([image.grey], settings)
            tested.append(TestedImage(image, found.xyxy, found.score))
        return tested

    def _provenance(self) -> dict[str, Any]:
        return {
            "parent": self.parent.digest,
            "parent_data": str(self.parent.provenance.get("data", "")),
            "data": f"fine-tuned on {counted(len(self.images), 'reviewed image')}",
            "data_digest": self._data_digest,
            "held_out": sorted(image.name for image in self.held_out),
            "settings": self.settings.model_dump(),
            "steps": self._learner.step,
            "before": self._before and asdict(self._before),
            "after": self._best and asdict(self._best),
            "looks": [asdict(look) for look in self._looks],
        }

    def _progress(self, loss: float, score: DetectionScore | None, note: str) -> FinetuneProgress:
        done, total = self._learner.step, self.settings.steps
        written = self._best_step > 0
        return FinetuneProgress(
            done, total, loss, score, self._before, self._best, written, note, self._looks
        )

    def _opening_note(self) -> str:
        if self._learner.step:
            return f"Going on after step {self._learner.step}."
        if self._lost_state:
            return f"What an earlier training kept in {self.state_path} is damaged; it begins anew."
        if not self.held_out:
            return (
                "No image with cells is held out, so nothing tells how good the result is; that "
                "takes four reviewed images or more."
            )
        corrections = {i.name: i.corrections for i in (*self.images, *self.held_out)}
        names = [image.name for image in self.held_out]
        sentences = hold_out_in_words(corrections, self.look_of, names, self.learnt_before)
        return " ".join([*sentences, f"Held out: {', '.join(names)}.", WEIGHTS_IN_WORDS])

    def _closing_note(self) -> str:
        if self._before is None or self._best is None:
            return ""
        went = (
            f"Precision on held-out images went from {self._before.ap:.3f} to {self._best.ap:.3f} "
            f"(AP50 {self._before.ap50:.3f} to {self._best.ap50:.3f})"
        )
        if is_better(self._before, self._best):
            return f"{went}."
        return (
            f"{went}, which is no clear gain. The new detector is kept but not in use; review more "
            "images like those on which cells are missed, and train again."
        )

    def _belongs_to(self) -> dict[str, Any]:
        """Return what must be the same for a saved state to be resumed."""
        return {
            "data": self._data_digest,
            "parent": self.parent.digest,
            "settings": self.settings.model_dump(),
            "out": str(self.out.absolute()),
        }

    def _save_state(self) -> None:
        if self.state_path is None:
            return
        progress = {
            "best": self._best and asdict(self._best),
            "looks": [asdict(look) for look in self._looks],
            "step": self._learner.step,
            "best_step": self._best_step,
            "elapsed_s": self._elapsed_s,
        }
        state = Checkpoint("finetuning", self._learner.tensors(), self._belongs_to() | progress)
        save_checkpoint(self.state_path, state)

    def _resume(self) -> None:
        if self.state_path is None or not self.state_path.exists():
            return
        try:
            state = load_checkpoint(self.state_path, "finetuning")
        except UserError:
            self._lost_state = True
            return
        saved = state.settings
        if any(saved.get(name) != value for name, value in self._belongs_to().items()):
            return  # It belongs to other images or settings.
        self._learner.restore(state.weights, saved["step"])
        self._best = saved["best"] and DetectionScore(**saved["best"])
        self._looks = tuple(LookOutcome(**look) for look in saved["looks"])
        self._best_step, self._elapsed_s = saved["best_step"], saved["elapsed_s"]


def _checked(images: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Return the images with the size of their cells; that of the others if they have none."""
    names = [image.name for image in images]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"Two images are named {twice[0]!r}; give each a name of its own.")
    sizes = [median_diameter_px(image.xyxy) for image in images if len(image.xyxy)]
    if not sizes:
        raise UserError(
            "No reviewed image has a cell; review one that has some.", Remedy.REVIEW_IMAGES
        )
    typical = float(np.median(sizes))
    return [
        replace(image, diameter_px=median_diameter_px(image.xyxy) if len(image.xyxy) else typical)
        for image in images
    ]


def _digest_of(images: Sequence[LabelledImage]) -> str:
    blake = hashlib.blake2b(digest_size=16)
    for image in sorted(images, key=lambda image: image.name):
        blake.update(repr((image.name, image.grey.shape, image.grey.dtype.str)).encode())
        blake.update(np.ascontiguousarray(image.grey).tobytes())
        blake.update(np.ascontiguousarray(image.xyxy).tobytes())
        blake.update(b"" if image.touched is None else image.touched.tobytes())
        blake.update(np.ascontiguousarray(image.rejected).tobytes())
    return blake.hexdigest()


@contextlib.contextmanager
def _seeded(seed: int, device: Device) -> Iterator[None]:
    """Seed torch's random numbers, and restore their state afterwards."""
    place = device.torch()
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
