"""Clusters to work on: processes of this machine, jobs of Slurm, or whatever somebody has started.

Whoever can talk to a scheduler or a worker can run code as its user. The clusters that are started here therefore take
connections with a certificate of their own only, made for one run; one that is given by its address is protected as its
owner has configured it (`distributed.comm.tls`).
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
from dask_jobqueue.slurm import SLURMCluster
from distributed import Client, LocalCluster
from distributed.security import Security

SILENT = logging.CRITICAL + 1  # what goes wrong is an event, which the run answers in its own words
LOOPBACK = "127.0.0.1"
PACKAGE_FOLDER = Path(__file__).resolve().parents[3]  # where `grader` can be imported from
# a part is small and stays where it is; what a worker needs is bounded by the boxes that it makes
SETTINGS = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.large-graph-warning-threshold": "1GB",
}


class NoCluster(Exception):
    """There is no cluster to work on: says why, and what to do."""


@contextlib.contextmanager
def of_this_machine(count: int) -> Iterator[Client]:
    """`count` worker processes, which end with the block."""
    security = Security.temporary()
    with dask.config.set(SETTINGS), tempfile.TemporaryDirectory(prefix="a7-dask-") as scratch:
        cluster = LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, host=LOOPBACK, protocol="tls://", security=security,
            dashboard_address=f"{LOOPBACK}:0", worker_dashboard_address=f"{LOOPBACK}:0", memory_limit=0,
            local_directory=scratch, silence_logs=SILENT,
        )  # fmt: skip
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


@contextlib.contextmanager
def of_slurm(count: int) -> Iterator[Client]:
    """`count` jobs of Slurm, as the section `jobqueue.slurm` of Dask's configuration describes them.

    Raises NoCluster.
    """
    configured = dask.config.get("jobqueue.slurm")
    usual: dict[str, Any] = {"cores": 1, "processes": 1, "memory": "4 GiB"}
    usual = {name: value for name, value in usual.items() if configured.get(name) is None}
    with dask.config.set(SETTINGS), tempfile.TemporaryDirectory(prefix=".a7-dask-", dir=Path.cwd()) as shared:
        try:
            cluster = SLURMCluster(
                **usual, n_workers=0, protocol="tls://", security=Security.temporary(), shared_temp_directory=shared,
                scheduler_options={"dashboard_address": f"{LOOPBACK}:0"}, silence_logs=SILENT,
                job_script_prologue=[*configured["job-script-prologue"], f"export PYTHONPATH={PACKAGE_FOLDER}"],
                worker_extra_args=[*configured["worker-extra-args"], "--memory-limit", "0", "--no-dashboard"],
            )  # fmt: skip
        except ValueError as error:
            raise NoCluster(f"Dask's configuration of Slurm (jobqueue.slurm) will not do: {error}") from error
        with cluster, Client(cluster, set_as_default=False) as client:
            cluster.scale(jobs=count)
            yield client


@contextlib.contextmanager
def at(address: str) -> Iterator[Client]:
    """The cluster of a scheduler that runs already. Raises NoCluster."""
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
        try:
            client = Client(address, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise NoCluster(f"no scheduler answers at {address} ({why}): start one with `dask scheduler`") from error
        with client:
            yield client
