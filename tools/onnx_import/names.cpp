// SPDX-License-Identifier: Apache-2.0
// Labels for convolutions.
#include "tools/onnx_import/names.h"

#include <fmt/format.h>

namespace convgen::onnx_import {
namespace {

constexpr std::string_view kKept =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
constexpr size_t kMaxLength = 120;  // a file name holds 255 bytes, and suffixes follow

std::string clean(std::string_view wanted) {
  // A label begins with a letter: no hidden files, nothing that looks like an option or a number.
  const size_t begin = wanted.find_first_of(kKept.substr(0, 62));
  if (begin == wanted.npos) return "conv";
  std::string name(wanted.substr(begin, kMaxLength));
  if (name[0] >= '0' && name[0] <= '9') name = "conv_" + name;
  for (char& c : name) {
    if (kKept.find(c) == kKept.npos) c = '_';
  }
  return name;
}

}  // namespace

std::string Names::unique(std::string_view wanted) {
  const std::string base = clean(wanted);
  std::string name = base;
  while (!given_.insert(name).second) {
    int& number = last_number_.try_emplace(base, 1).first->second;
    name = fmt::format("{}_{}", base, ++number);
  }
  return name;
}

}  // namespace convgen::onnx_import
