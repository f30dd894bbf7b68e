#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a call from Python costs: the smallest layer, whose kernel takes some 50 ns, called in each
way there is. Least of many short repeats. Needs the package installed (docs/python.md)."""

import timeit

import numpy as np

import convgen

CALLS, REPEATS = 2000, 100

x, w = np.ones((1, 6, 2, 3), np.float32), np.ones((3, 3, 3, 3), np.float32)
out = np.empty_like(x)
kernel = convgen.Engine().compile(
    "conv2d src=f32:nhwc:1x6x2x3 weights=f32:hwio:3x3x3x3 pads=1x1")  # seed.ex3 of layers.conv
packed = kernel.pack(w)

WAYS = {
    "kernel.run(x, packed, out=out)": lambda: kernel.run(x, packed, out=out),
    "kernel(x, packed, out=out)": lambda: kernel(x, packed, out=out),
    "kernel(x, packed)": lambda: kernel(x, packed),
    "kernel(x, w)": lambda: kernel(x, w),
    'conv2d(x, w, padding="SAME", out=out)': lambda: convgen.conv2d(x, w, padding="SAME", out=out),
    'conv2d(x, w, padding="SAME")': lambda: convgen.conv2d(x, w, padding="SAME"),
    'conv2d(x, w, [1, 1, 1, 1], "SAME", activation="relu")':
        lambda: convgen.conv2d(x, w, [1, 1, 1, 1], "SAME", activation="relu"),
}

for name, call in WAYS.items():
    call()
    seconds = min(timeit.repeat(call, number=CALLS, repeat=REPEATS)) / CALLS
    print(f"{name:55} {seconds * 1e9:6.0f} ns")
