// SPDX-License-Identifier: Apache-2.0
// Shape inference where the system gives no pipe or no process: an error that says so.
#include "tools/onnx_import/inference_process.h"

#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/tools/onnx_import/import_support.h"

namespace convgen::onnx_import {
namespace {

using testing::kNoWay;
using testing::ModelBuilder;

constexpr int kRight = 0, kWrong = 1;

bool forbid(__rlimit_resource resource, rlim_t most) {
  const rlimit limit = {most, most};
  return setrlimit(resource, &limit) == 0;
}

// Made before anything is forbidden: UBSan looks at objects through a pipe.
std::string some_model() {
  ModelBuilder net;
  net.output(net.conv(net.input("x", {1, 2, 4, 4}), {}));
  return net.bytes();
}

int expect_exhausted(const std::string& model, const std::string& words) {
  const Status status = testing::import_status(model);
  const bool right =
      status.code() == StatusCode::kResourceExhausted && status.message().starts_with(words);
  if (!right) std::fprintf(stderr, "%s\n", status.message().c_str());
  return right ? kRight : kWrong;
}

TEST(InferenceProcessTest, NoPipe) {
  const std::string model = some_model();
  const int result = testing::run_in_child(
      [&] { return forbid(RLIMIT_NOFILE, 3) ? expect_exhausted(model, "no pipe: ") : kNoWay; });
  if (result == kNoWay) GTEST_SKIP() << "the number of files cannot be limited";
  EXPECT_EQ(result, kRight);
}

// No limit holds for root, so root becomes somebody else before.
TEST(InferenceProcessTest, NoProcess) {
  constexpr uid_t kNobody = 65534;
  const std::string model = some_model();
  const int result = testing::run_in_child([&] {
    if (geteuid() == 0 && setuid(kNobody) != 0) return kNoWay;
    return forbid(RLIMIT_NPROC, 0) ? expect_exhausted(model, "no process: ") : kNoWay;
  });
  if (result == kNoWay) GTEST_SKIP() << "the number of processes cannot be limited";
  EXPECT_EQ(result, kRight);
}

}  // namespace
}  // namespace convgen::onnx_import
