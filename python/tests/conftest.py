# SPDX-License-Identifier: Apache-2.0
import os

# What is kept in the user's cache must not decide a test; read when the default engine is made.
os.environ["CONVGEN_CACHE_DIR"] = ""

import numpy as np
import pytest


@pytest.fixture
def real():
    """real(2, 3): an array of float32, uniform in [-1, 1)."""
    rng = np.random.default_rng(1)
    return lambda *shape: rng.uniform(-1, 1, shape).astype(np.float32)


@pytest.fixture
def no_copies(monkeypatch):
    """Fails who copies an argument or makes room for a result."""
    def refuse(*args, **kwargs):
        raise AssertionError("an array was copied")
    monkeypatch.setattr(np, "array", refuse)
    monkeypatch.setattr(np, "copyto", refuse)


class Dlpack:
    """An array that offers __dlpack__ and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.fixture
def dlpack():
    return Dlpack
