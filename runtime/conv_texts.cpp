// SPDX-License-Identifier: Apache-2.0
#include "runtime/conv_texts.h"

#include <utility>

#include "ir/text.h"

namespace convgen {

Result<std::shared_ptr<const ir::Conv>> ConvTexts::find_or_parse(std::string_view text) {
  {
    std::lock_guard lock(mutex_);
    if (auto found = convs_.find(text); found != convs_.end()) return found->second;
  }
  auto conv = ir::parse_conv(text);
  if (!conv) return conv.status();
  auto shared = std::make_shared<const ir::Conv>(*std::move(conv));
  std::lock_guard lock(mutex_);
  if (convs_.size() >= kMostTexts) convs_.clear();
  convs_.emplace(text, shared);
  return shared;
}

}  // namespace convgen
