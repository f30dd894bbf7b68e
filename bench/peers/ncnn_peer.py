# SPDX-License-Identifier: Apache-2.0
"""ncnn: one extract. src is packed as its kernels want it, and dst left so, outside the timer."""

from __future__ import annotations

import pathlib
import tempfile
import time

import ncnn
import numpy as np

from peers.layer import Layer, Unsupported
from peers.timing import Tensors, sample


def _param(layer: Layer) -> str:
    kind = "Convolution" if layer.groups == 1 else "ConvolutionDepthWise"
    values = {
        0: layer.oc, 1: layer.kw, 11: layer.kh, 2: layer.dw, 12: layer.dh, 3: layer.sw,
        13: layer.sh, 4: layer.pad_left, 15: layer.pad_right, 14: layer.pad_top,
        16: layer.pad_bottom, 5: 0, 6: layer.oc * layer.icg * layer.kh * layer.kw,
    }  # fmt: skip
    if layer.groups > 1:
        values[7] = layer.groups
    words = " ".join(f"{key}={value}" for key, value in values.items())
    return f"7767517\n2 2\nInput src 0 1 src\n{kind} conv 1 1 src dst {words}\n"


def _elempack(channels: int) -> int:
    """The widest packing of the vectors at hand that divides the channels."""
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    widths = [16] * ("avx512f" in flags) + [8] * ("avx" in flags) + [4]
    return next((width for width in widths if channels % width == 0), 1)


class Peer:
    def __init__(self, threads: int) -> None:
        self.version = ncnn.__version__
        self._threads = threads
        self._folder = tempfile.TemporaryDirectory()
        self._allocator = ncnn.UnlockedPoolAllocator()

    def prepare(self, layer: Layer) -> str:
        if layer.n != 1:
            raise Unsupported("ncnn has no batch")
        tensors = Tensors(layer)
        self._net = self._load(layer, tensors)
        src = ncnn.Mat(layer.iw, layer.ih, layer.ic)
        np.array(src, copy=False)[:] = tensors.src_nchw[0]
        self._src = ncnn.convert_packing(src, _elempack(layer.ic))
        extractor = self._net.create_extractor()
        extractor.input("src", src)
        dst = np.array(extractor.extract("dst")[1])
        tensors.check(dst.transpose(1, 2, 0)[np.newaxis])
        return f"elempack {self._src.elempack}" + (", winograd" if layer.is_dense_3x3 else "")

    def measure(self, seconds: float) -> list[float]:
        return sample(self._batch_us, seconds)

    def finish(self) -> list[float]:
        return []

    def _load(self, layer: Layer, tensors: Tensors) -> ncnn.Net:
        net = ncnn.Net()
        net.opt.num_threads = self._threads
        net.opt.use_vulkan_compute = False
        for name in (
            "fp16_packed",
            "fp16_storage",
            "fp16_arithmetic",
            "bf16_packed",
            "bf16_storage",
        ):
            if hasattr(net.opt, f"use_{name}"):
                setattr(net.opt, f"use_{name}", False)
        net.opt.blob_allocator = self._allocator
        net.opt.workspace_allocator = self._allocator
        folder = pathlib.Path(self._folder.name)
        (folder / "layer.param").write_text(_param(layer))
        (folder / "layer.bin").write_bytes(bytes(4) + tensors.weights_oihw.tobytes())
        if net.load_param(str(folder / "layer.param")) or net.load_model(str(folder / "layer.bin")):
            raise Unsupported("ncnn did not load the model")
        return net

    def _batch_us(self, calls: int) -> float:
        ns = 0
        for _ in range(calls):
            extractor = self._net.create_extractor()
            extractor.input("src", self._src)
            start = time.perf_counter_ns()
            result = extractor.extract("dst", 1)
            ns += time.perf_counter_ns() - start
            del result
        return ns * 1e-3
