// SPDX-License-Identifier: Apache-2.0
// RequestKey: what Engine::compile was asked for, as bytes that are equal where it was the same. A
// lookup makes one each time, so it is made of plain copies, on the stack for all but constant
// weights; the text of the convolution would take five times as long.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "ir/constant_weights.h"
#include "ir/conv.h"
#include "ir/export.h"
#include "runtime/engine.h"

namespace convgen {

class RequestKey {
 public:
  using Bytes = fmt::basic_memory_buffer<char, 512>;

  // By value: no two convolutions, engines, schedule words, numbers of threads or weights share a
  // key. How long to wait for the kernel is no part of it. constants: null for none.
  RequestKey(const ir::Conv& conv, const CompileOptions& options, const ConstantWeights* constants);

  std::string_view view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  Bytes bytes_;
};

// Weights as they stand in a key.
CONVGEN_SHARED std::string_view bytes_of(const ConstantWeights& constants);

// What weights add to a key that is text; null: nothing. By value: a key that held only a hash of
// them could be met by others.
CONVGEN_SHARED std::string key_of(const ConstantWeights* constants);

}  // namespace convgen
