# SPDX-License-Identifier: Apache-2.0
"""convgen: convolutions compiled at run time, one at a time.

    y = convgen.conv2d(x, w, strides=2, padding="SAME", bias=b, activation="relu")

calls a kernel that is made for just these shapes by the first call and remembered. Engine, Conv
and Kernel are what lies underneath.
"""

from ._convgen import (
    CompileFailed,
    CompileStats,
    Conv,
    Engine,
    EngineStats,
    Error,
    Explanation,
    InternalError,
    InvalidArgument,
    IoError,
    Kernel,
    PackedWeights,
    PeakRate,
    ResourceExhausted,
    Unsupported,
    VerifyReport,
    __version__,
    clear_cache,
    conv1d,
    conv2d,
    conv3d,
    default_engine,
    depthwise_conv2d,
    emit,
    explain,
    llvm_version,
    measure_peak,
    verify,
)

__all__ = [
    "CompileFailed",
    "CompileStats",
    "Conv",
    "Engine",
    "EngineStats",
    "Error",
    "Explanation",
    "InternalError",
    "InvalidArgument",
    "IoError",
    "Kernel",
    "PackedWeights",
    "PeakRate",
    "ResourceExhausted",
    "Unsupported",
    "VerifyReport",
    "__version__",
    "clear_cache",
    "conv1d",
    "conv2d",
    "conv3d",
    "default_engine",
    "depthwise_conv2d",
    "emit",
    "explain",
    "llvm_version",
    "measure_peak",
    "verify",
]

# Tracebacks and pickles name the package, not the extension inside of it.
for _error in (Error, InvalidArgument, Unsupported, CompileFailed, ResourceExhausted, IoError,
               InternalError):
    _error.__module__ = __name__
del _error
