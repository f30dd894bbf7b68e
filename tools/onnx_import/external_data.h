// SPDX-License-Identifier: Apache-2.0
// Tensors that lie in files beside the model. A model may name any path, so the kernel resolves it
// beneath the model's directory and nowhere else, and only plain files with one name are read.
#pragma once

#include <cstdint>
#include <string>

#include "ir/status.h"

namespace convgen::onnx_import {

class ExternalData {
 public:
  // An empty directory allows none.
  explicit ExternalData(std::string directory = "") : directory_(std::move(directory)) {}

  bool allowed() const { return !directory_.empty(); }

  // `bytes` bytes at `offset` of the file `location`. Errors: invalid_argument where the path leads
  // outside, is no regular file, has other hard links or is too short; io_error.
  Result<std::string> read(const std::string& location, int64_t offset, int64_t bytes) const;

 private:
  std::string directory_;
};

}  // namespace convgen::onnx_import
