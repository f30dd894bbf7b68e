# SPDX-License-Identifier: Apache-2.0
"""What must be there before anything is measured: the virtual environment, onednn_bench."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import venv

from peers.layer import Unsupported
from peers.systems import BENCH_DIR

_REQUIREMENTS = BENCH_DIR / "requirements.txt"


def _install(python: pathlib.Path, requirement: str) -> str | None:
    """None, or why pip could not."""
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", requirement], capture_output=True, text=True
    )
    return (
        None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    )


def make_venv(folder: pathlib.Path) -> pathlib.Path:
    """The environment's Python; made, or brought up to date, where requirements.txt is newer.

    Packages are installed one by one: one that cannot be had costs its own peer alone. Raises
    Unsupported where there can be no environment.
    """
    python = folder / "bin" / "python"
    stamp = folder / "requirements.txt"
    if stamp.exists() and stamp.read_text() == _REQUIREMENTS.read_text():
        return python
    print(f"installing the peers into {folder} ...", file=sys.stderr)
    try:
        venv.create(folder, with_pip=True, symlinks=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unsupported(f"no virtual environment (python3-venv missing?): {error}") from error
    lines = _REQUIREMENTS.read_text().splitlines()
    failures = [
        f"{line}: {reason}"
        for line in lines
        if line.strip() and not line.startswith("#") and (reason := _install(python, line))
    ]
    for failure in failures:
        print(f"not installed: {failure}", file=sys.stderr)
    if not failures:
        stamp.write_text(_REQUIREMENTS.read_text())
    return python


def build_onednn_bench(folder: pathlib.Path) -> pathlib.Path:
    """onednn_bench, compiled where its source is newer. Raises Unsupported without oneDNN."""
    source, program = BENCH_DIR / "onednn_bench.cpp", folder / "onednn_bench"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    command: list[str | pathlib.Path] = [
        os.environ.get("CXX", "c++"),
        "-std=c++20",
        "-O2",
        source,
        "-o",
        program,
        "-ldnnl",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise Unsupported(f"onednn_bench cannot be compiled: {error}") from error
    if done.returncode != 0:
        reason = next(
            (line for line in done.stderr.splitlines() if "error" in line), "no reason given"
        )
        raise Unsupported(f"onednn_bench does not compile (libdnnl-dev missing?): {reason}")
    return program
