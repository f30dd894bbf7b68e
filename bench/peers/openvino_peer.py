# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: the Convolution node's own counter, f32, nhwc tensors.

The counter is floor(sum of whole us / calls) since the model was compiled. A sample is therefore
the difference of two readings, and the model is compiled anew so that the count stays small.
"""

from __future__ import annotations

import math
import time

import numpy as np
import openvino
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor

from peers.layer import Layer, Unsupported
from peers.timing import Tensors

WARM_UP_CALLS = 3
SHORT_US = 1_000.0  # the first window after the warm-up takes about this long,
SHORT_CALLS = 4  # or so many calls where one takes less than that
LONG_US = 5_000.0  # a further window that needs more calls than this takes is not worth it
ERROR = 0.005  # share by which truncation may shift a further window
TRUNCATED_US = 0.5


def _model(layer: Layer, tensors: Tensors) -> openvino.Model:
    src = ops.parameter(list(tensors.src_nchw.shape), np.float32)
    weights = tensors.weights_oihw
    geometry = (
        [layer.sh, layer.sw], [layer.pad_top, layer.pad_left],
        [layer.pad_bottom, layer.pad_right], [layer.dh, layer.dw],
    )  # fmt: skip
    if layer.groups == 1:
        conv = ops.convolution(src, ops.constant(weights), *geometry)
    else:
        goihw = weights.reshape(layer.groups, -1, *weights.shape[1:])
        conv = ops.group_convolution(src, ops.constant(goihw), *geometry)
    steps = PrePostProcessor(openvino.Model([conv], [src]))
    for side in (steps.input(), steps.output()):
        side.tensor().set_layout(openvino.Layout("NHWC"))
        side.model().set_layout(openvino.Layout("NCHW"))
    return steps.build()


class Peer:
    def __init__(self, threads: int) -> None:
        self.version = openvino.__version__.split("-")[0]
        self._core = openvino.Core()
        self._options = {
            "PERF_COUNT": "YES",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": "NO",  # no peer is pinned
        }

    def prepare(self, layer: Layer) -> str:
        self._tensors = Tensors(layer)
        self._model = _model(layer, self._tensors)
        self._compile()
        self._call()
        self._tensors.check(self._request.get_output_tensor().data)
        return self._node().exec_type

    def measure(self, seconds: float) -> list[float]:
        """Half of `seconds` in windows; compiling anew for them may take some more."""
        samples: list[float] = []
        start, spent = time.perf_counter(), 0.0
        while spent < seconds / 2 and time.perf_counter() - start < 5 * seconds:
            self._compile()
            begin = time.perf_counter()
            samples += self._windows(seconds / 2)
            spent += time.perf_counter() - begin
        return samples

    def finish(self) -> list[float]:
        return []

    def _compile(self) -> None:
        compiled = self._core.compile_model(self._model, "CPU", self._options)
        self._request = compiled.create_infer_request()
        # Never the allocator's garbage: denormals in it slow the kernels a hundredfold.
        self._request.get_input_tensor().data[:] = self._tensors.src
        self._calls = 0

    def _call(self) -> None:
        self._request.infer()
        self._calls += 1

    def _node(self):
        nodes = [n for n in self._request.get_profiling_info() if "Convolution" in n.node_type]
        if len(nodes) != 1:
            raise Unsupported(f"{len(nodes)} convolution nodes after optimization")
        return nodes[0]

    def _total_us(self) -> float:
        return (self._node().real_time.total_seconds() * 1e6 + TRUNCATED_US) * self._calls

    def _window(self, calls: int) -> float:
        """us per call of the next calls; see the top for why it takes two readings."""
        total = self._total_us()
        for _ in range(calls):
            self._call()
        return (self._total_us() - total) / calls + TRUNCATED_US

    def _windows(self, seconds: float) -> list[float]:
        start = time.perf_counter()
        for _ in range(WARM_UP_CALLS):
            self._call()
        us = max(self._total_us() / self._calls, 1)
        calls = max(int(SHORT_US / us), 1 if us > SHORT_US else SHORT_CALLS)
        samples: list[float] = []
        while True:
            us = max(self._window(calls), 1)
            samples.append(us)
            # The error is TRUNCATED_US * (2 * made + calls) / calls, made being the calls so far.
            slack = ERROR * us / TRUNCATED_US - 1
            if slack <= 0:
                return samples
            calls = max(1, math.ceil(2 * self._calls / slack))
            if time.perf_counter() - start >= seconds or calls * us >= max(LONG_US, 2 * us):
                return samples
