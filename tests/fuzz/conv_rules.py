#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the conv text once more, written from docs/conv-ir.md and not from ir/.

Reads one text a line, with escapes such as \\t and \\x01 for what no line can hold, and answers each
at once with one line: "ok DIMS TEXT", the dims of dst and the canonical text, or the code of the
broken rule. benchdnn text is left to others.
"""

import re
import struct
import sys
from fractions import Fraction

MAX_TEXT_BYTES = 64 * 1024
INT64_MAX = 2**63 - 1
RANKS = {"conv1d": 1, "conv2d": 2, "conv3d": 3}
RESERVED_OPS = {op + suffix for op in RANKS
                for suffix in ("_transpose", "_bwd_data", "_bwd_weights")}
RESERVED_TYPES = {"f64", "f16", "bf16", "s8", "u8", "s32"}
KEYS = ("src", "weights", "dst", "strides", "pads", "pad_value", "dilations", "groups", "post",
        "accuracy", "name")
POST_OPS = {"bias": 0, "add": 0, "scale": 0, "relu": 0, "leaky_relu": 1, "elu": 1, "clamp": 2,
            "min": 1, "max": 1, "sigmoid": 0, "tanh": 0, "gelu": 0, "gelu_tanh": 0, "silu": 0,
            "hard_swish": 0, "hard_sigmoid": 0, "abs": 0, "square": 0}


class Broken(Exception):
    """A rule that the text breaks; code is what convgen has to answer."""

    def __init__(self, code="invalid_argument"):
        super().__init__(code)
        self.code = code


def demand(condition, code="invalid_argument"):
    if not condition:
        raise Broken(code)


# --- Numbers ---

def integer(text):
    demand(re.fullmatch(r"-?[0-9]+", text))
    demand(-2**63 <= int(text) <= INT64_MAX)
    return int(text)


def to_f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def number(text):
    """An f32 as from_chars reads it: no sign +, no hexadecimal, nothing that f32 cannot hold."""
    if re.fullmatch(r"-?inf(inity)?", text, re.IGNORECASE):
        return float(text)
    demand(re.fullmatch(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text))
    try:
        value = to_f32(float(text))
    except OverflowError:
        raise Broken() from None
    demand(abs(value) != float("inf"))
    demand(value != 0 or Fraction(re.split("[eE]", text)[0]) == 0)
    return value


def print_number(value):
    """The fewest digits that read back the same; an exponent below 1e-4 and from 1e16 on."""
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "-0" if str(value).startswith("-") else "0"
    for digits in range(9):
        mantissa, exponent = f"{value:.{digits}e}".split("e")
        if to_f32(float(f"{mantissa}e{exponent}")) == value:
            break
    power = int(exponent)
    if -5 < power < 16:
        return f"{float(mantissa + 'e' + exponent):.{max(digits - power, 0)}f}"
    return f"{mantissa}e{power:+03d}"


def integers(text):
    return [integer(part) for part in text.split("x")]


# --- Words ---

def read_words(text):
    demand(len(text.encode("latin-1")) <= MAX_TEXT_BYTES)
    demand(not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text))
    words = [word for word in re.split(r"[ \t]+", text) if word]
    demand(words)
    demand(words[0] not in RESERVED_OPS, "unsupported")
    demand(words[0] in RANKS)
    values = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        demand(equals and key in KEYS and key not in values and value)
        values[key] = value
    return RANKS[words[0]], values


class Tensor:
    def __init__(self, text, layouts, has_dims=True):
        parts = text.split(":")
        demand(len(parts) == (3 if has_dims else 2) and all(parts))  # the form, before what it says
        kind, self.layout = parts[:2]
        demand(kind not in RESERVED_TYPES, "unsupported")
        demand(kind == "f32" and self.layout in layouts)
        if has_dims:
            self.dims = integers(parts[2])
            demand(len(self.dims) == len(self.layout))

    def size(self, letter):
        return self.dims[self.layout.index(letter)]

    def check(self, may_be_zero):
        for letter, dim in zip(self.layout, self.dims):
            demand(dim >= (0 if letter in may_be_zero else 1))


def read_spatial(values, key, rank):
    return integers(values[key]) if key in values else [1] * rank


def read_strides(values, rank, layout):
    strides = read_spatial(values, "strides", rank)
    if len(strides) == rank + 2:
        demand(strides[layout.index("n")] == 1 and strides[layout.index("c")] == 1)
        strides = [s for s, letter in zip(strides, layout) if letter not in "nc"]
    demand(len(strides) == rank and min(strides) >= 1)
    return strides


def read_pads(text, rank, axes):
    """[(begin, end)]. axes: (in, effective kernel, stride) of each."""
    if text == "valid":
        return [(0, 0)] * rank
    if text in ("same", "same_lower"):
        pads = []
        for size, kernel, stride in axes:
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads.append((total // 2, total - total // 2))
        return pads if text == "same" else [(end, begin) for begin, end in pads]
    pads = []
    for entry in text.split("x"):
        sides = entry.split(":")
        demand(len(sides) <= 2)
        pads.append((integer(sides[0]), integer(sides[-1])))
    demand(len(pads) == rank and min(min(pad) for pad in pads) >= 0)
    return pads


def read_post(text):
    """The canonical chain."""
    chain = []
    for op in text.split(","):
        word, *constants = op.split(":")
        demand(word in POST_OPS and len(constants) == POST_OPS[word])
        constants = [number(constant) for constant in constants]
        if word in ("leaky_relu", "elu"):
            demand(abs(constants[0]) != float("inf"))
        if word == "clamp":
            demand(constants[0] <= constants[1])
        chain.append(":".join([word, *map(print_number, constants)]))
    return ",".join(chain)


# --- The convolution ---

def out_size(size, pad, kernel, stride):
    room = size + sum(pad) - kernel
    if room >= 0:
        return room // stride + 1
    demand(size == 0 and room // stride + 1 == 0)
    return 0


def check_bytes(dims):
    size = 4
    for dim in dims:
        size *= max(dim, 1)
    demand(size <= INT64_MAX)


def joined(numbers):
    return "x".join(map(str, numbers))


def print_pads(pads):
    return "x".join(str(a) if a == b else f"{a}:{b}" for a, b in pads)


def answer(text):
    rank, values = read_words(text.strip(" \t\r\n"))
    spatial = "dhw"[3 - rank:]
    activations = ("n" + spatial + "c", "nc" + spatial)
    demand("src" in values and "weights" in values)
    src = Tensor(values["src"], activations)
    weights = Tensor(values["weights"], (spatial + "io", "oi" + spatial))
    dst_layout = Tensor(values["dst"], activations, False).layout if "dst" in values else src.layout
    src.check(may_be_zero="ndhw")
    weights.check(may_be_zero="o")
    groups = integer(values.get("groups", "1"))
    demand(groups >= 1 and weights.size("o") % groups == 0)
    demand(weights.size("i") * groups == src.size("c"))

    strides = read_strides(values, rank, src.layout)
    dilations = read_spatial(values, "dilations", rank)
    demand(len(dilations) == rank and min(dilations) >= 1)
    kernels = [(weights.size(letter) - 1) * d + 1 for letter, d in zip(spatial, dilations)]
    demand(max(kernels) <= INT64_MAX)
    sizes = [src.size(letter) for letter in spatial]
    pads = read_pads(values.get("pads", "valid"), rank, list(zip(sizes, kernels, strides)))
    demand(all(size + sum(pad) <= INT64_MAX for size, pad in zip(sizes, pads)))
    out = [out_size(*axis) for axis in zip(sizes, pads, kernels, strides)]
    dst_sizes = dict(zip(spatial, out), n=src.size("n"), c=weights.size("o"))
    dst_dims = [dst_sizes[letter] for letter in dst_layout]
    for dims in (src.dims, weights.dims, dst_dims):
        check_bytes(dims)
    pad_value = number(values.get("pad_value", "0"))
    demand(abs(pad_value) != float("inf"))
    post = read_post(values["post"]) if "post" in values else ""
    demand(values.get("accuracy", "normal") in ("normal", "strict"))

    words = [f"conv{rank}d", f"src=f32:{src.layout}:{joined(src.dims)}",
             f"weights=f32:{weights.layout}:{joined(weights.dims)}"]
    if dst_layout != src.layout:
        words.append(f"dst=f32:{dst_layout}")
    if max(strides) > 1:
        words.append(f"strides={joined(strides)}")
    if max(max(pad) for pad in pads) > 0:
        words.append(f"pads={print_pads(pads)}")
    if pad_value != 0:
        words.append(f"pad_value={print_number(pad_value)}")
    if max(dilations) > 1:
        words.append(f"dilations={joined(dilations)}")
    if groups != 1:
        words.append(f"groups={groups}")
    if post:
        words.append(f"post={post}")
    if values.get("accuracy") == "strict":
        words.append("accuracy=strict")
    return f"ok {joined(dst_dims)} {' '.join(words)}"


def main():
    for line in sys.stdin:
        text = line.rstrip("\n").encode("latin-1", "replace").decode("unicode_escape")
        try:
            print(answer(text), flush=True)
        except Broken as broken:
            print(broken.code, flush=True)


if __name__ == "__main__":
    main()
