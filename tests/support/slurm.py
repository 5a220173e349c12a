"""Slurm's batch script of workers, run by bash as Slurm runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.documents import ROOT
from tests.support.shell import TRAINSTACK, Shell

SCRIPT = ROOT / "deploy" / "slurm" / "worker.sbatch"


def submit(shell: Shell, task: int, **exported_variables: str) -> subprocess.Popen[str]:
    """Start one task of the array."""
    slurm = {"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": str(task)}
    programs = f"{Path(TRAINSTACK).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", str(SCRIPT)],
        env={**shell.environment, **slurm, "PATH": programs, **exported_variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
