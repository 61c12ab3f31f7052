"""What is checked and told before work on a cluster begins; see also `evaluation`."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import jobs

from napari_attmil.core import clusters, workers as workers_file
from napari_attmil.core.cluster_settings import (
    ClusterSettings,
    read_cluster_settings,
    slurm_arguments,
    write_cluster_settings,
)
from napari_attmil.core.clusters import (
    ClusterWorkers,
    check_folder,
    device_of_workers,
    open_cluster,
    tell_versions,
)
from napari_attmil.core.device import Device, choose_device
from napari_attmil.core.errors import UserError
from napari_attmil.core.progress import Progress
from napari_attmil.core.workers import JobRun, Workers


class FakeClient:
    """A client whose workers answer as they are told to."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def run(self, ask: Any, *arguments: str) -> dict[str, Any]:
        own = ask(*arguments)
        change = self.answers.get("change", {})
        return {"tcp://a:1": own, "tcp://b:2": {**own, **change} if change else False}


GPU = Device("cuda:0", "bfloat16", "NVIDIA H200")
CPU = Device("cpu", "bfloat16", "processor, 64 cores")
OLD_CPU = Device("cpu", "float32", "processor, 8 cores")
ALL_CPU = Device("cpu", "float32", "processors")


@pytest.mark.parametrize(
    ("found", "device", "told"),
    [
        ((GPU, GPU), GPU, []),
        ((CPU, CPU), CPU, []),
        ((CPU, replace(CPU, description="processor, 32 cores")), CPU, []),
        ((CPU, OLD_CPU), ALL_CPU, []),
        ((GPU, CPU), ALL_CPU, ["Not all workers have the same kind of GPU"]),
    ],
)
def test_workers_compute_on_what_all_of_them_have(
    found: tuple[Device, Device], device: Device, told: list[str]
) -> None:
    client = SimpleNamespace(run=lambda _: dict(zip("ab", found, strict=True)))
    heard: list[str] = []
    assert device_of_workers(client, heard.append) == device
    assert [sentence.partition(",")[0] for sentence in heard] == told
    workers = ClusterWorkers(2, device=device)
    assert workers.device_for(choose_device("cpu")) == device
    assert ClusterWorkers(2).device_for(GPU) == Workers(2).device_for(GPU) == GPU


def test_a_folder_that_cannot_be_written_into_is_told(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("a file, no folder")
    workers = ClusterWorkers(2, client=FakeClient(), shared=tmp_path / "study")
    with pytest.raises(UserError, match=r"study cannot be written into .*; copy the study"):
        check_folder(workers)


def test_settings_of_jobs_are_written_with_their_meaning_and_read_again(tmp_path: Path) -> None:
    settings = ClusterSettings(partition="gpu", gpus=2, prologue=("module load cuda",))
    path = write_cluster_settings(settings, tmp_path / "new" / "cluster.yaml")
    assert read_cluster_settings(path) == settings
    assert "# GPUs a job: Asked for as ``--gres=gpu:N``.\ngpus: 2\n" in path.read_text()


def test_settings_that_are_edited_by_hand_need_no_quotation_marks(tmp_path: Path) -> None:
    path = write_cluster_settings(ClusterSettings(), tmp_path / "cluster.yaml")
    text = path.read_text("utf-8")
    for line, edited in [
        ("walltime: 04:00:00", "walltime: 12:00:00"),
        ("account: ''", "account: 0123"),
        ("jobs: 4", "jobs: 12"),
        ("prologue: []", "prologue:\n- module load cuda"),
    ]:
        assert line in text
        text = text.replace(line, edited)
    path.write_text(text, "utf-8")
    assert read_cluster_settings(path) == ClusterSettings(
        walltime="12:00:00", account="0123", jobs=12, prologue=("module load cuda",)
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "write them with `attmil cluster init`"),
        ("jobs: [", "it is no YAML"),
        ("- 4", "holds no settings"),
        ("jobs: none", "Jobs"),
        ("walltime: 4 hours", "Wall time"),
    ],
)
def test_settings_that_cannot_be_used_are_told(tmp_path: Path, text: str | None, told: str) -> None:
    if text is not None:
        (tmp_path / "cluster.yaml").write_text(text)
    with pytest.raises(UserError, match=told):
        read_cluster_settings(tmp_path / "cluster.yaml")


