# SPDX-License-Identifier: Apache-2.0
"""The GIL is released where it can be; many threads, pools of threads, forked processes."""

import concurrent.futures
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import convgen
import reference


def runs_beside(call):
    """True where this thread got to run while another one was inside call(i). The interpreter takes
    the GIL from nobody meanwhile, so that only who lets go of it can be seen inside."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e6)
    inside, seen, stop = [False], [False], threading.Event()

    def work():
        for i in range(500):
            if seen[0]:
                return
            inside[0] = True
            call(i)
            inside[0] = False
            stop.wait(1e-4)  # lets the other look outside too, else it might never run

    worker = threading.Thread(target=work)
    worker.start()
    try:
        while worker.is_alive() and not seen[0]:
            seen[0] = inside[0]
            stop.wait(1e-5)
    finally:
        worker.join()
        sys.setswitchinterval(interval)
    return seen[0]


def test_a_call_that_keeps_the_gil_is_noticed():
    x = np.zeros(100, np.float32)
    assert not runs_beside(lambda i: x.sum() if i < 50 else None)


def test_compile_releases_the_gil():
    engine = convgen.Engine(cache_dir="")
    text = "conv2d src=f32:nhwc:1x{}x56x64 weights=f32:hwio:3x3x64x64 pads=same"
    assert runs_beside(lambda i: engine.compile(text.format(10 + i)))


def test_run_releases_the_gil(real):
    kernel = convgen.default_engine().compile(
        "conv2d src=f32:nhwc:1x112x112x32 weights=f32:hwio:3x3x32x64 pads=same")
    x, packed = real(1, 112, 112, 32), kernel.pack(real(3, 3, 32, 64))
    out = kernel(x, packed)
    assert runs_beside(lambda i: kernel(x, packed, out=out))


def test_functions_release_the_gil(real):
    x, w = real(1, 112, 112, 32), real(3, 3, 32, 64)
    out = convgen.conv2d(x, w)
    assert runs_beside(lambda i: convgen.conv2d(x, w, out=out, threads=1))


def test_many_threads(real):
    """Eight threads compile and run what they share and what they do not."""
    engine = convgen.Engine(cache_dir="")
    x, w = real(1, 12, 16, 8), real(3, 3, 8, 16)
    expected = reference.conv(x, w, (1, 1), "SAME", (1, 1))

    def work(thread):
        for i in range(6):
            found = convgen.conv2d(x, w, padding="SAME", threads=1 + i % 3)
            assert reference.close(found, expected)
            rows = 4 + i % 5
            kernel = engine.compile(
                f"conv2d src=f32:nhwc:1x{rows}x16x8 weights=f32:hwio:3x3x8x16 pads=1x1", threads=2)
            found = kernel(np.ascontiguousarray(x[:, :rows]), kernel.pack(w))
            assert reference.close(found[:, :rows - 1], expected[:, :rows - 1])
            if i == thread:
                convgen.clear_cache()
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_bits_do_not_depend_on_threads(real, threads):
    x, w = real(1, 30, 31, 16), real(3, 3, 16, 32)
    kernel = convgen.default_engine().compile(
        "conv2d src=f32:nhwc:1x30x31x16 weights=f32:hwio:3x3x16x32 pads=same", threads=2)
    np.testing.assert_array_equal(kernel(x, w, threads=threads), kernel(x, w, threads=1))


def run_python(code):
    """In a process of its own, which must end by itself."""
    return subprocess.run([sys.executable, "-c", code], timeout=300, capture_output=True, text=True)


def test_a_forked_child_has_threads_again():
    done = run_python("""
import os, numpy as np, convgen
x, w = np.ones((1, 64, 64, 16), np.float32), np.ones((3, 3, 16, 32), np.float32)
expected = convgen.conv2d(x, w, threads=2)
child = os.fork()
if child == 0:
    os._exit(0 if (convgen.conv2d(x, w, threads=2) == expected).all() else 7)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""")
    assert done.returncode == 0, done.stderr


def test_an_exit_while_something_is_compiled():
    done = run_python("""
import convgen
engine = convgen.Engine(cache_dir="")
text = "conv2d src=f32:nhwc:1x{}x56x64 weights=f32:hwio:3x3x64x64 pads=same"
kernels = [engine.compile(text.format(h), mode="generic_first") for h in range(10, 20)]
loop = [engine, kernels]
loop.append(loop)
""")
    assert done.returncode == 0 and done.stderr == ""
