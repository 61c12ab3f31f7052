"""Workers of a Dask cluster: one that runs, one on this computer, or jobs of a Slurm queue.

Only jobs and their results go through the scheduler. Images and features are read from a folder
that all workers see.
"""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from napari_attmil.core.cluster_settings import (
    ANY_PORT,
    ClusterSettings,
    read_cluster_settings,
    slurm_arguments,
    workers_a_job,
)
from napari_attmil.core.device import Device, choose_device
from napari_attmil.core.errors import Remedy, UserError, reason_in_words
from napari_attmil.core.workers import Workers, most_workers

LOCAL: Final = "local"
SLURM: Final = "slurm"
CONNECT_S: Final = 30
"""So long a scheduler may take to answer, and its first worker to be there."""
QUEUE_S: Final = 3600
"""So long the first job may wait in the queue of Slurm."""
END_S: Final = 60.0
"""So long jobs on a cluster may take to end that are asked to; a lost one never does."""
NOT_BEGUN: Final = {
    SLURM: f"No job has begun within {QUEUE_S // 60} minutes in the queue of Slurm; see "
    "`squeue --me` for the reason, ask for less with `attmil cluster init`, or try again when the "
    "queue is shorter.",
    LOCAL: f"No worker of this computer has begun within {CONNECT_S} seconds; close other "
    "programs, or give fewer --workers.",
}
"""What is told of workers that this program asks for itself."""


