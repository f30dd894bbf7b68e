# SPDX-License-Identifier: Apache-2.0
"""Conv, Engine, Kernel and PackedWeights: what they say of themselves, and what they compute."""

import numpy as np
import pytest

import convgen
import reference

TEXT = ("conv2d src=f32:nhwc:2x8x9x4 weights=f32:hwio:3x3x2x6 strides=2x1 pads=same groups=2 "
        "post=bias,relu")


@pytest.fixture(scope="module")
def engine():
    return convgen.Engine(cache_dir="")


def test_conv_says_what_it_is():
    conv = convgen.Conv(TEXT + " name=c1")
    assert conv.src_shape == (2, 8, 9, 4) and conv.src_layout == "nhwc"
    assert conv.weights_shape == (3, 3, 2, 6) and conv.weights_layout == "hwio"
    assert conv.dst_shape == (2, 4, 9, 6) and conv.dst_layout == "nhwc"
    assert conv.strides == (2, 1) and conv.dilations == (1, 1) and conv.groups == 2
    assert conv.pads == ((0, 1), (1, 1)) and conv.pad_value == 0
    assert conv.post == ("bias", "relu") and conv.accuracy == "normal"
    assert conv.name == "c1" and conv.spatial_rank == 2
    assert conv.multiply_adds == 2 * 4 * 9 * 6 * 9 * 2


def test_convs_of_other_ranks():
    assert convgen.Conv("conv1d src=f32:ncw:1x3x9 weights=f32:oiw:4x3x3").dst_layout == "ncw"
    conv = convgen.Conv("conv3d src=f32:ndhwc:1x4x5x6x3 weights=f32:dhwio:1x2x3x3x4")
    assert conv.dst_shape == (1, 4, 4, 4, 4) and conv.strides == (1, 1, 1)


def test_the_text_is_canonical_and_the_identity():
    a = convgen.Conv(TEXT)
    b = convgen.Conv(TEXT.replace("pads=same", "pads=0:1x1:1") + " name=other")
    assert a == b and hash(a) == hash(b) and a.text == b.text == str(a)
    assert convgen.Conv(a.text) == a and eval(repr(a), {"Conv": convgen.Conv}) == a
    assert a != convgen.Conv(TEXT.replace("relu", "abs")) and a != a.text


def test_a_kernel_computes(engine, real):
    kernel = engine.compile(TEXT)
    x, w, b = real(2, 8, 9, 4), real(3, 3, 2, 6), real(6)
    expected = np.maximum(reference.conv(x, w, (2, 1), "SAME", (1, 1), groups=2) + b, 0)
    packed = kernel.pack(w)
    for weights in [w, packed]:
        assert reference.close(kernel(x, weights, bias=b), expected)
        assert reference.close(kernel.run(x, weights, bias=b, threads=2), expected)


def test_a_kernel_says_what_it_is(engine):
    kernel = engine.compile(TEXT)
    assert kernel.conv == convgen.Conv(TEXT) and kernel.signature == kernel.conv.text
    assert kernel.engine_name in ("jit", "generic") and kernel.compile_error is None
    assert kernel.tasks >= 1 and kernel.memory_bytes > 0 and kernel.scratch_bytes >= 0
    assert not kernel.is_pending and kernel.wait(0) and not kernel.has_constant_weights
    assert kernel.compile_stats.total_ms >= 0 and "total_ms" in repr(kernel.compile_stats)
    assert kernel.conv.text in repr(kernel) and kernel.threads == 1
    assert "lanes=" in kernel.schedule or kernel.engine_name == "generic"
    assert kernel.pack(np.ones((3, 3, 2, 6), np.float32)).tag == kernel.packed_tag


def test_packed_weights_serve_every_size_of_image(engine, real):
    small, large = (engine.compile(f"conv2d src=f32:nhwc:1x{n}x{n}x8 weights=f32:hwio:3x3x8x16",
                                   schedule="direct tile=3x1") for n in (8, 12))
    w = real(3, 3, 8, 16)
    packed = small.pack(w)
    assert packed.nbytes >= w.nbytes and packed.tag in repr(packed)
    assert packed.tag == large.packed_tag
    x = real(1, 12, 12, 8)
    np.testing.assert_array_equal(large(x, packed), large(x, w))


def test_foreign_packed_weights_are_refused(engine, real):
    kernel = engine.compile("conv2d src=f32:nhwc:1x8x8x8 weights=f32:hwio:3x3x8x16")
    other = engine.compile("conv2d src=f32:nhwc:1x8x8x4 weights=f32:hwio:1x1x4x4")
    with pytest.raises(convgen.InvalidArgument, match="^packed: order .* found"):
        kernel(real(1, 8, 8, 8), other.pack(real(1, 1, 4, 4)))


