"""A class as jobs of a real Slurm, all of it on this machine: Debian's `slurm-wlm` and `munge`, started by the test."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("dask_jobqueue", reason="the libraries of a cluster are an extra")

from .test_cluster import PATIENT_S, a_class, grade, reports

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")
MISSING = [name for name in PROGRAMS if shutil.which(name, path=f"{os.defpath}:/usr/sbin:/sbin") is None]
CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={first}
SlurmdPort={second}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=32000 State=UNKNOWN
PartitionName=tests Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[Path]:
    """Its configuration, while it runs."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    file = folder / "slurm.conf"
    file.write_text(
        CONFIGURATION.format(host=socket.gethostname(), folder=folder, first=free_port(), second=free_port())
    )
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    commands = [
        ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
         f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"],
        ["slurmctld", "-D", "-f", str(file)],
        ["slurmd", "-D", "-f", str(file), "-N", socket.gethostname()],
    ]  # fmt: skip
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(file)}
    with contextlib.ExitStack() as stack:
        for command in commands:
            log = stack.enter_context((folder / f"{command[0]}.out").open("wb"))
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        until = time.monotonic() + PATIENT_S
        while True:
            said = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True)
            if said.stdout.strip() == "idle":
                break
            logs = "\n".join(log.read_text()[-1000:] for log in folder.glob("*.out"))
            assert time.monotonic() < until, f"Slurm does not start: {said.stderr} {logs}"
            time.sleep(0.5)
        yield file


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"no Slurm here: {', '.join(MISSING)} not found (Debian: slurm-wlm, munge)")
@pytest.mark.skipif(os.geteuid() != 0, reason="Slurm's daemons are started as root only")
def test_jobs_of_slurm_give_the_same_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = a_class(tmp_path / "class")
    alone = grade(folder, tmp_path / "alone", "--jobs", "2")
    assert alone.communicate(timeout=PATIENT_S)[0]
    assert alone.returncode == 0
    with slurm(tmp_path / "slurm") as configuration:
        monkeypatch.setenv("SLURM_CONF", str(configuration))
        monkeypatch.setenv("DASK_JOBQUEUE__SLURM__LOG_DIRECTORY", str(tmp_path / "logs"))
        run = grade(folder, tmp_path / "jobs", "--engine", "slurm", "--jobs", "2")
        said = run.communicate(timeout=PATIENT_S)[0]
        assert run.returncode == 0, said
        queue = subprocess.run(["squeue", "-h", "-t", "running"], capture_output=True, text=True, check=True)
        assert queue.stdout == ""  # none goes on when the run has ended
    assert reports(tmp_path / "jobs") == reports(tmp_path / "alone")
