# SPDX-License-Identifier: Apache-2.0
"""What all Python workers share: sampling as `convgen bench` samples, random tensors, a check."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from peers.layer import Layer, Unsupported

SAMPLE_US = 100.0  # a sample is as many calls as take this long, as in tools/bench_runner
MIN_SAMPLES = 3


def timed_batch(call: Callable[[], object]) -> Callable[[int], float]:
    """A function of n that makes n calls and returns their time in us."""

    def batch_us(calls: int) -> float:
        start = time.perf_counter_ns()
        for _ in range(calls):
            call()
        return (time.perf_counter_ns() - start) * 1e-3

    return batch_us


def sample(batch_us: Callable[[int], float], seconds: float) -> list[float]:
    """us per call of each sample. The calls before the first sample warm up and find its size."""
    calls = 1
    batch_us(1)
    while batch_us(calls) < SAMPLE_US:
        calls *= 2
    samples: list[float] = []
    start = time.perf_counter()
    while len(samples) < MIN_SAMPLES or time.perf_counter() - start < seconds:
        samples.append(batch_us(calls) / calls)
    return samples


def grouped(times_us: list[float]) -> list[float]:
    """Single calls gathered into samples of SAMPLE_US: the means."""
    samples: list[float] = []
    total, calls = 0.0, 0
    for us in times_us:
        total, calls = total + us, calls + 1
        if total >= SAMPLE_US:
            samples.append(total / calls)
            total, calls = 0.0, 0
    return samples


class Tensors:
    """Random src [n, ih, iw, ic] and weights [kh, kw, icg, oc] of a layer, in [-1, 1)."""

    def __init__(self, layer: Layer) -> None:
        random = np.random.default_rng(1)
        self.layer = layer
        self.src = random.uniform(-1, 1, (layer.n, layer.ih, layer.iw, layer.ic)).astype(np.float32)
        self.weights = random.uniform(-1, 1, (layer.kh, layer.kw, layer.icg, layer.oc)).astype(
            np.float32
        )

    @property
    def src_nchw(self) -> np.ndarray:
        return np.ascontiguousarray(self.src.transpose(0, 3, 1, 2))

    @property
    def weights_oihw(self) -> np.ndarray:
        return np.ascontiguousarray(self.weights.transpose(3, 2, 0, 1))

    def check(
        self, dst: np.ndarray, pad_top: int | None = None, pad_left: int | None = None
    ) -> None:
        """Raises Unsupported unless dst [n, oh, ow, oc] agrees at a few outputs with the sum."""
        layer = self.layer
        shape = (layer.n, layer.oh, layer.ow, layer.oc)
        if dst.shape != shape:
            raise Unsupported(f"dst has shape {dst.shape}, expected {shape}")
        top = layer.pad_top if pad_top is None else pad_top
        left = layer.pad_left if pad_left is None else pad_left
        random = np.random.default_rng(2)
        for _ in range(16):
            at = tuple(int(random.integers(extent)) for extent in shape)
            want, bound = self._sum(at, top, left)
            if not abs(dst[at] - want) <= 1e-4 * bound:
                raise Unsupported(f"wrong result at {at}: {dst[at]} instead of {want}")

    def _sum(self, at: tuple[int, ...], top: int, left: int) -> tuple[float, float]:
        layer = self.layer
        n, oh, ow, oc = at
        first = oc // (layer.oc // layer.groups) * layer.icg
        total = bound = 0.0
        for kh in range(layer.kh):
            for kw in range(layer.kw):
                ih = oh * layer.sh + kh * layer.dh - top
                iw = ow * layer.sw + kw * layer.dw - left
                if not (0 <= ih < layer.ih and 0 <= iw < layer.iw):
                    continue
                src = self.src[n, ih, iw, first : first + layer.icg].astype(np.float64)
                products = src * self.weights[kh, kw, :, oc]
                total += float(products.sum())
                bound += float(np.abs(products).sum())
        return total, bound
