#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fits the polynomials of codegen/vector_math.cpp and prints them as C arrays.

Near-minimax by interpolation in Chebyshev points (mpmath.chebyfit), rounded to f32. Needs mpmath.
The errors that count are measured on the emitted code by tests/codegen/vector_math_test.cpp.
"""
import struct

from mpmath import chebyfit, erf, erfc, exp, expm1, mp, mpf, polyval, sqrt, tanh

mp.dps = 40


def to_f32(value):
    return struct.unpack("f", struct.pack("f", float(value)))[0]


def fit(name, function, interval, degree):
    """Coefficients of function on interval, lowest power first."""
    coefficients = chebyfit(function, interval, degree + 1)
    rounded = [to_f32(c) for c in coefficients]
    points = [interval[0] + (interval[1] - interval[0]) * mpf(i) / 2000 for i in range(2001)]
    error = max(abs(polyval([mpf(c) for c in rounded], x) / function(x) - 1) for x in points)
    text = ", ".join(f"{c:.9g}f" for c in reversed(rounded))
    print(f"// on [{float(interval[0]):.4g}, {float(interval[1]):.4g}], relative error {float(error):.2g}")
    print(f"constexpr float {name}[] = {{{text}}};")


tiny = mpf(10) ** -12
# e^r = 1 + r + r^2 q(r)
fit("kExp", lambda r: (expm1(r) - r) / r**2 if abs(r) > tiny else mpf(1) / 2,
    [mpf("-0.3467"), mpf("0.3467")], 4)
# e^x - 1 = x + x^2 q(x) on the left of 0
fit("kExpm1", lambda r: (expm1(r) - r) / r**2 if abs(r) > tiny else mpf(1) / 2,
    [mpf("-0.5"), mpf(0)], 5)
# tanh x = x + x z p(z), z = x^2
fit("kTanh", lambda z: (tanh(sqrt(z)) / sqrt(z) - 1) / z if z > tiny else mpf(-1) / 3,
    [mpf(0), mpf("0.390625")], 5)
# erf x = x + x p(z), z = x^2
fit("kErf", lambda z: erf(sqrt(z)) / sqrt(z) - 1 if z > tiny else 2 / sqrt(mp.pi) - 1,
    [mpf(0), mpf(1)], 7)
# erfc x = e^(-x^2) p(1 / x)
fit("kErfc", lambda t: erfc(1 / t) * exp(1 / t**2), [mpf("0.25"), mpf(1)], 9)
