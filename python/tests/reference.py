# SPDX-License-Identifier: Apache-2.0
"""Convolutions in float64 by numpy's windows and einsum: what every answer is held against."""

import itertools

import numpy as np


def same_pads(size, kernel, stride, dilation):
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def conv(x, w, strides, padding, dilations, groups=1):
    """x [n, spatial..., c], w [spatial..., i, o]; numbers for each spatial dimension."""
    spatial = w.ndim - 2
    x, w = x.astype(np.float64), w.astype(np.float64)
    if padding == "SAME":
        padding = [same_pads(x.shape[1 + d], w.shape[d], strides[d], dilations[d])
                   for d in range(spatial)]
    elif padding == "VALID":
        padding = [(0, 0)] * spatial
    x = np.pad(x, [(0, 0), *padding, (0, 0)])
    reach = tuple((w.shape[d] - 1) * dilations[d] + 1 for d in range(spatial))
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(1, 1 + spatial)))
    step = tuple(slice(None, None, s) for s in strides)
    taps = tuple(slice(None, None, d) for d in dilations)
    windows = windows[(slice(None), *step, slice(None), *taps)]
    i, o = w.shape[-2], w.shape[-1] // groups
    letters = "defghj"[:spatial]
    rule = f"nxyz"[: 1 + spatial] + f"c{letters},{letters}co->" + "nxyz"[: 1 + spatial] + "o"
    parts = [np.einsum(rule, windows[(slice(None),) * (1 + spatial) + (slice(g * i, g * i + i),)],
                       w[..., g * o:g * o + o]) for g in range(groups)]
    return np.concatenate(parts, axis=-1)


def depthwise(x, w, strides, padding, dilations):
    """w [kh, kw, c, m]; output channel c * m + j."""
    kh, kw, c, m = w.shape
    return conv(x, w.reshape(kh, kw, 1, c * m), strides, padding, dilations, groups=c)


def channels_first(x):
    return np.moveaxis(x, -1, 1)


def close(found, expected):
    """True within what float32 sums of inputs in [-1, 1) may be off."""
    return found.shape == expected.shape and np.allclose(found, expected, rtol=1e-4, atol=1e-4)


def every(**choices):
    """All combinations, as dicts."""
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]
