// SPDX-License-Identifier: Apache-2.0
// Handles of the C interface that free themselves, and what calls must come to. Like
// tests/support/c_api.h, but without GoogleTest.
#pragma once

#include <memory>

#include "runtime/convgen.h"
#include "tests/fuzz/inputs/expect.h"

namespace convgen::fuzz_inputs {

template <auto kFree>
struct Free {
  template <typename Handle>
  void operator()(Handle* handle) const {
    kFree(handle);
  }
};
using Conv = std::unique_ptr<convgen_conv, Free<convgen_conv_free>>;
using Engine = std::unique_ptr<convgen_engine, Free<convgen_engine_free>>;
using Kernel = std::unique_ptr<convgen_kernel, Free<convgen_kernel_free>>;
using Packed = std::unique_ptr<convgen_packed_weights, Free<convgen_packed_weights_free>>;
using Pool = std::unique_ptr<convgen_thread_pool, Free<convgen_thread_pool_free>>;
using TuneResult = std::unique_ptr<convgen_tune_result, Free<convgen_tune_result_free>>;

inline void expect_done(convgen_status status) {
  expect(status == CONVGEN_OK, "a legal call succeeds", convgen_last_error());
}
inline void expect_refused(convgen_status status) {
  expect(status != CONVGEN_OK && status != CONVGEN_INTERNAL, "an illegal call is refused");
  expect_message(convgen_last_error());
}
// Whichever it is, a handle is there just where the call succeeded.
inline void expect_either(convgen_status status, const void* handle) {
  expect((status == CONVGEN_OK) == (handle != nullptr), "handles come with success alone");
  if (status != CONVGEN_OK) expect_refused(status);
}

}  // namespace convgen::fuzz_inputs
