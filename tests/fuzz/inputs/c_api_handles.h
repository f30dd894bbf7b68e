// SPDX-License-Identifier: Apache-2.0
// Handles of the C interface, and what calls must come to. Like tests/support/c_api.h, but without
// GoogleTest.
#pragma once

#include "runtime/convgen.h"
#include "tests/fuzz/inputs/expect.h"
#include "tests/support/c_handles.h"

namespace convgen::fuzz_inputs {

using Conv = testing::CConv;
using Engine = testing::CEngine;
using Kernel = testing::CKernel;
using Packed = testing::CPacked;
using Pool = testing::CPool;
using TuneResult = testing::CTuneResult;

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
