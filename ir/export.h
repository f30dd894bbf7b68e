// SPDX-License-Identifier: Apache-2.0
// What the shared libraries export; all else is hidden (docs/embedding.md).
#pragma once

// The API: classes with members defined in the library, and functions.
#define CONVGEN_API __attribute__((visibility("default")))

// No API: what libconvgen_jit takes from libconvgen_core beyond it. Both come from one build.
#define CONVGEN_SHARED __attribute__((visibility("default")))
