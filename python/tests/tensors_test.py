# SPDX-License-Identifier: Apache-2.0
"""What is taken where it lies, what is copied, who owns results; DLPack in and out."""

import numpy as np
import pytest

import convgen
import reference

TEXT = "conv2d src=f32:nhwc:1x6x7x3 weights=f32:hwio:3x3x3x8 pads=same"


@pytest.fixture
def tensors(real):
    x, w = real(1, 6, 7, 3), real(3, 3, 3, 8)
    return x, w, reference.conv(x, w, (1, 1), "SAME", (1, 1))


@pytest.fixture
def kernel():
    return convgen.default_engine().compile(TEXT)


def in_order(array, axes):
    """The same values, the axes lying in memory in this order."""
    return np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))


def test_dense_arrays_are_not_copied(tensors, no_copies):
    x, w, expected = tensors
    out = np.empty((1, 6, 7, 8), np.float32)
    assert convgen.conv2d(x, w, padding="SAME", out=out) is out
    assert reference.close(out, expected)


def test_views_of_the_other_channel_order_are_not_copied(tensors, monkeypatch):
    x, w, expected = tensors
    x, w = in_order(x, (0, 3, 1, 2)), in_order(w, (3, 2, 0, 1))
    out = in_order(np.empty((1, 6, 7, 8), np.float32), (0, 3, 1, 2))
    assert not (x.flags.c_contiguous or w.flags.c_contiguous or out.flags.c_contiguous)
    monkeypatch.setattr(np, "array", None)
    monkeypatch.setattr(np, "copyto", None)
    assert convgen.conv2d(x, w, padding="SAME", out=out) is out
    assert reference.close(out, expected)


def test_depthwise_filter_of_torch_is_not_copied(real, monkeypatch):
    x, w = real(1, 6, 7, 4), real(3, 3, 4, 2)
    expected = reference.depthwise(x, w, (1, 1), "VALID", (1, 1))
    w = in_order(w, (2, 3, 0, 1))
    monkeypatch.setattr(np, "array", None)
    assert reference.close(convgen.depthwise_conv2d(x, w), expected)


@pytest.mark.parametrize("spoil", [
    lambda a: np.repeat(a, 2, axis=-2)[..., ::2, :],
    lambda a: np.ascontiguousarray(a[::-1])[::-1],
    lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(np.float32).reshape(a.shape),
    lambda a: in_order(a, (2, 1, 0, 3)),
    lambda a: np.asfortranarray(a),
], ids=["gaps", "reversed", "unaligned", "other_order", "fortran"])
def test_what_is_not_dense_is_copied(tensors, spoil):
    x, w, expected = tensors
    assert reference.close(convgen.conv2d(spoil(x), spoil(w), padding="SAME"), expected)


def test_an_output_that_is_not_dense_is_written_by_a_copy(tensors):
    x, w, expected = tensors
    whole = np.full((1, 6, 14, 8), 7, np.float32)
    out = whole[:, :, ::2]
    assert convgen.conv2d(x, w, padding="SAME", out=out) is out
    assert reference.close(out, expected) and (whole[:, :, 1::2] == 7).all()


def test_broadcast_operands_are_copied(tensors):
    x, w, expected = tensors
    ones = np.broadcast_to(np.float32(1), (8,))
    add = np.broadcast_to(np.float32(1), (1, 6, 7, 8))
    found = convgen.conv2d(x, w, padding="SAME", bias=ones, add=add, activation="add")
    assert reference.close(found, expected + 2)


def test_add_may_lie_as_out_does(tensors, real):
    x, w, expected = tensors
    add = real(1, 6, 7, 8)
    for axes in [(0, 1, 2, 3), (0, 3, 1, 2)]:
        for out_axes in [(0, 1, 2, 3), (0, 3, 1, 2)]:
            out = in_order(np.empty_like(add), out_axes)
            convgen.conv2d(x, w, padding="SAME", add=in_order(add, axes), activation="add", out=out)
            assert reference.close(out, expected + add)


def test_add_may_be_out(tensors, real, kernel):
    x, w, expected = tensors
    add = real(1, 6, 7, 8)
    out = add.copy()
    convgen.conv2d(x, w, padding="SAME", add=out, activation="add", out=out)
    assert reference.close(out, expected + add)


