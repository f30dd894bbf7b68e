// SPDX-License-Identifier: Apache-2.0
// ConvTexts: convolutions by the very text they were asked for with. Reading a text takes some
// microseconds, finding it again a tenth of one.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ir/conv.h"
#include "ir/status.h"

namespace convgen {

class ConvTexts {
 public:
  // ir::parse_conv, its errors among it, remembered. Thread-safe.
  Result<std::shared_ptr<const ir::Conv>> find_or_parse(std::string_view text);

 private:
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  // Programs know a few hundred convolutions; one that makes them up all the time starts again.
  static constexpr size_t kMostTexts = 4096;

  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const ir::Conv>, TextHash, std::equal_to<>>
      convs_;
};

}  // namespace convgen
