# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: the time of the Conv node from the profile, whatever reorders surround it."""

from __future__ import annotations

import json
import pathlib
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from peers.layer import Layer, Unsupported
from peers.timing import Tensors, grouped, sample, timed_batch

# The profile truncates to whole microseconds; half of one is the expected loss.
TRUNCATED_US = 0.5


def _model(layer: Layer, tensors: Tensors) -> bytes:
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], name="conv", kernel_shape=[layer.kh, layer.kw],
        strides=[layer.sh, layer.sw], dilations=[layer.dh, layer.dw], group=layer.groups,
        pads=[layer.pad_top, layer.pad_left, layer.pad_bottom, layer.pad_right],
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, tensors.src_nchw.shape)],
        [
            helper.make_tensor_value_info(
                "y", TensorProto.FLOAT, [layer.n, layer.oc, layer.oh, layer.ow]
            )
        ],
        [numpy_helper.from_array(tensors.weights_oihw, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


class Peer:
    def __init__(self, threads: int) -> None:
        self.version = f"{onnxruntime.__version__} (onnx {onnx.__version__})"
        self._threads = threads
        self._folder = tempfile.TemporaryDirectory()
        self._session: onnxruntime.InferenceSession | None = None

    def prepare(self, layer: Layer) -> str:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = str(pathlib.Path(self._folder.name) / "profile")
        tensors = Tensors(layer)
        self._session = onnxruntime.InferenceSession(
            _model(layer, tensors), options, providers=["CPUExecutionProvider"]
        )
        dst = np.empty((layer.n, layer.oc, layer.oh, layer.ow), np.float32)
        self._values = [
            onnxruntime.OrtValue.ortvalue_from_numpy(v) for v in (tensors.src_nchw, dst)
        ]
        self._binding = self._session.io_binding()
        self._binding.bind_ortvalue_input("x", self._values[0])
        self._binding.bind_ortvalue_output("y", self._values[1])
        self._session.run_with_iobinding(self._binding)
        tensors.check(self._values[1].numpy().transpose(0, 2, 3, 1))
        return "Conv node"

    def measure(self, seconds: float) -> list[float]:
        sample(timed_batch(lambda: self._session.run_with_iobinding(self._binding)), seconds)
        return []  # the times are in the profile

    def finish(self) -> list[float]:
        path = pathlib.Path(self._session.end_profiling())
        events = json.loads(path.read_text())
        path.unlink()
        self._session = None
        times = [
            event["dur"] + TRUNCATED_US
            for event in events
            if event["name"].endswith("_kernel_time") and "Conv" in event["args"]["op_name"]
        ]
        if not times:
            raise Unsupported("the profile holds no Conv node")
        return grouped(times)
