"""An evaluation on a real Dask scheduler with two worker processes on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_attmil.bags.settings import MILSettings
from napari_attmil.core.clusters import ClusterWorkers, open_cluster
from napari_attmil.core.errors import UserError
from napari_attmil.core.progress import StageRun, finished
from napari_attmil.evaluation.cross_validation import Evaluation, cross_validate
from napari_attmil.evaluation.outcome import Outcome
from napari_attmil.evaluation.settings import EvaluationSettings

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.core.device import Device

pytest.importorskip("distributed", reason="needs the extra [cluster]")

PLAN = EvaluationSettings(folds=3, runs=1, methods=("sic", "mil-att-sic"), ensemble=False)


@pytest.fixture(scope="module")
def settings() -> MILSettings:
    return MILSettings(
        embedding="profile",
        components=0,
        exclusion=0,
        embedding_size=16,
        attention_size=8,
        epochs=40,
    )


@pytest.fixture(scope="module")
def serial(planted_bags: list[Bag], settings: MILSettings, cpu: Device) -> Evaluation:
    return finished(cross_validate(planted_bags, settings, PLAN, cpu))


def assert_same(one: Evaluation, other: Evaluation) -> None:
    names = [field.name for field in fields(Outcome) if "seconds" not in field.name]
    assert list(one.outcomes) == list(other.outcomes)
    for row, outcome in one.outcomes.items():
        for name in names:
            np.testing.assert_array_equal(
                getattr(outcome, name), getattr(other.outcomes[row], name)
            )


@pytest.mark.timeout(600)
def test_a_worker_that_is_killed_changes_nothing(
    planted_bags: list[Bag],
    settings: MILSettings,
    cpu: Device,
    serial: Evaluation,
    tmp_path: Path,
) -> None:
    told: list[str] = []
    with open_cluster("local", tmp_path / "shared", 2, tell=told.append) as workers:
        assert told == ["Working with 2 workers of the cluster local."]
        inputs = (planted_bags, settings, PLAN, cpu, None, tmp_path / "trials", None, workers)
        run, killed = StageRun(cross_validate(*inputs)), 0
        for _ in run:
            if not killed and len(list((tmp_path / "trials").glob("*.npz"))) >= 1:
                _, killed = sorted(workers.client.run(os.getpid).items())[0]
                os.kill(killed, signal.SIGKILL)
        assert killed
        assert_same(serial, run.result)
        assert len(list((tmp_path / "trials").glob("*.npz"))) == 6
        assert list((tmp_path / "shared").iterdir()) == []  # what was handed over is gone


@contextmanager
def own_scheduler(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a scheduler and a worker; give the scheduler's address and process."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)

    def start(program: str, *options: str) -> subprocess.Popen[bytes]:
        module, where = f"distributed.cli.{program}", ("--scheduler-file", str(file))
        return subprocess.Popen(
            [sys.executable, "-m", module, *where, *options, "--no-dashboard"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    scheduler = start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
    worker = start("dask_worker", "--nthreads", "1", "--no-nanny", "--death-timeout", "120")
    try:
        end = time.monotonic() + 120
        while not file.exists():
            assert time.monotonic() < end and scheduler.poll() is None, "no scheduler"
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"], scheduler
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()


@pytest.mark.timeout(600)
def test_a_lost_scheduler_is_told_and_a_rerun_goes_on(
    planted_bags: list[Bag],
    settings: MILSettings,
    cpu: Device,
    serial: Evaluation,
    tmp_path: Path,
) -> None:
    trials = tmp_path / "trials"

    def evaluation(workers: ClusterWorkers) -> StageRun:  # type: ignore[type-arg]
        inputs = (planted_bags, settings, PLAN, cpu, None, trials, None, workers)
        return StageRun(cross_validate(*inputs))

    with (
        own_scheduler(tmp_path) as (address, scheduler),
        pytest.raises(UserError) as told,
        open_cluster(address, tmp_path / "shared") as workers,
    ):
        for _ in evaluation(workers):
            if len(list(trials.glob("*.npz"))) >= 2:
                scheduler.kill()
    assert f"The scheduler at {address} was lost; what is finished is kept" in str(told.value)
    kept = {file.name: file.stat().st_mtime_ns for file in trials.glob("*.npz")}
    assert 2 <= len(kept) < 6
    with own_scheduler(tmp_path) as (address, _), open_cluster(address, tmp_path) as workers:
        run = evaluation(workers)
        notes = [step.note for step in run if step.note]
    assert notes[0].startswith(f"{len(kept)} of 6 trainings were already done")
    assert_same(serial, run.result)
    assert {name: (trials / name).stat().st_mtime_ns for name in kept} == kept


def test_an_evaluation_that_is_left_lets_the_cluster_go(
    planted_bags: list[Bag], settings: MILSettings, cpu: Device, tmp_path: Path
) -> None:
    with open_cluster("local", tmp_path / "shared", 1) as workers:
        long = settings.replace(epochs=5000)
        steps = cross_validate(planted_bags, long, PLAN, cpu, workers=workers)
        with closing(steps):
            next(steps)
        assert workers.client.processing() == {next(iter(workers.client.ncores())): ()}
