# SPDX-License-Identifier: Apache-2.0
"""Whatever is passed, an exception names the argument, and nothing ends the process."""

import itertools

import numpy as np
import pytest

import convgen

X = np.ones((1, 6, 7, 3), np.float32)
W = np.ones((3, 3, 3, 8), np.float32)
KERNEL = "conv2d src=f32:nhwc:1x6x7x3 weights=f32:hwio:3x3x3x8"


class Evil(list):
    """A list that is emptied while its numbers are read."""

    class Number:
        def __init__(self, owner):
            self.owner = owner

        def __index__(self):
            self.owner.clear()
            return 1

    def __init__(self, count=4):
        super().__init__(Evil.Number(self) for _ in range(count))


class Raises:
    def __index__(self):
        raise RuntimeError("not today")

    def __dlpack__(self, **kwargs):
        raise RuntimeError("not today")

    def __dlpack_device__(self):
        return 1, 0


NUMBERS_AND_TEXT = [
    None, 0, -1, 2 ** 70, 1.5, "relu", "", "\ud800", b"SAME", [], [None], [[1]], (), {}, set(),
    object(), type, Evil(), Evil(2), Raises(),
]
ARRAYS = [
    np.float32(1), np.empty((), np.float32), np.zeros((1, 6, 7, 3)), X.astype(">f4"),
    X.astype(object), X.astype(np.float16), X.astype(np.int32), X.astype("M8[s]"), X.astype("U3"),
    X[0], X[None], np.zeros((1,) * 32, np.float32), np.zeros((0, 6, 7, 3), np.float32),
    np.zeros((1, 0, 7, 3), np.float32), np.zeros((1, 6, 7, 0), np.float32),
    np.zeros(3, [("a", "f4")]), memoryview(b"abcd"), bytearray(16),
    np.broadcast_to(np.float32(1), (1, 6, 7, 3)),
]
UNINITIALISED = [cls.__new__(cls) for cls in (convgen.Conv, convgen.Kernel, convgen.PackedWeights,
                                              convgen.Engine)]
JUNK = NUMBERS_AND_TEXT + ARRAYS + UNINITIALISED


def try_all(function, names, good):
    """Calls function with junk in one argument, then two, beside good ones; exceptions are fine."""
    for name, junk in itertools.product(names, JUNK):
        try:
            function(**{**good, name: junk})
        except (TypeError, ValueError, convgen.Error, RuntimeError, MemoryError, OSError):
            pass
    for (a, b), junk in itertools.product(itertools.combinations(names, 2), JUNK[::3]):
        try:
            function(**{**good, a: junk, b: junk})
        except (TypeError, ValueError, convgen.Error, RuntimeError, MemoryError, OSError):
            pass


@pytest.mark.parametrize("function", [convgen.conv1d, convgen.conv2d, convgen.conv3d,
                                      convgen.depthwise_conv2d], ids=lambda f: f.__name__)
def test_functions_survive_junk(function):
    rank = {"conv1d": 3, "conv3d": 5}.get(function.__name__, 4)
    good = {"x": np.ones((1, 6, 7, 5, 3)[5 - rank:], np.float32),
            "w": np.ones((1, 2, 2, 5, 3)[5 - rank:], np.float32)}
    names = ["x", "w", "strides", "padding", "data_format", "dilations", "bias", "activation",
             "add", "scale", "out", "threads"]
    try_all(function, names, good)


def test_kernels_survive_junk():
    kernel = convgen.default_engine().compile(KERNEL)
    names = ["src", "weights", "bias", "add", "scale", "out", "threads"]
    try_all(kernel, names, {"src": X, "weights": W})
    try_all(kernel.pack, ["weights"], {})
    try_all(kernel.wait, ["seconds"], {"seconds": 0})


def test_engines_survive_junk():
    engine = convgen.Engine(cache_dir="")
    try_all(engine.compile, ["conv", "constant_weights", "assume_finite", "engine", "schedule",
                             "threads", "mode", "deadline"], {"conv": KERNEL})
    try_all(engine.prepare, ["convs", "threads", "compile_threads"], {"convs": [KERNEL]})
    try_all(convgen.Engine, ["mcpu", "tuning_file", "cache_max_bytes", "memory_max_bytes",
                             "jit_profile"], {"cache_dir": ""})
    try_all(convgen.Conv, ["text"], {})


def test_reports_survive_junk():
    try_all(convgen.emit, ["conv", "stage", "mtriple", "mcpu", "mattr", "function", "schedule",
                           "constant_weights"], {"conv": KERNEL})
    try_all(convgen.verify, ["kernel", "seed", "data", "max_multiply_adds", "threads"],
            {"kernel": KERNEL})
    try_all(convgen.explain, ["conv", "engine", "schedule", "threads", "seconds"],
            {"conv": KERNEL, "seconds": 0})
    try_all(convgen.measure_peak, ["engine"], {})


