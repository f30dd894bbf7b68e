# SPDX-License-Identifier: Apache-2.0
"""Layer: one convolution in the subset of conv text that every peer can be asked for.

conv2d, f32, nhwc and hwio, strides, pads, dilations, groups. No post-ops. Standard library only.
"""

from __future__ import annotations

import dataclasses
import pathlib


class Unsupported(Exception):
    """Why a layer, or a peer on it, is not measured."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """Sizes in the letters of conv text; pad_* in pixels, dilation 1 = dense."""

    name: str
    text: str
    n: int
    ih: int
    iw: int
    ic: int
    kh: int
    kw: int
    oc: int
    sh: int
    sw: int
    dh: int
    dw: int
    pad_top: int
    pad_left: int
    pad_bottom: int
    pad_right: int
    groups: int

    @property
    def icg(self) -> int:
        return self.ic // self.groups

    @property
    def oh(self) -> int:
        padded = self.ih + self.pad_top + self.pad_bottom
        return (padded - (self.kh - 1) * self.dh - 1) // self.sh + 1

    @property
    def ow(self) -> int:
        padded = self.iw + self.pad_left + self.pad_right
        return (padded - (self.kw - 1) * self.dw - 1) // self.sw + 1

    @property
    def gflop(self) -> float:
        """Two per multiply-add, padding taps counted: as convgen bench counts them."""
        return 2e-9 * self.n * self.oh * self.ow * self.oc * self.kh * self.kw * self.icg

    @property
    def is_depthwise(self) -> bool:
        return self.groups == self.ic and self.groups > 1

    @property
    def is_dense_3x3(self) -> bool:
        """What ncnn computes by Winograd."""
        steps = (self.sh, self.sw, self.dh, self.dw, self.groups)
        return (self.kh, self.kw) == (3, 3) and set(steps) == {1}

    def words(self) -> str:
        """The sizes as `key=number` words, for a worker's `prepare`."""
        keys = [f.name for f in dataclasses.fields(self) if f.name not in ("name", "text")]
        return " ".join(f"{key}={getattr(self, key)}" for key in [*keys, "oh", "ow"])

    @staticmethod
    def from_words(words: list[str]) -> Layer:
        values = {key: int(value) for key, value in (word.split("=") for word in words)}
        del values["oh"], values["ow"]
        return Layer(name="", text="", **values)


def _numbers(text: str, count: int) -> list[int]:
    numbers = [int(number) for number in text.split("x")]
    if len(numbers) != count:
        raise Unsupported(f"'{text}': expected {count} numbers")
    return numbers


def _tensor(text: str, layout: str) -> list[int]:
    data_type, found, dims = text.split(":")
    if (data_type, found) != ("f32", layout):
        raise Unsupported(f"'{text}': peers are measured on f32:{layout} alone")
    return _numbers(dims, 4)


def _same(size: int, kernel: int, stride: int, dilation: int, lower: bool) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return (total - total // 2, total // 2) if lower else (total // 2, total - total // 2)


def _pads(text: str, axes: list[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    if text == "valid":
        return [(0, 0), (0, 0)]
    if text in ("same", "same_lower"):
        return [_same(*axis, lower=text == "same_lower") for axis in axes]
    pads = [[int(pad) for pad in word.split(":")] for word in text.split("x")]
    if len(pads) != 2:
        raise Unsupported(f"pads={text}: expected two axes")
    return [(pad[0], pad[-1]) for pad in pads]


def parse_layer(text: str) -> Layer:
    """Reads one line of conv text; raises Unsupported for what lies outside the subset."""
    kind, *rest = text.split()
    words = dict(word.split("=", 1) for word in rest if "=" in word)
    known = {"name", "src", "weights", "strides", "pads", "dilations", "groups"}
    strange = [word for word in rest if word.split("=", 1)[0] not in known]
    if kind != "conv2d" or strange:
        found = " ".join(strange) if kind == "conv2d" else kind
        raise Unsupported(f"'{found}': peers are measured on plain conv2d without post-ops")
    n, ih, iw, ic = _tensor(words["src"], "nhwc")
    kh, kw, icg, oc = _tensor(words["weights"], "hwio")
    sh, sw = _numbers(words.get("strides", "1x1"), 2)
    dh, dw = _numbers(words.get("dilations", "1x1"), 2)
    (top, bottom), (left, right) = _pads(
        words.get("pads", "valid"), [(ih, kh, sh, dh), (iw, kw, sw, dw)]
    )
    groups = int(words.get("groups", 1))
    if icg * groups != ic:
        raise Unsupported(f"weights take {icg} x {groups} channels, src has {ic}")
    return Layer(
        words.get("name", text), text, n, ih, iw, ic, kh, kw, oc, sh, sw, dh, dw,
        top, left, bottom, right, groups,
    )  # fmt: skip


def read_layers(path: pathlib.Path) -> list[tuple[str, Layer | Unsupported]]:
    """Every line of a conv file that holds a convolution, with what parse_layer says to it."""
    layers: list[tuple[str, Layer | Unsupported]] = []
    for line in path.read_text().splitlines():
        text = line.split("#")[0].strip()
        if not text:
            continue
        try:
            layers.append((text, parse_layer(text)))
        except Unsupported as reason:
            layers.append((text, reason))
        except (ValueError, KeyError) as error:
            layers.append((text, Unsupported(f"unreadable: {error!r}")))
    return layers
