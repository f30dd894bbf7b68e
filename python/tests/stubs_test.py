# SPDX-License-Identifier: Apache-2.0
"""The type stubs are installed, are Python, and name what there is."""

import ast
import inspect
import pathlib
import subprocess
import sys

import pytest

import convgen

PACKAGE = pathlib.Path(convgen.__file__).parent


def stub_names(nodes):
    return {node.name for node in nodes if isinstance(node, (ast.ClassDef, ast.FunctionDef))}


@pytest.fixture(scope="module")
def stub():
    return ast.parse((PACKAGE / "_convgen.pyi").read_text())


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").exists()


def test_every_name_has_a_stub(stub):
    missing = set(convgen.__all__) - stub_names(stub.body) - {"__version__"}
    assert not missing


def test_every_member_has_a_stub(stub):
    for node in stub.body:
        real = getattr(convgen, getattr(node, "name", ""), None)
        if not isinstance(node, ast.ClassDef) or real is None or issubclass(real, Exception):
            continue
        members = {name for name in vars(real) if not name.startswith("_")}
        assert members == {n for n in stub_names(node.body) if not n.startswith("_")}, node.name


def test_every_function_says_its_types(stub):
    for node in ast.walk(stub):
        if isinstance(node, ast.FunctionDef):
            arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            untyped = [a.arg for a in arguments if a.annotation is None and a.arg != "self"]
            assert node.returns is not None and not untyped, node.name


def test_mypy_agrees(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    program = tmp_path / "use.py"
    program.write_text(inspect.cleandoc("""
        import numpy as np
        import convgen
        x = np.ones((1, 6, 7, 3), np.float32)
        y = convgen.conv2d(x, np.ones((3, 3, 3, 8), np.float32), strides=[1, 2], padding="SAME")
        kernel: convgen.Kernel = convgen.Engine(cache_dir="").compile("conv2d")
        z: np.ndarray = kernel(x, kernel.pack(x), out=y)
        shape: tuple[int, ...] = kernel.conv.dst_shape
    """))
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", str(program)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
