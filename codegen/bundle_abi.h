// SPDX-License-Identifier: Apache-2.0
// The table at the end of a bundle, as emitted: what finds its kernels by what they compute. All
// fields are eight bytes, in this order.
#pragma once

#include <cstdint>

#include "codegen/kernel_abi.h"

inline constexpr int64_t kConvgenBundleAbi = 1;

// One convolution at one level.
struct convgen_bundle_entry {
  const char* conv;        // canonical text
  const float* constants;  // conv.weights_elements() values in its layout; null: come with calls
  int64_t assume_finite;
  const char* level;       // "x86-64-v3"
  const char* target;      // Target::key()
  const char* schedule;    // print_schedule()
  const char* packed_tag;  // packed_tag()
  convgen::codegen::KernelFunction function;
  void (*pack)(const float* weights, float* packed);  // null where constants are given
  int64_t tasks;
  int64_t packed_elements;
  int64_t scratch_bytes;
  int64_t winograd_tile;  // 0: not by Winograd
};

struct convgen_bundle {
  int64_t abi_version;
  int64_t levels;
  int64_t convs;
  const convgen_bundle_entry* entries;  // [conv][level], the best level first
  int32_t (*level)();                   // the first level that this CPU runs, -1 for none
};