def test_out_must_not_share_memory(real, kernel):
    memory = real(1000)
    x, out = memory[:126].reshape(1, 6, 7, 3), memory[100:436].reshape(1, 6, 7, 8)
    w = real(3, 3, 3, 8)
    with pytest.raises(convgen.InvalidArgument, match="^out: shares memory with x"):
        convgen.conv2d(x, w, padding="SAME", out=out)
    with pytest.raises(convgen.InvalidArgument, match="^out: shares memory with src"):
        kernel(x, w, out=out)
    with pytest.raises(convgen.InvalidArgument, match="^out: shares memory with add"):
        convgen.conv2d(real(1, 6, 7, 3), w, padding="SAME", add=memory[1:337].reshape(1, 6, 7, 8),
                       activation="add", out=memory[:336].reshape(1, 6, 7, 8))
    apart = memory[126:462].reshape(1, 6, 7, 8)
    convgen.conv2d(x, w, padding="SAME", out=apart)


def test_a_kernel_copies_nothing(tensors, kernel, no_copies):
    x, w, expected = tensors
    packed = kernel.pack(w)
    out = np.empty((1, 6, 7, 8), np.float32)
    assert kernel(x, packed, out=out) is out
    assert reference.close(out, expected)
    assert reference.close(kernel(x, w), expected)


def test_axes_of_one_element_may_have_any_stride(tensors, kernel):
    x, w, expected = tensors
    odd = np.lib.stride_tricks.as_strided(x, x.shape, (4, *x.strides[1:]))
    assert reference.close(kernel(odd, w), expected)


def test_a_kernel_refuses_what_is_not_dense(tensors, kernel):
    x, w, _ = tensors
    for bad in [np.asfortranarray(x), in_order(x, (0, 3, 1, 2)), x[:, :, ::-1]]:
        with pytest.raises(convgen.InvalidArgument, match="^src: its memory is not dense.* nhwc"):
            kernel(bad, w)
    with pytest.raises(convgen.InvalidArgument, match="^out: its memory is not dense"):
        kernel(x, w, out=np.empty((1, 6, 14, 8), np.float32)[:, :, ::2])


def test_a_kernel_takes_the_view_whose_memory_is_its_layout(tensors):
    x, w, expected = tensors
    kernel = convgen.default_engine().compile(
        "conv2d src=f32:nchw:1x3x6x7 weights=f32:hwio:3x3x3x8 pads=same dst=f32:nhwc")
    view = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    assert reference.close(kernel(view, w), expected)
    assert reference.close(kernel(in_order(x, (0, 3, 1, 2)).transpose(0, 3, 1, 2), w), expected)


def test_dlpack_in(tensors, kernel, dlpack, no_copies):
    x, w, expected = tensors
    out = np.empty((1, 6, 7, 8), np.float32)
    wrapped = dlpack(out)
    assert convgen.conv2d(dlpack(x), dlpack(w), padding="SAME", out=wrapped) is wrapped
    assert reference.close(out, expected)
    assert reference.close(kernel(dlpack(x), dlpack(w)), expected)


def test_dlpack_in_that_is_not_dense(tensors, dlpack):
    x, w, expected = tensors
    whole = np.zeros((1, 6, 14, 8), np.float32)
    out = dlpack(whole[:, :, ::2])
    assert convgen.conv2d(dlpack(np.asfortranarray(x)), w, padding="SAME", out=out) is out
    assert reference.close(whole[:, :, ::2], expected)


def test_dlpack_out(tensors):
    x, w, expected = tensors
    y = convgen.conv2d(x, w, padding="SAME")
    again = np.from_dlpack(y)
    assert np.shares_memory(again, y) and reference.close(again, expected)


def test_dlpack_of_another_device_or_dtype(tensors, dlpack):
    x, w, _ = tensors
    with pytest.raises(TypeError, match="^x: .* expected"):
        convgen.conv2d(dlpack(x.astype(np.float64)), w)


def test_torch(tensors):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, w, expected = tensors
    out = torch.empty(1, 6, 7, 8)
    assert convgen.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding="SAME", out=out) is out
    assert reference.close(out.numpy(), expected)
    y = torch.from_dlpack(convgen.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding="SAME"))
    assert reference.close(y.numpy(), expected)


def test_jax(tensors):
    jax = pytest.importorskip("jax", reason="jax is not installed")
    x, w, expected = tensors
    found = convgen.conv2d(jax.numpy.asarray(x), jax.numpy.asarray(w), padding="SAME")
    assert reference.close(found, expected)
    with pytest.raises(ValueError, match="^out: is read-only"):
        convgen.conv2d(x, w, padding="SAME", out=jax.numpy.zeros((1, 6, 7, 8)))


def test_results_outlive_everything(tensors):
    x, w, expected = tensors
    engine = convgen.Engine(cache_dir="")
    kernel = engine.compile(TEXT)
    y = kernel(x.copy(), kernel.pack(w))
    del engine, kernel
    convgen.clear_cache()
    assert reference.close(y, expected)


def test_a_kernel_outlives_its_engine(tensors):
    x, w, expected = tensors
    kernel = convgen.Engine(cache_dir="").compile(TEXT)
    assert reference.close(kernel(x, w), expected)
