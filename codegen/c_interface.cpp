// SPDX-License-Identifier: Apache-2.0
#include "codegen/c_interface.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <map>

#include "codegen/compile.h"
#include "codegen/kernel_abi.h"
#include "codegen/packed_layout.h"
#include "ir/text.h"

namespace convgen::codegen {
namespace {

constexpr std::array kKeywords = std::to_array<std::string_view>(
    {"alignas",      "alignof",       "and",         "and_eq",    "asm",      "auto",
     "bitand",       "bitor",         "bool",        "break",     "case",     "catch",
     "char",         "class",         "compl",       "concept",   "const",    "consteval",
     "constexpr",    "constinit",     "const_cast",  "continue",  "co_await", "co_return",
     "co_yield",     "decltype",      "default",     "delete",    "do",       "double",
     "dynamic_cast", "else",          "enum",        "explicit",  "export",   "extern",
     "false",        "float",         "for",         "friend",    "goto",     "if",
     "inline",       "int",           "long",        "main",      "mutable",  "namespace",
     "new",          "noexcept",      "not",         "not_eq",    "nullptr",  "operator",
     "or",           "or_eq",         "private",     "protected", "public",   "register",
     "requires",     "restrict",      "return",      "short",     "signed",   "sizeof",
     "static",       "static_assert", "static_cast", "struct",    "switch",   "template",
     "this",         "thread_local",  "throw",       "true",      "try",      "typedef",
     "typeid",       "typename",      "union",       "unsigned",  "using",    "virtual",
     "void",         "volatile",      "while",       "xor",       "xor_eq",   "reinterpret_cast"});

bool is_word(unsigned char c) { return c == '_' || (c < 0x80 && std::isalnum(c) != 0); }

// What the functions of one convolution, and those of a library, are called.
constexpr std::array kFunctionSuffixes = std::to_array<std::string_view>(
    {"", "_run_tasks", "_tasks", "_scratch_bytes", "_pack_weights", "_packed_weights_bytes",
     "_src_elements", "_dst_elements", "_weights_elements"});
constexpr std::array kLibrarySuffixes = std::to_array<std::string_view>({"_level", "_bundle"});

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

KernelSizes kernel_sizes(const CFunction& function, const Schedule& schedule) {
  const ir::Conv& conv = function.conv;
  KernelSizes sizes;
  sizes.tasks = conv.dst_elements() == 0 ? 0 : count_tasks(conv, schedule);
  if (!function.constants) sizes.packed_elements = packed_layout(conv, schedule).elements();
  sizes.scratch_bytes = static_cast<int64_t>(scratch_bytes(conv, schedule));
  return sizes;
}

KernelSizes largest(std::span<const KernelSizes> sizes) {
  KernelSizes most;
  for (const KernelSizes& each : sizes) {
    most.tasks = std::max(most.tasks, each.tasks);
    most.packed_elements = std::max(most.packed_elements, each.packed_elements);
    most.scratch_bytes = std::max(most.scratch_bytes, each.scratch_bytes);
  }
  return most;
}

std::vector<CParameter> c_parameters(const CFunction& function) {
  constexpr std::string_view kIn = "const float*";
  const ir::Conv& conv = function.conv;
  std::vector<CParameter> parameters = {{"src", kIn, offsetof(KernelArgs, src)}};
  if (!function.constants)
    parameters.push_back({"weights_packed", kIn, offsetof(KernelArgs, weights)});
  if (conv.uses(ir::PostOpKind::kBias))
    parameters.push_back({"bias", kIn, offsetof(KernelArgs, bias)});
  if (conv.uses(ir::PostOpKind::kAdd))
    parameters.push_back({"add", kIn, offsetof(KernelArgs, add)});
  if (conv.uses(ir::PostOpKind::kScale))
    parameters.push_back({"scale", kIn, offsetof(KernelArgs, scale)});
  parameters.push_back({"dst", "float*", offsetof(KernelArgs, dst)});
  parameters.push_back({"scratch", "void*", offsetof(KernelArgs, scratch)});
  return parameters;
}

Status check_c_identifier(std::string_view field, std::string_view name) {
  const bool digit_first = !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) != 0;
  if (name.empty() || digit_first || !std::ranges::all_of(name, is_word))
    return invalid_argument(fmt::format("{}={}: expected a c identifier", field, name));
  if (std::ranges::find(kKeywords, name) != kKeywords.end())
    return invalid_argument(
        fmt::format("{}={}: is a word of c or c++, expected an identifier", field, name));
  return Status();
}

std::string c_identifier_of(std::string_view text) {
  std::string name;
  for (const char c : text) {
    if (is_word(static_cast<unsigned char>(c)))
      name += c;
    else if (!name.ends_with('_'))
      name += '_';
  }
  return name;
}

std::string c_name_of(const ir::Conv& conv) {
  return c_identifier_of(conv.name.empty() ? ir::print_conv(conv) : conv.name);
}

// By lower case, since macros are the names in upper case.
Status check_distinct(std::span<const CFunction> functions, std::string_view library) {
  std::map<std::string, std::string> owners;
  const auto claim = [&](const std::string& owner, std::span<const std::string_view> suffixes) {
    for (const std::string_view suffix : suffixes) {
      const auto [at, is_new] = owners.emplace(lower(owner + std::string(suffix)), owner);
      if (!is_new)
        return invalid_argument(fmt::format(
            "name={}: declares {}{}, as {} does, expected names that differ; name= sets a "
            "convolution's",
            owner, owner, suffix, at->second));
    }
    return Status();
  };
  if (!library.empty()) {
    if (Status status = claim(std::string(library), kLibrarySuffixes); !status.ok()) return status;
  }
  for (const CFunction& function : functions) {
    if (Status status = claim(function.name, kFunctionSuffixes); !status.ok()) return status;
  }
  return Status();
}

}  // namespace convgen::codegen
