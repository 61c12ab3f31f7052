"""What jobs in a Slurm queue ask for, in a file that a person can edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import platformdirs
import yaml
from pydantic import Field

from napari_attmil.core.errors import UserError, reason_in_words
from napari_attmil.core.files import write_atomically
from napari_attmil.core.settings import Settings

ANY_PORT: Final = ":0"
"""Dask's own port for its pages may be taken by another cluster."""


class ClusterSettings(Settings):
    """What a worker asks of Slurm; `attmil cluster init` writes a file of it."""

    partition: str = Field("", title="Partition")
    """Queue; the cluster's default if empty."""
    jobs: int = Field(4, ge=1, le=10_000, title="Jobs")
    """How many jobs are asked for; each is a node or a part of one."""
    cores: int = Field(8, ge=1, le=1024, title="Cores a job")
    """Each core is a worker, except with a GPU: then the job is one worker."""
    memory: str = Field("32GB", pattern=r"^\d+ ?[KMGT]i?B$", title="Memory a job")
    """As Dask writes it, for all cores of a job together."""
    walltime: str = Field("04:00:00", pattern=r"^(\d+-)?\d+:\d\d:\d\d$", title="Wall time")
    """Hours, minutes, seconds; work that is not finished by then is left to jobs that still run."""
    gpus: int = Field(0, ge=0, le=16, title="GPUs a job")
    """Asked for as ``--gres=gpu:N``."""
    account: str = Field("", title="Account")
    """Whom the time is charged to; the user's default if empty."""
    prologue: tuple[str, ...] = Field((), title="Before a worker starts")
    """Lines of shell, for instance to load a module or activate an environment."""


def cluster_file() -> Path:
    """Return the settings file of clusters."""
    return Path(platformdirs.user_config_path("napari-attmil")) / "cluster.yaml"


def read_cluster_settings(path: Path | None = None) -> ClusterSettings:
    """Read what jobs in a queue ask for.

    Raises
    ------
    UserError
        If there is no such file, or it holds something else.
    """
    path = path or cluster_file()
    try:
        # Words as they stand: else 12:00:00 would be a number of seconds, and an account a number.
        values = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
    except FileNotFoundError as error:
        raise UserError(
            f"There are no settings for Slurm in {path}; write them with `attmil cluster init`."
        ) from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = "it is no YAML" if isinstance(error, yaml.YAMLError) else reason_in_words(error)
        raise UserError(
            f"{path} could not be read ({reason}); correct it, or write it anew."
        ) from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no settings; write it anew with `attmil cluster init`.")
    return ClusterSettings.checked(**{str(name): value for name, value in values.items()})


def write_cluster_settings(settings: ClusterSettings, path: Path | None = None) -> Path:
    """Write what jobs in a queue ask for, with a line of explanation for each; return the path."""
    path = path or cluster_file()
    lines = ["# What a worker of `--cluster slurm` asks of Slurm."]
    for name, field in ClusterSettings.model_fields.items():
        value = settings.model_dump(mode="json")[name]
        lines += [f"# {field.title}: {field.description}", yaml.safe_dump({name: value}).strip()]
    with write_atomically(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def workers_a_job(settings: ClusterSettings) -> int:
    """Return how many workers a job of a queue has."""
    return 1 if settings.gpus else settings.cores


def slurm_arguments(settings: ClusterSettings) -> dict[str, Any]:
    """Return the arguments of `dask_jobqueue.SLURMCluster`."""
    asked: dict[str, Any] = {
        "cores": settings.cores if not settings.gpus else 1,
        "processes": workers_a_job(settings),
        "job_cpu": settings.cores,
        "memory": settings.memory,
        "walltime": settings.walltime,
        "scheduler_options": {"dashboard_address": ANY_PORT},
        "job_script_prologue": list(settings.prologue),
        "job_extra_directives": [f"--gres=gpu:{settings.gpus}"] * bool(settings.gpus),
    }
    if settings.partition:
        asked["queue"] = settings.partition
    if settings.account:
        asked["account"] = settings.account
    return asked