@pytest.mark.parametrize("arguments, error, message", [
    (dict(x=[[1.0]]), TypeError, "x: list found, expected an array of float32"),
    (dict(x=None), TypeError, "x: NoneType found"),
    (dict(w=W.astype(np.float64)), TypeError, "w: float64 found, expected float32"),
    (dict(x=X.astype(">f4")), TypeError, "x: >f4 found, expected float32 of native byte order"),
    (dict(x=X.astype(object)), TypeError, "x: object found"),
    (dict(x=X[0]), ValueError, r"x: shape \(6, 7, 3\) found, conv2d takes 4 dimensions"),
    (dict(w=W[:, :, :2]), ValueError, "w: 2 input channels .* expected a divisor of the 3"),
    (dict(bias=X[0, 0, :, 0]), ValueError, r"bias: shape \(7,\) found, expected shape \(8,\)"),
    (dict(out=X), ValueError, r"out: shape \(1, 6, 7, 3\) found, expected shape \(1, 4, 5, 8\)"),
    (dict(strides="2"), TypeError, "strides: str found, expected an int or 1, 2 or 4 ints"),
    (dict(strides=1.5), TypeError, "strides: float found"),
    (dict(strides=[1, 2, 3]), ValueError, "strides: 3 numbers found"),
    (dict(strides=[2, 1, 1, 1]), ValueError, "strides: those of batch and channels must be 1"),
    (dict(strides=2 ** 70), ValueError, "strides: does not fit int64"),
    (dict(strides=0), ValueError, "strides=0x0: stride 0 of height must be at least 1"),
    (dict(dilations=[1.5, 1]), TypeError, "dilations: float found, expected an int"),
    (dict(padding="SOME"), ValueError, "padding: 'SOME' found, expected 'SAME', 'VALID' or"),
    (dict(padding=None), TypeError, "padding: NoneType found"),
    (dict(padding=[[0, 0], [1, 1], [1, 1]]), ValueError, "padding: 3 dimensions found, expected 4"),
    (dict(padding=[[1, 0], [1, 1], [1, 1], [0, 0]]), ValueError, "padding: those of batch"),
    (dict(padding=[[0, 0], [-1, 1], [1, 1], [0, 0]]), ValueError, "pads=.*: pad -1 of height"),
    (dict(data_format="NWHC"), ValueError, "data_format: 'NWHC' found, expected 'NHWC' or 'NCHW'"),
    (dict(data_format="NCH"), ValueError, "data_format: 'NCH' found"),
    (dict(activation="rleu"), ValueError, 'activation: post=rleu: unknown post-op "rleu"'),
    (dict(activation="relu groups=3"), ValueError, "activation: .* has blanks"),
    (dict(activation=abs), TypeError, "activation: builtin_function_or_method found"),
    (dict(threads=0), ValueError, "threads: 0 found, expected 1 to 1024"),
    (dict(threads=10 ** 9), ValueError, "threads: 1000000000 found"),
    (dict(threads=1.0), TypeError, "threads: float found, expected an int"),
], ids=lambda value: str(value)[:40])
def test_messages(arguments, error, message):
    with pytest.raises(error, match="^" + message):
        convgen.conv2d(**{"x": X, "w": W, **arguments})


def test_a_read_only_output():
    out = np.ones((1, 4, 5, 8), np.float32)
    out.setflags(write=False)
    for call in [lambda: convgen.conv2d(X, W, out=out),
                 lambda: convgen.default_engine().compile(KERNEL)(X, W, out=out)]:
        with pytest.raises(ValueError, match="^out: is read-only"):
            call()
    assert (out == 1).all()


def test_read_only_inputs_are_fine():
    x = X.copy()
    x.setflags(write=False)
    assert convgen.conv2d(x, W).shape == (1, 4, 5, 8)


def test_the_classes():
    assert issubclass(convgen.InvalidArgument, (convgen.Error, ValueError))
    for error, also in [(convgen.InvalidArgument, ValueError), (convgen.IoError, OSError),
                        (convgen.Unsupported, NotImplementedError),
                        (convgen.ResourceExhausted, MemoryError),
                        (convgen.CompileFailed, Exception), (convgen.InternalError, Exception)]:
        assert issubclass(error, convgen.Error) and issubclass(error, also)
        assert error.__module__ == "convgen"


def test_each_code_has_its_class(tmp_path):
    with pytest.raises(convgen.InvalidArgument, match="did you mean 'nhwc'"):
        convgen.Conv("conv2d src=f32:nwhc:1x9x11x4 weights=f32:hwio:3x3x4x8")
    with pytest.raises(convgen.Unsupported, match="type s8 is reserved"):
        convgen.Conv("conv2d src=s8:nhwc:1x9x11x4 weights=f32:hwio:3x3x4x8")
    with pytest.raises(convgen.ResourceExhausted):
        convgen.emit("conv2d src=f32:nhwc:1x64x64x64 weights=f32:hwio:9x9x64x64 pads=same",
                     schedule="direct unroll=full")
    with pytest.raises(convgen.IoError):
        convgen.Engine(cache_dir="", tuning_file=str(tmp_path / "none"))


def test_no_weights_at_all():
    with pytest.raises(convgen.InvalidArgument, match="^weights: give either"):
        convgen.default_engine().compile(KERNEL)(X)
