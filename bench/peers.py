#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures convgen and its peers on the same convolutions, interleaved in one run.

Each system lives in a process of its own. For every layer all systems prepare; then in each round
each of them is measured for a moment, in turn. Writes OUT/peers.csv, OUT/peers.md and a picture.
bench/README.md says what is measured of whom, and why.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import math
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

from peers.environment import build_onednn_bench, make_venv
from peers.layer import Layer, Unsupported, read_layers
from peers.report import OURS, LayerResult, Report, markdown, write_csv
from peers.systems import ALL, ONEDNN_PEERS, PEERS, PYTHON_PEERS, Convgen, System, Times, Worker

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEFAULT_LAYERS = ROOT / "tests" / "data" / "layers.conv"
SPIN_SECONDS = 0.02  # thread pools spin this long after a call before they leave the CPU


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=pathlib.Path, default=DEFAULT_LAYERS, metavar="FILE",
                        help="a conv file (tests/data/layers.conv)")  # fmt: skip
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="layers whose line has it")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--rounds", type=int, default=7, metavar="R")
    parser.add_argument("--seconds", type=float, default=0.06, metavar="T",
                        help="a system's share of a round (0.06)")  # fmt: skip
    parser.add_argument("--peers", default=",".join(PEERS), metavar="LIST",
                        help=f"some of {','.join(ALL)} (all but generic)")  # fmt: skip
    parser.add_argument("--convgen", type=pathlib.Path, metavar="PATH",
                        help="the tool (build/release/bin/convgen)",
                        default=ROOT / "build" / "release" / "bin" / "convgen")  # fmt: skip
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build", metavar="DIR")
    parser.add_argument("--picture", type=pathlib.Path, metavar="FILE",
                        help="docs/peers.png for a complete run of the default layers on one"
                             " thread, else OUT/peers.png")  # fmt: skip
    options = parser.parse_args()
    options.out = options.out.resolve()  # peers run in another directory
    options.peers = [name for name in options.peers.split(",") if name]
    unknown = sorted(set(options.peers) - set(ALL))
    if unknown:
        parser.error(f"--peers: {', '.join(unknown)}: expected some of {', '.join(ALL)}")
    if not options.convgen.exists():
        parser.error(f"--convgen: {options.convgen} does not exist; build it first")
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    return options


# --- Starting ---


def start_peer(name: str, options: argparse.Namespace) -> System:
    """Raises Unsupported where the peer cannot be had."""
    log = options.out / f"peers-{name}.log"
    if name == "generic":
        return Convgen(name, "generic", options.convgen.resolve(), options.threads)
    if name in ONEDNN_PEERS:
        command = [str(build_onednn_bench(options.out)), ONEDNN_PEERS[name]]
        return Worker(name, command, {"OMP_NUM_THREADS": str(options.threads)}, log)
    python = str(make_venv(ROOT / "build" / "peers-venv"))
    command = [python, "-m", "peers.worker", PYTHON_PEERS[name], str(options.threads)]
    return Worker(name, command, {}, log)


@dataclasses.dataclass
class Contest:
    """Everyone who takes part, and the reasons of those who cannot."""

    ours: Convgen
    peers: list[System]
    missing: list[str]

    @property
    def systems(self) -> list[System]:
        return [self.ours, *self.peers]


def start_systems(options: argparse.Namespace) -> Contest:
    ours = Convgen(OURS, "jit", options.convgen.resolve(), options.threads)
    contest = Contest(ours, [], [])
    for name in options.peers:
        try:
            contest.peers.append(start_peer(name, options))
        except Unsupported as reason:
            contest.missing.append(f"{name}: {reason}")
            print(f"not measured: {contest.missing[-1]}", file=sys.stderr)
    return contest


# --- Measuring ---


