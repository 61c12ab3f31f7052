"""The command that prepares work on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_attmil.cli.options import option
from napari_attmil.core import ClusterSettings, cluster_file, write_cluster_settings

SETTINGS = ClusterSettings()

cluster = typer.Typer(help="Prepare work on a cluster: see --cluster of train and others.")


@cluster.callback()
def _group() -> None:
    """Keep `init` a command of its own: a group of a single one would be that command."""


@cluster.command()
def init(
    partition: Annotated[str, option(ClusterSettings, "partition")] = SETTINGS.partition,
    jobs: Annotated[int, option(ClusterSettings, "jobs")] = SETTINGS.jobs,
    cores: Annotated[int, option(ClusterSettings, "cores")] = SETTINGS.cores,
    memory: Annotated[str, option(ClusterSettings, "memory")] = SETTINGS.memory,
    walltime: Annotated[str, option(ClusterSettings, "walltime")] = SETTINGS.walltime,
    gpus: Annotated[int, option(ClusterSettings, "gpus")] = SETTINGS.gpus,
    account: Annotated[str, option(ClusterSettings, "account")] = SETTINGS.account,
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="in the user's settings")
    ] = None,
) -> None:
    """Write what the workers of `--cluster slurm` ask of Slurm; the file can be edited."""
    settings = ClusterSettings.checked(
        partition=partition,
        jobs=jobs,
        cores=cores,
        memory=memory,
        walltime=walltime,
        gpus=gpus,
        account=account,
    )
    print(write_cluster_settings(settings, out or cluster_file()))
