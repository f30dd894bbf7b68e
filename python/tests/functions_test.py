# SPDX-License-Identifier: Apache-2.0
"""conv1d, conv2d, conv3d and depthwise_conv2d against numpy in float64."""

import numpy as np
import pytest

import convgen
import reference


@pytest.mark.parametrize("case", reference.every(
    kernel=[(1, 1), (3, 3), (2, 5)], strides=[1, 2, (1, 3)], padding=["SAME", "VALID"],
    data_format=["NHWC", "NCHW"]), ids=str)
def test_conv2d(real, case):
    x, w = real(2, 9, 11, 6), real(*case["kernel"], 6, 8)
    strides = case["strides"] if isinstance(case["strides"], tuple) else (case["strides"],) * 2
    expected = reference.conv(x, w, strides, case["padding"], (1, 1))
    first = case["data_format"] == "NCHW"
    found = convgen.conv2d(np.ascontiguousarray(reference.channels_first(x)) if first else x, w,
                           strides=case["strides"], padding=case["padding"],
                           data_format=case["data_format"])
    assert found.dtype == np.float32 and found.flags.c_contiguous
    assert reference.close(found, reference.channels_first(expected) if first else expected)


@pytest.mark.parametrize("dilations", [2, (2, 1), [1, 3, 2, 1]], ids=str)
def test_dilations(real, dilations):
    x, w = real(1, 12, 13, 3), real(3, 3, 3, 5)
    axes = {int: lambda d: (d, d), tuple: lambda d: d, list: lambda d: d[1:3]}[type(dilations)]
    expected = reference.conv(x, w, (1, 1), "SAME", axes(dilations))
    assert reference.close(convgen.conv2d(x, w, 1, "SAME", "NHWC", dilations), expected)


@pytest.mark.parametrize("strides", [2, [2], (2, 3), [1, 2, 3, 1], np.int64(2), np.array([2, 3])],
                         ids=repr)
def test_strides_as_tensorflow_takes_them(real, strides):
    x, w = real(1, 12, 13, 3), real(3, 3, 3, 5)
    axes = np.broadcast_to(strides, 2) if np.size(strides) <= 2 else strides[1:3]
    assert reference.close(convgen.conv2d(x, w, strides),
                           reference.conv(x, w, axes, "VALID", (1, 1)))


def test_strides_of_channels_first_follow_its_order(real):
    x, w = real(1, 3, 12, 13), real(3, 3, 3, 5)
    expected = reference.conv(np.moveaxis(x, 1, -1), w, (2, 3), "VALID", (1, 1))
    found = convgen.conv2d(x, w, [1, 1, 2, 3], data_format="NCHW")
    assert reference.close(found, reference.channels_first(expected))


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_explicit_padding(real, data_format):
    x, w, pads = real(1, 7, 8, 3), real(3, 4, 3, 5), [(2, 0), (1, 3)]
    expected = reference.conv(x, w, (1, 1), pads, (1, 1))
    if data_format == "NHWC":
        found = convgen.conv2d(x, w, padding=[[0, 0], *pads, [0, 0]])
    else:
        found = convgen.conv2d(reference.channels_first(x), w, padding=[[0, 0], [0, 0], *pads],
                               data_format=data_format)
        expected = reference.channels_first(expected)
    assert reference.close(found, expected)


