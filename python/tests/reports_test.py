# SPDX-License-Identifier: Apache-2.0
"""verify, emit, explain and measure_peak."""

import numpy as np
import pytest

import convgen

TEXT = "conv2d src=f32:nhwc:1x8x8x8 weights=f32:hwio:3x3x8x16 pads=same post=relu"


@pytest.mark.parametrize("data", ["integers", "reals"])
def test_verify(data):
    report = convgen.verify(TEXT, data=data, threads=2)
    assert report and report.passed and report.failure == "" and "passed=True" in repr(report)
    assert report.checked_outputs == 8 * 8 * 16 and report.max_error <= report.bound
    assert report.bit_exact == (data == "integers")


def test_verify_a_kernel():
    kernel = convgen.Engine(cache_dir="").compile(TEXT, engine="generic")
    assert convgen.verify(kernel, seed=2)


def test_emit():
    assert convgen.emit(TEXT, "conv") == convgen.Conv(TEXT).text
    assert "lanes=" in convgen.emit(TEXT, "schedule")
    assert "define" in convgen.emit(TEXT) and "@convgen_kernel" in convgen.emit(convgen.Conv(TEXT))
    assert "my_conv:" in convgen.emit(TEXT, "asm", function="my_conv", mcpu="haswell")
    assert "tile=3x1" in convgen.emit(TEXT, "schedule", schedule="direct tile=3x1")
    assert convgen.emit(TEXT, "obj")[:4] == b"\x7fELF" and convgen.emit(TEXT, "bc")[:2] == b"BC"
    with pytest.raises(convgen.InvalidArgument, match="^stage: 'ir' found"):
        convgen.emit(TEXT, "ir")
    with pytest.raises(convgen.InvalidArgument, match="^function: '1x' found"):
        convgen.emit(TEXT, function="1x")


def test_emit_holds_constant_weights():
    text = "conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x1 pads=same"
    w = np.zeros((3, 3, 1, 1), np.float32)
    emitted = {convgen.emit(text)}
    for weight in [1.25, 2.5]:
        w[1, 1] = weight
        emitted.add(convgen.emit(text, constant_weights=w, assume_finite=True))
    assert len(emitted) == 3


def test_explain():
    explained = convgen.explain(TEXT, seconds=0.01)
    assert explained.flops == 2 * convgen.Conv(TEXT).multiply_adds and explained.tasks >= 1
    assert explained.measured_us > 0 and explained.peak_gflops > 0
    assert explained.share_of_peak == pytest.approx(explained.gflops / explained.peak_gflops)
    for word in ["conv ", "schedule ", "why ", "peak ", "measured "]:
        assert word in str(explained)


def test_explain_measures_nothing_where_not_asked():
    explained = convgen.explain(TEXT, engine=convgen.Engine(cache_dir=""), seconds=0)
    assert explained.measured_us == 0 and explained.gflops == 0 and "peak" not in str(explained)


def test_versions():
    assert convgen.__version__.count(".") == 2 and convgen.llvm_version().startswith("19.")
    assert convgen.measure_peak().vector_bits % 32 == 0