def test_constant_weights(engine, real):
    x, w = real(1, 9, 9, 1), np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)
    w = w.reshape(3, 3, 1, 1)
    kernel = engine.compile("conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x1 pads=same",
                            constant_weights=w, assume_finite=True)
    assert kernel.has_constant_weights and " constants=" in kernel.signature
    expected = reference.conv(x, w, (1, 1), "SAME", (1, 1))
    assert reference.close(kernel(x), expected) and reference.close(kernel(x, None), expected)
    with pytest.raises(convgen.InvalidArgument, match="^weights: must be null"):
        kernel(x, w)


def test_post_operands(engine, real):
    kernel = engine.compile("conv2d src=f32:nhwc:1x5x5x3 weights=f32:hwio:1x1x3x4 "
                            "post=scale,bias,add")
    x, w, b, s, r = real(1, 5, 5, 3), real(1, 1, 3, 4), real(4), real(4), real(1, 5, 5, 4)
    y = reference.conv(x, w, (1, 1), "VALID", (1, 1))
    assert reference.close(kernel(x, w, bias=b, scale=s, add=r), y * s + b + r)
    out = r.copy()
    assert kernel(x, w, bias=b, scale=s, add=out, out=out) is out
    assert reference.close(out, y * s + b + r)
    for missing in ["bias", "scale", "add"]:
        operands = {"bias": b, "scale": s, "add": r, missing: None}
        with pytest.raises(convgen.InvalidArgument, match=f"^{missing}: null"):
            kernel(x, w, **operands)


def test_the_cache(engine):
    engine = convgen.Engine(cache_dir="")
    first = engine.compile(TEXT)
    again = engine.compile(convgen.Conv(TEXT))
    stats = engine.stats()
    assert stats.compiles == 1 and stats.hits == 1 and stats.kernels == 1 and stats.bytes > 0
    assert first.signature == again.signature and "compiles=1" in repr(stats)
    engine.clear_cache()
    assert engine.stats().kernels == 0 and first.tasks >= 1


def test_kernels_on_disk(tmp_path):
    assert not convgen.Engine(cache_dir=str(tmp_path)).compile(TEXT).compile_stats.from_store
    engine = convgen.Engine(cache_dir=str(tmp_path))
    kernel = engine.compile(TEXT)
    if kernel.engine_name != "jit":
        pytest.skip("no executable memory here, so nothing is kept")
    assert kernel.compile_stats.from_store and engine.stats().store_hits == 1
    assert engine.store_error is None


def test_prepare_returns_kernels_and_errors():
    good = "conv2d src=f32:nhwc:1x8x8x4 weights=f32:hwio:1x1x4x{}"
    kernels = convgen.Engine(cache_dir="").prepare([good.format(4), convgen.Conv(good.format(8))])
    assert [k.conv.dst_shape[3] for k in kernels] == [4, 8]
    with pytest.raises(convgen.InvalidArgument):
        convgen.Engine(cache_dir="").prepare([good.format(4), "conv2d"])


def test_schedules_by_hand(engine):
    if engine.compile(TEXT).engine_name != "jit":
        pytest.skip("no executable memory here, so schedules are not used")
    text = "conv2d src=f32:nhwc:1x8x8x8 weights=f32:hwio:3x3x8x16"
    assert "tile=3x1" in engine.compile(text, schedule="direct tile=3x1").schedule
    with pytest.raises(convgen.InvalidArgument, match="tile"):
        engine.compile(text, schedule="tile=0x1")


def test_engines_and_modes(engine, real):
    x, w = real(1, 16, 16, 8), real(3, 3, 8, 16)
    text = "conv2d src=f32:nhwc:1x16x16x8 weights=f32:hwio:3x3x8x16 pads=same"
    expected = reference.conv(x, w, (1, 1), "SAME", (1, 1))
    generic = engine.compile(text, engine="generic")
    assert generic.engine_name == "generic" and reference.close(generic(x, w), expected)
    assert convgen.Engine(cache_dir="").compile(text, mode="never").engine_name == "generic"
    background = convgen.Engine(cache_dir="")
    later = background.compile(text, mode="generic_first")
    packed = later.pack(w)
    assert reference.close(later(x, packed), expected)
    assert later.wait() and not later.is_pending and later.compile_error is None
    assert reference.close(later(x, packed), expected)


def test_verified_on_first_use():
    engine = convgen.Engine(cache_dir="", verify=True)
    assert engine.compile(TEXT).tasks >= 1


def test_a_lower_target(real):
    engine = convgen.Engine(cache_dir="", mcpu="x86-64-v2")
    assert "x86-64" in engine.target
    kernel = engine.compile("conv2d src=f32:nhwc:1x8x8x8 weights=f32:hwio:3x3x8x16")
    x, w = real(1, 8, 8, 8), real(3, 3, 8, 16)
    assert reference.close(kernel(x, w), reference.conv(x, w, (1, 1), "VALID", (1, 1)))


def test_the_default_engine_is_one():
    convgen.default_engine().compile(TEXT)
    assert convgen.default_engine().stats().kernels >= 1
