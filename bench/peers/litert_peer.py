# SPDX-License-Identifier: Apache-2.0
"""LiteRT with its default delegate XNNPACK: a whole invoke of a model of one convolution, nhwc."""

from __future__ import annotations

import importlib.metadata

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from peers.layer import Layer, Unsupported
from peers.timing import Tensors, sample, timed_batch


def _same_pads(layer: Layer) -> tuple[int, int] | None:
    """(top, left) of SAME where its output has the layer's size, else None."""
    oh, ow = -(-layer.ih // layer.sh), -(-layer.iw // layer.sw)
    if (oh, ow) != (layer.oh, layer.ow):
        return None
    total_h = max((oh - 1) * layer.sh + (layer.kh - 1) * layer.dh + 1 - layer.ih, 0)
    total_w = max((ow - 1) * layer.sw + (layer.kw - 1) * layer.dw + 1 - layer.iw, 0)
    return total_h // 2, total_w // 2


class _ModelWriter:
    """A .tflite model with one subgraph, tensor by tensor."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._graph = schema.SubGraphT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._model.subgraphs = [self._graph]
        self._graph.tensors = []
        self._graph.operators = []

    def tensor(self, shape: tuple[int, ...], values: np.ndarray | None = None) -> int:
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.name = f"tensor{len(self._graph.tensors)}"
        is_int = values is not None and values.dtype == np.int32
        tensor.type = schema.TensorType.INT32 if is_int else schema.TensorType.FLOAT32
        tensor.buffer = 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def operator(self, code: int, inputs: list[int], output: int, kind: int, options) -> None:
        operator_code = schema.OperatorCodeT()
        operator_code.builtinCode = operator_code.deprecatedBuiltinCode = code
        operator_code.version = 1
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self._model.operatorCodes)
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        self._model.operatorCodes.append(operator_code)
        self._graph.operators.append(operator)

    def finish(self, src: int, dst: int) -> bytes:
        self._graph.inputs, self._graph.outputs = [src], [dst]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _pad_in_front(writer: _ModelWriter, layer: Layer, src: int) -> int:
    pads = [[0, 0], [layer.pad_top, layer.pad_bottom], [layer.pad_left, layer.pad_right], [0, 0]]
    sizes = [layer.n, layer.ih, layer.iw, layer.ic]
    padded = writer.tensor(tuple(size + sum(pad) for size, pad in zip(sizes, pads)))
    amounts = writer.tensor((4, 2), np.array(pads, np.int32))
    op, kind = schema.BuiltinOperator.PAD, schema.BuiltinOptions.PadOptions
    writer.operator(op, [src, amounts], padded, kind, schema.PadOptionsT())
    return padded


def _conv_operator(layer: Layer):
    """Operator code, options type and options."""
    if not layer.is_depthwise:
        return (schema.BuiltinOperator.CONV_2D, schema.BuiltinOptions.Conv2DOptions,
                schema.Conv2DOptionsT())  # fmt: skip
    options = schema.DepthwiseConv2DOptionsT()
    options.depthMultiplier = layer.oc // layer.ic
    return (schema.BuiltinOperator.DEPTHWISE_CONV_2D, schema.BuiltinOptions.DepthwiseConv2DOptions,
            options)  # fmt: skip


def _model(layer: Layer, tensors: Tensors, same: bool) -> bytes:
    writer = _ModelWriter()
    src = writer.tensor(tensors.src.shape)
    # [1, kh, kw, oc] or [oc, kh, kw, icg].
    weights = tensors.weights.transpose((2, 0, 1, 3) if layer.is_depthwise else (3, 0, 1, 2))
    weights_at = writer.tensor(weights.shape, np.ascontiguousarray(weights))
    bias = writer.tensor((layer.oc,), np.zeros(layer.oc, np.float32))
    dst = writer.tensor((layer.n, layer.oh, layer.ow, layer.oc))
    has_pads = layer.pad_top + layer.pad_left + layer.pad_bottom + layer.pad_right > 0
    conv_src = _pad_in_front(writer, layer, src) if has_pads and not same else src
    code, kind, options = _conv_operator(layer)
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.strideH, options.strideW = layer.sh, layer.sw
    options.dilationHFactor, options.dilationWFactor = layer.dh, layer.dw
    writer.operator(code, [conv_src, weights_at, bias], dst, kind, options)
    return writer.finish(src, dst)


class Peer:
    def __init__(self, threads: int) -> None:
        self.version = importlib.metadata.version("ai-edge-litert")
        self._threads = threads

    def prepare(self, layer: Layer) -> str:
        tensors = Tensors(layer)
        pads = _same_pads(layer)
        self._interpreter = Interpreter(
            model_content=_model(layer, tensors, same=pads is not None), num_threads=self._threads
        )
        self._interpreter.allocate_tensors()
        src = self._interpreter.get_input_details()[0]["index"]
        dst = self._interpreter.get_output_details()[0]["index"]
        self._interpreter.set_tensor(src, tensors.src)
        self._interpreter.invoke()
        tensors.check(self._interpreter.get_tensor(dst), *(pads or ()))
        if not any(op["op_name"] == "DELEGATE" for op in self._interpreter._get_ops_details()):
            raise Unsupported("XNNPACK did not take the convolution")
        return "XNNPACK, " + ("SAME" if pads is not None else "explicit pads")

    def measure(self, seconds: float) -> list[float]:
        return sample(timed_batch(self._interpreter.invoke), seconds)

    def finish(self) -> list[float]:
        return []