def test_job_of_the_queue_asks_for_what_was_set() -> None:
    jobqueue = pytest.importorskip("dask_jobqueue", reason="needs the extra [cluster]")
    asked = ClusterSettings(
        partition="short", cores=8, memory="32GB", gpus=1, account="lab", prologue=("source env",)
    )
    with jobqueue.SLURMCluster(**slurm_arguments(asked)) as cluster:
        script = cluster.job_script()
    for line in ("-p short", "-A lab", "--cpus-per-task=8", "--mem=30G", "-t 04:00:00"):
        assert f"#SBATCH {line}" in script
    assert "#SBATCH --gres=gpu:1" in script and "source env" in script
    assert "--nthreads 1" in script and "--nworkers" not in script  # one worker has the GPU


def test_without_a_gpu_each_core_is_a_worker_of_one_thread() -> None:
    asked = slurm_arguments(ClusterSettings(cores=8))
    assert (asked["cores"], asked["processes"], asked["job_cpu"]) == (8, 8, 8)
    assert asked["job_extra_directives"] == []


def test_no_scheduler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs the extra [cluster]")
    monkeypatch.setattr(clusters, "CONNECT_S", 1)
    with pytest.raises(UserError, match="No scheduler answers at tcp://127"):
        open_cluster("tcp://127.0.0.1:9", tmp_path).__enter__()


class WithoutWorkers:
    def wait_for_workers(self, count: int, timeout: float) -> None:
        raise TimeoutError


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("slurm", "No job has begun within 60 minutes in the queue of Slurm; see `squeue --me`"),
        ("local", "No worker of this computer has begun within 30 seconds; close other programs"),
        ("tcp://a:1", "tcp://a:1 has no worker; start some with `dask worker`"),
    ],
)
def test_no_worker_is_told_by_what_gives_them(where: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        clusters._workers_there(WithoutWorkers(), where, 3600)


def test_workers_that_are_lost_are_not_waited_for_at_the_end(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra [cluster]")
    with open_cluster("local", tmp_path / "shared", 1) as workers:
        brief = replace(workers, ends_within_s=3)
        with closing(iter(JobRun([jobs.counts_until_asked_to_end], brief))) as steps:
            next(step for step in steps if step.progress and step.progress.done > 3)
            workers.client.cluster.scale(0)
            while workers.client.scheduler_info()["workers"]:
                time.sleep(0.05)
            asked = time.monotonic()
        assert 3 <= time.monotonic() - asked < 20


def test_no_worker_that_is_left_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs the extra [cluster]")
    monkeypatch.setattr(workers_file, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(workers_file, "ALONE_S", 2)
    with open_cluster("local", tmp_path / "shared", 1) as workers:
        run = JobRun([jobs.counts_until_asked_to_end], replace(workers, ends_within_s=1))
        with pytest.raises(
            UserError, match=r"No worker is left; .* run the same again, and it goes"
        ):
            for step in run:
                if step.progress and step.progress.done == 0:
                    continue
                workers.client.cluster.scale(0)


def first_line(path: Path) -> Generator[Progress, None, str]:
    yield Progress(0, 1)
    return path.read_text("utf-8")


def test_a_job_s_relative_paths_are_those_of_the_program_that_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="needs the extra [cluster]")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "note.txt").write_text("seen", "utf-8")
    with open_cluster("local", os.path.relpath(tmp_path / "shared"), 1) as workers:
        assert workers.shared == Path.cwd() / os.path.relpath(tmp_path / "shared")
        monkeypatch.chdir(tmp_path)  # the worker has begun elsewhere
        run = JobRun([partial(first_line, Path("study/note.txt"))], workers)
        assert [step.progress for step in run][-1] is None
        assert run.results == {0: "seen"}


def test_other_versions_on_workers_are_told() -> None:
    told: list[str] = []
    tell_versions(FakeClient(change={"torch": "0.1"}), told.append)
    assert len(told) == 1 and told[0].startswith("torch is 0.1 on worker tcp://b:2, but ")
    with pytest.raises(UserError, match=r"napari-attmil is none on worker tcp://b:2, but .* here"):
        tell_versions(FakeClient(change={"napari-attmil": None}), told.append)


def test_worker_that_cannot_read_relative_paths_is_told() -> None:
    told: list[str] = []
    clusters.tell_current_folder(FakeClient(), told.append)
    assert told == [
        f"The worker tcp://b:2 does not see the current folder {Path.cwd()}; give full paths."
    ]


def test_worker_that_does_not_see_the_folder_is_told(tmp_path: Path) -> None:
    workers = clusters.ClusterWorkers(2, client=FakeClient(), shared=tmp_path, where="here")
    with pytest.raises(UserError, match=r"tcp://b:2 does not see the folder .*; put the study"):
        check_folder(workers)
