// SPDX-License-Identifier: Apache-2.0
// Handles of the C interface that free themselves.
#pragma once

#include <memory>

#include "runtime/convgen.h"

namespace convgen::testing {

template <auto kFree>
struct Free {
  template <typename Handle>
  void operator()(Handle* handle) const {
    kFree(handle);
  }
};
using CConv = std::unique_ptr<convgen_conv, Free<convgen_conv_free>>;
using CEngine = std::unique_ptr<convgen_engine, Free<convgen_engine_free>>;
using CKernel = std::unique_ptr<convgen_kernel, Free<convgen_kernel_free>>;
using CPacked = std::unique_ptr<convgen_packed_weights, Free<convgen_packed_weights_free>>;
using CPool = std::unique_ptr<convgen_thread_pool, Free<convgen_thread_pool_free>>;
using CTuneResult = std::unique_ptr<convgen_tune_result, Free<convgen_tune_result_free>>;

}  // namespace convgen::testing
