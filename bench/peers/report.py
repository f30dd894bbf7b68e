# SPDX-License-Identifier: Apache-2.0
"""Results and what is written of them: CSV, and the Markdown table with ratios and means."""

from __future__ import annotations

import csv
import dataclasses
import math
import pathlib
import statistics

from peers.layer import Layer
from peers.systems import Times

OURS = "convgen"
NOT_A_PEER = (OURS, "generic")
BEHIND = 0.97  # a ratio below it is a layer more than 3 % behind


@dataclasses.dataclass
class LayerResult:
    layer: Layer
    peak_gflops: float = 0.0  # of all threads, the highest of the layer's rounds
    times: dict[str, Times] = dataclasses.field(default_factory=dict)
    kernels: dict[str, str] = dataclasses.field(default_factory=dict)

    def is_winograd(self, system: str) -> bool:
        return system == "ncnn" and self.layer.is_dense_3x3

    def best_direct(self) -> str | None:
        """The fastest peer that computes the layer directly."""
        peers = [s for s in self.times if s not in NOT_A_PEER and not self.is_winograd(s)]
        return min(peers, key=lambda system: self.times[system].min_us, default=None)

    def ratio(self, system: str | None) -> float | None:
        """How many times as long as convgen the system takes: above 1 convgen is ahead."""
        if system is None or OURS not in self.times or system not in self.times:
            return None
        return self.times[system].min_us / self.times[OURS].min_us

    def share(self, system: str) -> float:
        us = self.times[system].min_us
        return self.layer.gflop * 1e6 / us / self.peak_gflops if self.peak_gflops else math.nan


@dataclasses.dataclass
class Report:
    systems: list[str]
    caption: list[str]
    results: list[LayerResult] = dataclasses.field(default_factory=list)
    not_measured: list[str] = dataclasses.field(default_factory=list)  # "WHAT: REASON"


def write_csv(report: Report, path: pathlib.Path, threads: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["name", "conv", "system", "threads", "min_us", "median_us", "gflops", "peak_gflops",
             "share_of_peak", "winograd", "kernel"]
        )  # fmt: skip
        for result in report.results:
            for system, times in result.times.items():
                share = result.share(system)
                writer.writerow(
                    [result.layer.name, result.layer.text, system, threads, f"{times.min_us:.4f}",
                     f"{times.median_us:.4f}", f"{share * result.peak_gflops:.2f}",
                     f"{result.peak_gflops:.2f}", f"{share:.4f}", int(result.is_winograd(system)),
                     result.kernels[system]]
                )  # fmt: skip


def _microseconds(us: float) -> str:
    return (
        f"{us:.3f}"
        if us < 1
        else f"{us:.2f}" if us < 10 else f"{us:.1f}" if us < 1000 else f"{us:.0f}"
    )


def _cell(result: LayerResult, system: str) -> str:
    if system not in result.times:
        return "-"
    text = _microseconds(result.times[system].min_us)
    text += "*" if result.is_winograd(system) else ""
    return f"**{text}**" if system == result.best_direct() else text


def _row(result: LayerResult, systems: list[str]) -> str:
    best = result.best_direct()
    ratio = result.ratio(best)
    cells = [result.layer.name, *(_cell(result, system) for system in systems), best or "-"]
    cells.append("-" if ratio is None else f"{ratio:.2f}")
    cells.append(f"{result.share(OURS):.0%}" if OURS in result.times else "-")
    return "| " + " | ".join(cells) + " |"


def _mean(ratios: list[float | None]) -> str:
    known = [ratio for ratio in ratios if ratio is not None]
    if not known:
        return "none"
    layers = "1 layer" if len(known) == 1 else f"{len(known)} layers"
    return f"{statistics.geometric_mean(known):.3f} ({layers})"


def _means(report: Report) -> list[str]:
    results = report.results
    best = [r.ratio(r.best_direct()) for r in results]
    lines = [f"- best direct peer of each layer: {_mean(best)}"]
    for system in report.systems:
        if system == OURS:
            continue
        direct = [r.ratio(system) for r in results if not r.is_winograd(system)]
        winograd = [r.ratio(system) for r in results if r.is_winograd(system)]
        lines.append(f"- {system}: {_mean(direct)}")
        if any(ratio is not None for ratio in winograd):
            lines[-1] += f"; its winograd layers: {_mean(winograd)}"
    return lines


def _behind(report: Report) -> list[str]:
    lines: list[tuple[float, str]] = []
    for result in report.results:
        best = result.best_direct()
        ratio = result.ratio(best)
        if best is None or ratio is None or ratio >= BEHIND:
            continue
        theirs, ours = (_microseconds(result.times[name].min_us) for name in (best, OURS))
        lines.append(
            (ratio, f"{result.layer.name}: {ratio:.2f}, {best} takes {theirs} us, {OURS} {ours} us")
        )
    return [line for _, line in sorted(lines)]


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def markdown(report: Report) -> str:
    head = ["layer", *report.systems, "best direct peer", "best / convgen", "convgen of peak"]
    align = ["---"] + ["---:"] * len(report.systems) + ["---", "---:", "---:"]
    sections = [
        "# convgen and its peers",
        "Least time of a call in microseconds; `best / convgen` above 1 means convgen is ahead.\n"
        "Bold: the best peer that computes directly. `*`: Winograd, left out of that comparison.",
        _list(report.caption),
        "\n".join(
            ["| " + " | ".join(head) + " |", "|" + "|".join(align) + "|"]
            + [_row(result, report.systems) for result in report.results]
        ),
        "## Geometric means of peer / convgen\n\n" + "\n".join(_means(report)),
        "## More than 3 % behind\n\n" + (_list(_behind(report)) or "No layer."),
        "## Not measured\n\n" + (_list(report.not_measured) or "Nothing."),
    ]
    return "\n\n".join(sections) + "\n"
