// SPDX-License-Identifier: Apache-2.0
// The library's version, and where each thread keeps its last error.
#include <fmt/format.h>

#include <string>

#include "runtime/c_api_support.h"

namespace convgen::c_api {
namespace {

// Each value of StatusCode is the number that C programs know.
static_assert(static_cast<int>(StatusCode::kOk) == CONVGEN_OK);
static_assert(static_cast<int>(StatusCode::kInvalidArgument) == CONVGEN_INVALID_ARGUMENT);
static_assert(static_cast<int>(StatusCode::kUnsupported) == CONVGEN_UNSUPPORTED);
static_assert(static_cast<int>(StatusCode::kCompileFailed) == CONVGEN_COMPILE_FAILED);
static_assert(static_cast<int>(StatusCode::kResourceExhausted) == CONVGEN_RESOURCE_EXHAUSTED);
static_assert(static_cast<int>(StatusCode::kIoError) == CONVGEN_IO_ERROR);
static_assert(static_cast<int>(StatusCode::kInternal) == CONVGEN_INTERNAL);

constexpr const char* kOutOfMemory = "memory: the allocation failed";

thread_local std::string last_text;
// Outranks last_text where there was no memory for one.
thread_local const char* last_fixed = nullptr;

}  // namespace

convgen_status fail(StatusCode code, const char* message) noexcept {
  try {
    last_text = message;
    last_fixed = nullptr;
  } catch (...) {
    last_fixed = kOutOfMemory;
  }
  return static_cast<convgen_status>(code);
}

convgen_status fail_out_of_memory() noexcept {
  last_fixed = kOutOfMemory;
  return CONVGEN_RESOURCE_EXHAUSTED;
}

Status missing(const char* name) { return invalid_argument(fmt::format("{}: null", name)); }

Status wrong_size(const char* name, size_t found, size_t first, size_t known) {
  if (found < first)
    return invalid_argument(
        fmt::format("{}.size: {} found, at least {} are needed; begin with its CONVGEN_..._INIT",
                    name, found, first));
  return unsupported(
      fmt::format("{}.size: {} found, this library knows {}; the program was compiled for a later "
                  "version than {}",
                  name, found, known, CONVGEN_VERSION));
}

Status check_choice(const char* name, int32_t value, int32_t choices) {
  if (value >= 0 && value < choices) return Status();
  return invalid_argument(fmt::format("{}: {} found, expected 0 to {}", name, value, choices - 1));
}

Status check_at_least(const char* name, int64_t value, int64_t least) {
  if (value >= least) return Status();
  return invalid_argument(fmt::format("{}: {} found, must be at least {}", name, value, least));
}

}  // namespace convgen::c_api

uint32_t convgen_abi_version(void) noexcept { return CONVGEN_ABI_VERSION; }

const char* convgen_version(void) noexcept { return CONVGEN_VERSION; }

const char* convgen_status_name(convgen_status status) noexcept {
  return convgen::status_code_name(static_cast<convgen::StatusCode>(status)).data();
}

const char* convgen_last_error(void) noexcept {
  using namespace convgen::c_api;
  return last_fixed != nullptr ? last_fixed : last_text.c_str();
}
