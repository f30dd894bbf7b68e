# SPDX-License-Identifier: Apache-2.0
"""The picture: share of peak of every system on every layer.

`python -m peers.plot CSV PNG CAPTION`, inside the venv.
"""

from __future__ import annotations

import csv
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS = "convgen"
OURS_COLOUR = "#9ecae1"
EDGE = 106.0  # what lies beyond (Winograd) is drawn here, with its number
VALUES_HEAD = "convgen"
# Marker and colour (after Okabe and Ito, legible to the colour-blind), in the order of the legend.
STYLES = {
    "onednn-any": ("^", "#009e73"),
    "onednn-nhwc": ("v", "#56a05c"),
    "ort": ("s", "#d55e00"),
    "openvino": ("D", "#cc79a7"),
    "litert": ("P", "#e69f00"),
    "ncnn": ("o", "#7f7f7f"),
    "generic": ("x", "#000000"),
}
LABELS = {
    "onednn-any": "oneDNN, own layout",
    "onednn-nhwc": "oneDNN, nhwc",
    "ort": "ONNX Runtime",
    "openvino": "OpenVINO",
    "litert": "LiteRT (XNNPACK)",
    "ncnn": "ncnn",
    "generic": "convgen's generic path",
}


def _read(path: str) -> tuple[list[str], dict[str, dict[str, tuple[float, bool]]]]:
    """Layers in the file's order; per system, layer -> (share of peak in %, by Winograd)."""
    layers: list[str] = []
    shares: dict[str, dict[str, tuple[float, bool]]] = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            if row["name"] not in layers:
                layers.append(row["name"])
            share = 100 * float(row["share_of_peak"])
            shares.setdefault(row["system"], {})[row["name"]] = (share, row["winograd"] == "1")
    return layers, shares


def _draw_bars(axes, layers: list[str], ours: dict[str, tuple[float, bool]]) -> None:
    at = [i for i, layer in enumerate(layers) if layer in ours]
    values = [ours[layers[i]][0] for i in at]
    axes.barh(at, values, height=0.74, color=OURS_COLOUR, label=OURS, zorder=2)
    for i, value in zip(at, values):
        axes.text(1.01, i, f"{value:.0f} %", va="center", fontsize=8, color="#08519c",
                  transform=axes.get_yaxis_transform())  # fmt: skip


def _draw_markers(
    axes, layers: list[str], system: str, shares: dict[str, tuple[float, bool]]
) -> None:
    marker, colour = STYLES[system]
    for winograd in (False, True):
        points = [
            (shares[l][0], i)
            for i, l in enumerate(layers)
            if l in shares and shares[l][1] == winograd
        ]
        if not points:
            continue
        x, y = zip(*((min(share, EDGE), i) for share, i in points))
        for share, i in points:
            if share > EDGE:
                axes.text(EDGE + 1.2, i, f"{share:.0f}", va="center", fontsize=7, color=colour)
        # Winograd does fewer multiplications than the share counts: hollow.
        label = LABELS[system] + (", by Winograd" if winograd else "")
        face = "none" if winograd and marker != "x" else colour
        axes.scatter(x, y, marker=marker, s=30, facecolors=face, edgecolors=colour,
                     linewidths=0.9, label=label, zorder=3, alpha=0.9)  # fmt: skip


def _decorate(figure, axes, layers: list[str], caption: str) -> None:
    axes.set_yticks(range(len(layers)), layers, fontsize=8)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_xlim(0, EDGE + 5)
    axes.set_xticks(range(0, 101, 20))
    axes.axvline(100, color="#444444", linewidth=0.9, linestyle="--", zorder=1)
    axes.xaxis.grid(True, color="#dddddd", zorder=0)
    axes.tick_params(axis="x", top=True, labeltop=True)
    axes.text(1.01, -1, VALUES_HEAD, va="center", fontsize=8, color="#08519c",
              transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set_xlabel("share of the measured FMA rate, %")
    networks = [layer.split(".")[0] for layer in layers]
    for i in range(1, len(layers)):
        lonely = networks.count(networks[i]) == networks.count(networks[i - 1]) == 1
        if networks[i] != networks[i - 1] and not lonely:
            axes.axhline(i - 0.5, color="#999999", linewidth=0.6, zorder=1)
    for side in ("left", "right"):
        axes.spines[side].set_visible(False)
    figure.suptitle(
        "convgen and its peers, one convolution at a time",
        fontsize=13,
        y=1 - 0.08 / (2.2 + 0.27 * len(layers)),
    )
    figure.text(
        0.5, 0.004, caption, ha="center", va="bottom", fontsize=7.5, color="#444444", wrap=True
    )


def draw(csv_path: str, png_path: str, caption: str) -> None:
    layers, shares = _read(csv_path)
    height = 2.2 + 0.27 * len(layers)
    figure, axes = plt.subplots(figsize=(10, height))
    _draw_bars(axes, layers, shares.get(OURS, {}))
    for system in STYLES:
        if system in shares:
            _draw_markers(axes, layers, system, shares[system])
    _decorate(figure, axes, layers, caption)
    figure.legend(loc="upper center", bbox_to_anchor=(0.5, 1 - 0.32 / height), ncols=5,
                  columnspacing=1.4, fontsize=8, frameon=False)  # fmt: skip
    figure.tight_layout(rect=(0, 0.42 / height, 1, 1 - 0.72 / height), pad=0.4)
    figure.savefig(png_path, dpi=130)


if __name__ == "__main__":
    draw(*sys.argv[1:4])
