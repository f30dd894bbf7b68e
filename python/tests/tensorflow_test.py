# SPDX-License-Identifier: Apache-2.0
"""The same calls to TensorFlow, where it is installed: names, defaults and meanings agree."""

import numpy as np
import pytest

import convgen
import reference

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")


@pytest.mark.parametrize("case", reference.every(
    size=[(9, 11), (8, 8)], kernel=[(1, 1), (3, 3), (2, 5)],
    strides=[1, 2, [2], [1, 2], [1, 2, 1, 1]],
    padding=["SAME", "VALID", [[0, 0], [1, 0], [2, 3], [0, 0]]]), ids=str)
def test_conv2d(real, case):
    x, w = real(2, *case["size"], 6), real(*case["kernel"], 6, 8)
    options = {"strides": case["strides"], "padding": case["padding"]}
    assert reference.close(convgen.conv2d(x, w, **options), tf.nn.conv2d(x, w, **options).numpy())


@pytest.mark.parametrize("dilations", [1, 2, [2, 3], [1, 3, 2, 1]], ids=str)
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_dilations(real, dilations, padding):
    x, w = real(1, 12, 13, 3), real(3, 3, 3, 5)
    options = {"strides": 1, "padding": padding, "dilations": dilations}
    assert reference.close(convgen.conv2d(x, w, **options), tf.nn.conv2d(x, w, **options).numpy())


def test_groups(real):
    x, w = real(1, 7, 8, 6), real(3, 3, 2, 12)
    assert reference.close(convgen.conv2d(x, w, padding="SAME"),
                           tf.nn.conv2d(x, w, 1, "SAME").numpy())


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 3])
def test_conv1d(real, stride, padding):
    x, w = real(2, 17, 4), real(3, 4, 6)
    assert reference.close(convgen.conv1d(x, w, stride, padding),
                           tf.nn.conv1d(x, w, stride, padding).numpy())


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("strides", [[1] * 5, [1, 1, 2, 3, 1]], ids=str)
def test_conv3d(real, strides, padding):
    x, w = real(1, 5, 6, 7, 3), real(2, 3, 3, 3, 4)
    assert reference.close(convgen.conv3d(x, w, strides, padding),
                           tf.nn.conv3d(x, w, strides, padding).numpy())


@pytest.mark.parametrize("padding", ["SAME", "VALID", [[0, 0], [1, 0], [2, 3], [0, 0]]], ids=str)
@pytest.mark.parametrize("options", [{"strides": [1, 1, 1, 1]}, {"strides": [1, 2, 2, 1]},
                                     {"strides": [1, 1, 1, 1], "dilations": [2, 2]}], ids=str)
def test_depthwise_conv2d(real, options, padding):
    x, w = real(2, 9, 10, 5), real(3, 3, 5, 2)
    if "dilations" in options and not isinstance(padding, str):
        pytest.skip("TensorFlow takes no explicit padding with dilations")
    assert reference.close(convgen.depthwise_conv2d(x, w, padding=padding, **options),
                           tf.nn.depthwise_conv2d(x, w, padding=padding, **options).numpy())


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "elu", "sigmoid", "tanh", "gelu",
                                  "silu", "swish"])
def test_activations(real, name):
    x, w, b = real(1, 8, 9, 3), 4 * real(3, 3, 3, 8), real(8)
    y = tf.nn.bias_add(tf.nn.conv2d(x, w, 1, "SAME"), b)
    assert reference.close(convgen.conv2d(x, w, 1, "SAME", bias=b, activation=name),
                           getattr(tf.nn, name)(y).numpy())


def test_tensors_in_and_out(real):
    x, w = real(1, 8, 9, 3), real(3, 3, 3, 8)
    found = convgen.conv2d(tf.constant(x), tf.constant(w), padding="SAME")
    assert reference.close(tf.convert_to_tensor(found).numpy(),
                           tf.nn.conv2d(x, w, 1, "SAME").numpy())
    with pytest.raises(ValueError, match="^out: is read-only"):
        convgen.conv2d(x, w, padding="SAME", out=tf.zeros((1, 8, 9, 8)))


@pytest.mark.parametrize("wrong", [
    {"strides": [1, 2, 3]}, {"padding": "SOME"}, {"padding": [[0, 0], [1, 1]]},
    {"strides": [2, 1, 1, 1]}, {"data_format": "NWHC"}, {"strides": 0},
], ids=str)
def test_both_refuse(real, wrong):
    x, w = real(1, 8, 9, 3), real(3, 3, 3, 8)
    options = {"strides": 1, "padding": "SAME", **wrong}
    with pytest.raises(Exception):
        tf.nn.conv2d(x, w, **options)
    with pytest.raises(ValueError):
        convgen.conv2d(x, w, **options)
