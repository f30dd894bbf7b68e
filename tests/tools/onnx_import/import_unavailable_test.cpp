// SPDX-License-Identifier: Apache-2.0
// What says `import` where its component is not there.
#include <gtest/gtest.h>

#include "tools/onnx_import/import.h"

namespace convgen::onnx_import {
namespace {

TEST(ImportUnavailableTest, NamesTheComponent) {
  const Status status = import_model("model.onnx", {}).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.message().find("CONVGEN_BUILD_ONNX"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace convgen::onnx_import
