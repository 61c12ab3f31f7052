"""Devices, their precision, and recovery when their memory is full."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from napari_attmil.core.errors import Remedy, UserError

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Device:
    """One computing device and the precision in which its convolutions run.

    Attributes
    ----------
    name
        As torch names it: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    precision
        Type of convolutions and matrix products under `autocast`.
    description
        Its name for people, for instance "NVIDIA H200".
    """

    name: str
    precision: Precision
    description: str

    def torch(self) -> torch.device:
        """Return the torch device."""
        import torch

        return torch.device(self.name)

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return a context in which convolutions run in this device's precision."""
        import torch

        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.torch().type, dtype=getattr(torch, self.precision))

    def for_training(self) -> Device:
        """Return the same device in a precision in which gradients do not underflow.

        They do in float16, which is used on GPUs before Ampere; float32 is slower, but correct.
        """
        return replace(self, precision="float32") if self.precision == "float16" else self


def available_devices() -> list[Device]:
    """Return the devices of this machine, fastest first; the CPU is always the last."""
    import torch

    devices = [
        Device(
            f"cuda:{index}",
            "bfloat16" if torch.cuda.get_device_capability(index) >= (8, 0) else "float16",
            torch.cuda.get_device_name(index),
        )
        for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    ]
    if torch.backends.mps.is_available():
        devices.append(Device("mps", "float32", "Apple GPU"))
    return [*devices, _cpu()]


def choose_device(name: str = "auto") -> Device:
    """Return the device called `name`, or the fastest one of this machine for ``"auto"``.

    Raises
    ------
    UserError
        If this machine has no such device.
    """
    devices = available_devices()
    if name == "auto":
        return devices[0]
    for device in devices:
        if name in (device.name, device.name.split(":")[0]):
            return device
    names = ", ".join(device.name for device in devices)
    raise UserError(f"This machine has no device {name!r}; choose auto or one of {names}.")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` means that a device's memory is full."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    told = ("out of memory", "can't allocate memory")  # a GPU, and the processor
    return isinstance(error, RuntimeError) and any(t in str(error).lower() for t in told)


def in_batches(
    items: Sequence[Item],
    batch_size: int,
    compute: Callable[[Sequence[Item]], Sequence[Result]],
) -> Iterator[Result]:
    """Yield one result per item, computed in batches that shrink when memory is full.

    Parameters
    ----------
    items
        The items; sliced, so that a lazy sequence is read one batch at a time.
    batch_size
        Size of the first batch; halved permanently whenever the device's memory is full.
    compute
        Returns one result per item of a batch.

    Raises
    ------
    UserError
        If a single item does not fit.
    """
    start = 0
    while start < len(items):
        batch = items[start : start + batch_size]
        results = _attempt(compute, batch)
        if results is not None:
            yield from results
            start += len(batch)
        elif batch_size == 1:
            raise UserError(
                "The device's memory is too small for one image; close other programs that "
                "use it, or choose the device cpu.",
                Remedy.USE_CPU,
            ) from MemoryError()  # by which it is told from an item that cannot be read
        else:
            batch_size = max(1, min(batch_size, len(batch)) // 2)


def _attempt(
    compute: Callable[[Sequence[Item]], Sequence[Result]], batch: Sequence[Item]
) -> Sequence[Result] | None:
    """Return the results of a batch, or None if it did not fit into memory."""
    try:
        return compute(batch)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Out of the except block: its traceback would keep the batch's tensors alive.
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _cpu() -> Device:
    import torch

    # Emulated bfloat16 is slower than float32, so it is used only if the processor supports it.
    mkldnn = getattr(torch.ops, "mkldnn", None)
    has_bfloat16 = torch.backends.mkldnn.is_available() and bool(
        mkldnn is not None and mkldnn._is_mkldnn_bf16_supported()
    )
    cores = os.cpu_count() or 1
    return Device(
        "cpu",
        "bfloat16" if has_bfloat16 else "float32",
        f"processor, {cores} cores ({platform.machine()})",
    )