@dataclass(frozen=True)
class ClusterWorkers(Workers):
    """The workers of a Dask cluster.

    Attributes
    ----------
    client
        Connected to the scheduler.
    shared
        A folder that all of them see at the same path, and may write into.
    where
        What the scheduler is called.
    device
        The device of all workers; None for the one that a stage is told.
    """

    client: Any = None
    shared: Path = Path()
    where: str = ""
    device: Device | None = None
    ends_within_s: float | None = END_S

    @property
    def are_processes(self) -> bool:
        """Whether jobs are done outside of this process."""
        return True

    @property
    def are_of_this_computer(self) -> bool:
        """Whether what they take says how fast this computer is."""
        return False

    @property
    def are_there(self) -> bool:
        """Whether there is a worker at all."""
        return bool(self.client.scheduler_info()["workers"])

    def device_for(self, device: Device) -> Device:
        """Return the device that jobs compute on where this program computes on `device`."""
        return self.device or device

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a folder that the workers see too, for as long as the context lasts."""
        self.shared.mkdir(parents=True, exist_ok=True)
        prefix = ".attmil-work-"
        with tempfile.TemporaryDirectory(
            prefix=prefix, dir=self.shared, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)

    def executor(self, count: int) -> Executor:
        """Return an executor; the scheduler decides which worker does what."""
        executor: Executor = self.client.get_executor(pure=False)
        return executor

    def why_ended(self, error: BaseException) -> str:
        """Return why a worker has ended, "" if an error means something else.

        Raises
        ------
        UserError
            If the scheduler is lost.
        """
        distributed = _distributed()
        if isinstance(error, distributed.KilledWorker):
            return "Workers of the cluster have ended unexpectedly, perhaps for lack of memory"
        if isinstance(error, (CancelledError, distributed.comm.CommClosedError)):
            raise UserError(
                f"The scheduler at {self.where} was lost; what is finished is kept: run the same "
                "again when it is back, and it goes on from there.",
                Remedy.TRY_AGAIN,
            ) from error
        return ""


@contextlib.contextmanager
def open_cluster(
    where: str,
    shared: Path | str,
    workers: int | None = None,
    settings: ClusterSettings | None = None,
    tell: Callable[[str], None] = lambda _: None,
    device_name: str | None = None,
) -> Iterator[ClusterWorkers]:
    """Connect to a cluster, or start one that ends with the context.

    Parameters
    ----------
    where
        A scheduler's address, ``tcp://host:8786`` or ``tls://...`` (with the certificates of Dask's
        own settings); ``"local"`` for a cluster on this computer, ``"slurm"`` for jobs in a queue.
    shared
        A folder that this program and all workers see: the study, or what lies above its outputs.
    workers
        How many workers ``"local"`` starts; as many as cores and memory allow if None.
    settings
        Of the jobs in a queue; those of the settings file if None.
    tell
        Called with sentences for the user.
    device_name
        ``"auto"`` for the fastest device of the workers, if all have the same, else for their
        processors; otherwise they compute on the device that each stage is told.

    Raises
    ------
    UserError
        If there is no such scheduler, or its workers have other versions or do not see the folder.
    """
    distributed = _distributed()
    with contextlib.ExitStack() as stack:
        within_s = CONNECT_S
        address: Any = where
        if where == LOCAL:
            address = stack.enter_context(_local_cluster(workers or most_workers()))
        elif where == SLURM:
            settings = settings or read_cluster_settings()
            address, within_s = stack.enter_context(_slurm_cluster(settings)), QUEUE_S
            tell(f"{settings.jobs} jobs were handed to Slurm; waiting for the first to begin.")
        try:
            client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise UserError(
                f"No scheduler answers at {where}; give its address as tcp://host:8786, or start "
                "one with `dask scheduler`."
            ) from error
        stack.enter_context(client)
        count = _workers_there(client, where, within_s)
        shared = Path(shared).absolute()
        asked = settings.jobs * workers_a_job(settings) if where == SLURM and settings else count
        found = ClusterWorkers(max(count, asked), client=client, shared=shared, where=where)
        tell_versions(client, tell)
        check_folder(found)
        if device_name == "auto":
            found = replace(found, device=device_of_workers(client, tell))
        gpu = found.device if found.device and found.device.name != "cpu" else None
        on = f", on {gpu.description}" if gpu else ""
        tell(f"Working with {count} workers of the cluster {where}{on}.")
        yield found


def tell_versions(client: Any, tell: Callable[[str], None]) -> None:
    """Compare this program's versions with the workers'.

    Raises
    ------
    UserError
        If a worker has another version of this program or of Python.
    """
    mine, told = _versions(), set()
    for address, theirs in client.run(_versions_of_worker()).items():
        for package, version in mine.items():
            other = theirs.get(package) or "none"
            if other == version:
                continue
            sentence = f"{package} is {other} on worker {address}, but {version} here"
            if package in ("napari-attmil", "Python"):
                raise UserError(f"{sentence}; install the same version on both.")
            told.add(f"{sentence}: results may differ in the last digits.")
    for sentence in sorted(told):
        tell(sentence)


def _versions() -> Mapping[str, str]:
    versions: Mapping[str, str] = _versions_of_worker()()
    return versions


def _versions_of_worker() -> Callable[[], Any]:
    """Return a function that is sent as it is: the worker may lack this program."""

    def versions() -> dict[str, str | None]:
        import platform
        from importlib import metadata

        found: dict[str, str | None] = {
            "Python": ".".join(platform.python_version_tuple()[:2]),
        }
        for package in ("napari-attmil", "numpy", "torch"):
            try:
                found[package] = metadata.version(package).split("+")[0]
            except metadata.PackageNotFoundError:
                found[package] = None
        return found

    return versions


def check_folder(workers: ClusterWorkers) -> None:
    """Raise UserError if a worker does not see the folder that all must see and write into."""
    try:
        with workers.folder() as folder:
            sees = workers.client.run(_sees, str(folder))
    except OSError as error:
        raise UserError(
            f"{workers.shared} cannot be written into ({reason_in_words(error)}), but there the "
            "workers of a cluster get their work; copy the study to where you may write."
        ) from error
    blind = [address for address, is_seen in sees.items() if not is_seen]
    if blind:
        raise UserError(
            f"The worker {blind[0]} does not see the folder {workers.shared.absolute()}; put the "
            "study and its outputs on storage that all machines see at the same path."
        )


def device_of_workers(client: Any, tell: Callable[[str], None]) -> Device:
    """Return the fastest device of the workers if all have the same one, else a processor."""
    devices: list[Device] = list(client.run(choose_device).values())
    kinds = {(device.name, device.precision) for device in devices}
    if len(kinds) == 1:
        return devices[0]
    if any(name != "cpu" for name, _ in kinds):
        tell("Not all workers have the same kind of GPU, so all compute on their processors.")
    return Device("cpu", "float32", "processors")


def tell_current_folder(client: Any, tell: Callable[[str], None]) -> None:
    """Tell if a worker does not see the current folder: it could not read relative paths."""
    here = Path.cwd()
    blind = [address for address, is_seen in client.run(_sees, str(here)).items() if not is_seen]
    if blind:
        tell(f"The worker {blind[0]} does not see the current folder {here}; give full paths.")


def _sees(folder: str) -> bool:
    return Path(folder).is_dir()


def _workers_there(client: Any, where: str, within_s: float) -> int:
    """Wait for the first worker; return how many there are."""
    try:
        client.wait_for_workers(1, timeout=within_s)
    except TimeoutError as error:
        raise UserError(
            NOT_BEGUN.get(
                where,
                f"The scheduler at {where} has no worker; start some with `dask worker`, one "
                "thread each (--nthreads 1).",
            )
        ) from error
    return len(client.ncores())


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise UserError(
            "Clusters need the package distributed; install it with "
            '`pip install "napari-attmil[cluster]"`.'
        ) from error


def _local_cluster(workers: int) -> Any:
    return _distributed().LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=ANY_PORT
    )


def _slurm_cluster(settings: ClusterSettings) -> Any:
    try:
        jobqueue = importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise UserError(
            "Slurm needs the package dask-jobqueue; install it with "
            '`pip install "napari-attmil[cluster]"`.'
        ) from error
    cluster = jobqueue.SLURMCluster(**slurm_arguments(settings))
    cluster.scale(jobs=settings.jobs)
    return cluster