@pytest.mark.parametrize("groups", [2, 3, 6])
def test_a_filter_of_fewer_channels_makes_groups(real, groups):
    x, w = real(1, 6, 7, 6), real(3, 3, 6 // groups, 12)
    expected = reference.conv(x, w, (1, 1), "SAME", (1, 1), groups)
    assert reference.close(convgen.conv2d(x, w, padding="SAME"), expected)


@pytest.mark.parametrize("case", reference.every(
    stride=[1, 2], padding=["SAME", "VALID"], dilation=[1, 2], data_format=["NWC", "NCW"]), ids=str)
def test_conv1d(real, case):
    x, w = real(2, 17, 4), real(3, 4, 6)
    expected = reference.conv(x, w, (case["stride"],), case["padding"], (case["dilation"],))
    first = case["data_format"] == "NCW"
    found = convgen.conv1d(reference.channels_first(x) if first else x, w, case["stride"],
                           case["padding"], case["data_format"], case["dilation"])
    assert reference.close(found, reference.channels_first(expected) if first else expected)


@pytest.mark.parametrize("case", reference.every(
    strides=[1, (1, 2, 1), [1, 2, 2, 2, 1]], padding=["SAME", "VALID"]), ids=str)
def test_conv3d(real, case):
    x, w = real(1, 5, 6, 7, 3), real(2, 3, 3, 3, 4)
    axes = {int: lambda s: (s,) * 3, tuple: lambda s: s, list: lambda s: s[1:4]}
    strides = axes[type(case["strides"])](case["strides"])
    expected = reference.conv(x, w, strides, case["padding"], (1, 1, 1))
    assert reference.close(convgen.conv3d(x, w, case["strides"], case["padding"]), expected)


def test_conv3d_channels_first(real):
    x, w = real(1, 5, 6, 7, 3), real(2, 3, 3, 3, 4)
    expected = reference.channels_first(reference.conv(x, w, (1, 1, 1), "SAME", (1, 1, 1)))
    found = convgen.conv3d(np.ascontiguousarray(reference.channels_first(x)), w, 1, "SAME", "NCDHW")
    assert reference.close(found, expected)


@pytest.mark.parametrize("case", reference.every(
    multiplier=[1, 3], strides=[1, [1, 2, 2, 1]], padding=["SAME", "VALID"],
    data_format=["NHWC", "NCHW"]), ids=str)
def test_depthwise_conv2d(real, case):
    x, w = real(2, 8, 9, 5), real(3, 3, 5, case["multiplier"])
    strides = (1, 1) if case["strides"] == 1 else (2, 2)
    expected = reference.depthwise(x, w, strides, case["padding"], (1, 1))
    first = case["data_format"] == "NCHW"
    found = convgen.depthwise_conv2d(
        reference.channels_first(x) if first else x, w,
        [1, 1, 2, 2] if first and case["strides"] != 1 else case["strides"], case["padding"],
        case["data_format"])
    assert reference.close(found, reference.channels_first(expected) if first else expected)


SIGMOID = lambda y: 1 / (1 + np.exp(-y))
ACTIVATIONS = {
    None: lambda y: y,
    "linear": lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
    "relu6": lambda y: np.clip(y, 0, 6),
    "leaky_relu": lambda y: np.where(y < 0, 0.2 * y, y),
    "leaky_relu:0.5": lambda y: np.where(y < 0, 0.5 * y, y),
    "elu": lambda y: np.where(y < 0, np.expm1(y), y),
    "sigmoid": SIGMOID,
    "tanh": np.tanh,
    "silu": lambda y: y * SIGMOID(y),
    "swish": lambda y: y * SIGMOID(y),
    "gelu_tanh": lambda y: y * (1 + np.tanh((2 / np.pi) ** 0.5 * (y + 0.044715 * y ** 3))) / 2,
    "hard_swish": lambda y: y * np.clip(y + 3, 0, 6) / 6,
    "clamp:-0.5:1,abs": lambda y: np.abs(np.clip(y, -0.5, 1)),
    "relu6,square": lambda y: np.clip(y, 0, 6) ** 2,
}


@pytest.mark.parametrize("name", ACTIVATIONS, ids=str)
def test_bias_and_activation(real, name):
    x, w, b = real(1, 6, 7, 3), 3 * real(3, 3, 3, 8), real(8)
    y = reference.conv(x, w, (1, 1), "SAME", (1, 1)) + b
    found = convgen.conv2d(x, w, padding="SAME", bias=b, activation=name)
    assert reference.close(found, ACTIVATIONS[name](y))


def test_gelu_is_the_exact_one(real):
    from math import erf
    x, w = real(1, 4, 4, 3), real(1, 1, 3, 8)
    y = reference.conv(x, w, (1, 1), "VALID", (1, 1))
    expected = y * (1 + np.vectorize(erf)(y / 2 ** 0.5)) / 2
    assert reference.close(convgen.conv2d(x, w, activation="gelu"), expected)


def test_a_chain_names_its_operands(real):
    x, w, b, s, r = real(1, 6, 7, 3), real(3, 3, 3, 8), real(8), real(8), real(1, 6, 7, 8)
    y = reference.conv(x, w, (1, 1), "SAME", (1, 1))
    found = convgen.conv2d(x, w, padding="SAME", bias=b, add=r, scale=s,
                           activation="scale,bias,add,relu")
    assert reference.close(found, np.maximum(y * s + b + r, 0))
    for wrong, name in [(dict(activation="add"), "add"), (dict(activation="scale"), "scale"),
                        (dict(activation="bias"), "bias"), (dict(add=r), "add"),
                        (dict(scale=s, activation="relu"), "scale")]:
        with pytest.raises(convgen.InvalidArgument, match=f"^{name}: "):
            convgen.conv2d(x, w, padding="SAME", **wrong)


def test_empty_batch_and_no_outputs(real):
    assert convgen.conv2d(real(0, 6, 7, 3), real(3, 3, 3, 8)).shape == (0, 4, 5, 8)
    assert convgen.conv2d(real(2, 6, 7, 3), real(3, 3, 3, 0)).shape == (2, 4, 5, 0)


def test_nan_and_inf_arrive(real):
    x, w = real(1, 5, 5, 1), np.ones((1, 1, 1, 1), np.float32)
    x[0, 1, 2, 0], x[0, 3, 3, 0] = np.nan, np.inf
    np.testing.assert_array_equal(convgen.conv2d(x, w), x)


def test_kernels_are_remembered(real):
    x, w = real(1, 6, 7, 3), real(3, 3, 3, 8)
    convgen.clear_cache()
    before = convgen.default_engine().stats().compiles
    for _ in range(3):
        convgen.conv2d(x, w, padding="SAME", activation="relu")
    assert convgen.default_engine().stats().compiles == before + 1
    convgen.conv2d(x, w, padding="SAME", activation="relu6")
    convgen.conv2d(x, w, padding="SAME", strides=2, activation="relu")
    assert convgen.default_engine().stats().compiles == before + 3


def test_more_kernels_than_are_remembered(real):
    w = real(1, 1, 1, 1)
    for width in range(1, 600):  # the map holds 512
        x = real(1, 1, width, 1)
        assert convgen.conv2d(x, w).shape == x.shape