class LayerRun:
    """One layer: the systems that still take part, what they measured, why others do not."""

    def __init__(self, layer: Layer, contest: Contest, threads: int):
        self._active = contest.systems
        self._ours = contest.ours
        self._threads = threads
        self._rounds: dict[str, list[Times]] = {system.name: [] for system in contest.systems}
        self.result = LayerResult(layer)
        self.failures: list[str] = []

    def run(self, rounds: int, seconds: float) -> None:
        self._ours.peaks.clear()
        self._each(self._prepare)
        for _ in range(rounds):
            self._each(lambda system: self._keep(system, system.measure(seconds)))
        self._each(lambda system: self._keep(system, system.finish()))
        self.result.peak_gflops = max(self._ours.peaks, default=0.0)
        for name, times in self._rounds.items():
            if times and not any(failure.startswith(f"{name} on ") for failure in self.failures):
                self.result.times[name] = Times(
                    min(t.min_us for t in times), statistics.median(t.median_us for t in times)
                )

    def _prepare(self, system: System) -> None:
        self.result.kernels[system.name] = system.prepare(self.result.layer)

    def _keep(self, system: System, times: Times) -> None:
        if not math.isnan(times.min_us):
            self._rounds[system.name].append(times)

    def _each(self, action) -> None:
        for system in list(self._active):
            try:
                action(system)
            except Unsupported as reason:
                self._active.remove(system)
                self.failures.append(f"{system.name} on {self.result.layer.name}: {reason}")
            if self._threads > 1:
                time.sleep(SPIN_SECONDS)


def progress(result: LayerResult, index: int, count: int) -> None:
    best = result.best_direct()
    ratio = result.ratio(best)
    verdict = "-" if ratio is None else f"{ratio:.2f}x {best}"
    print(f"[{index}/{count}] {result.layer.name}: {verdict}", file=sys.stderr)


def measure_all(options: argparse.Namespace, contest: Contest, report: Report) -> list[float]:
    """Fills the report; returns the peaks of all rounds."""
    lines = [line for line in read_layers(options.layers) if options.only in line[0]]
    peaks: list[float] = []
    for index, (text, layer) in enumerate(lines, 1):
        if isinstance(layer, Unsupported):
            report.not_measured.append(f"`{text}`: {layer}")
            continue
        run = LayerRun(layer, contest, options.threads)
        run.run(options.rounds, options.seconds)
        report.results.append(run.result)
        report.not_measured += run.failures
        peaks += contest.ours.peaks
        progress(run.result, index, len(lines))
    return peaks


# --- Reporting ---


def caption(options: argparse.Namespace, contest: Contest, peaks: list[float]) -> list[str]:
    info = {key: value.strip() for key, value in contest.ours.info.items()}
    isa = info["isa"].split(" (")[0]
    now = datetime.datetime.now(datetime.timezone.utc)
    peak = "-"
    if peaks:
        peak = f"{statistics.median(peaks):.0f} GFLOP/s ({min(peaks):.0f}-{max(peaks):.0f})"
    return [
        f"CPU: {info['cpu']}, {os.cpu_count()} CPUs, {isa}; {info['caches']}",
        f"threads: {options.threads}; FMA rate of them, measured every round: {peak}",
        "versions: " + ", ".join(f"{system.name} {system.version}" for system in contest.systems),
        f"date: {now:%Y-%m-%d %H:%M} UTC",
        f"rounds: {options.rounds}, each {options.seconds:g} s a system",
        f"command: `{shlex.join(sys.argv)}`",
    ]


def picture_path(options: argparse.Namespace) -> pathlib.Path:
    if options.picture:
        return options.picture
    complete = (
        not options.only and options.threads == 1 and set(PEERS) <= set(options.peers)
        and options.layers.resolve() == DEFAULT_LAYERS and options.out == ROOT / "build"
    )  # fmt: skip
    return ROOT / "docs" / "peers.png" if complete else options.out / "peers.png"


def write_picture(options: argparse.Namespace, report: Report) -> None:
    lines = [line for line in report.caption if not line.startswith("command")]
    text = "; ".join([lines[0].split(";")[0], *lines[1:2], lines[3]])
    try:
        python = make_venv(ROOT / "build" / "peers-venv")
    except Unsupported as reason:
        print(f"no picture: {reason}", file=sys.stderr)
        return
    files = [(options.out / "peers.csv").resolve(), picture_path(options).resolve()]
    command = [python, "-m", "peers.plot", *files, text]
    done = subprocess.run(command, cwd=ROOT / "bench", capture_output=True, text=True)
    if done.returncode != 0:
        print(f"no picture: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)


def main() -> int:
    options = parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    contest = start_systems(options)
    names = [system.name for system in contest.systems]
    report = Report(names, [], not_measured=contest.missing)
    peaks = measure_all(options, contest, report)
    for system in contest.systems:
        system.close()
    report.caption = caption(options, contest, peaks)
    write_csv(report, options.out / "peers.csv", options.threads)
    text = markdown(report)
    (options.out / "peers.md").write_text(text)
    print(text)
    if report.results:
        write_picture(options, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
