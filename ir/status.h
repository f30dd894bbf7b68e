// SPDX-License-Identifier: Apache-2.0
// Status and Result: how every public function of convgen reports failure.
// Nothing here throws, prints or knows LLVM.
#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "ir/export.h"

namespace convgen {

enum class StatusCode {
  kOk,
  kInvalidArgument,    // the request breaks a rule; asking again cannot help
  kUnsupported,        // a legal request that this version does not serve yet
  kCompileFailed,      // the code generator refused or LLVM reported an error
  kResourceExhausted,  // memory, executable memory or a budget ran out
  kIoError,            // a file could not be read or written
  kInternal,           // a bug in convgen
};

// The code's name as users see it: "invalid_argument".
CONVGEN_API std::string_view status_code_name(StatusCode code);

// A code and, unless ok, a message: field, value found, rule; lower-case start, no full stop.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

CONVGEN_API Status invalid_argument(std::string message);
CONVGEN_API Status unsupported(std::string message);
CONVGEN_API Status compile_failed(std::string message);
CONVGEN_API Status resource_exhausted(std::string message);
CONVGEN_API Status io_error(std::string message);
CONVGEN_API Status internal_error(std::string message);

// A T, or the Status that says why there is none. Reading the wrong one is a bug (asserted).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                                        // NOLINT
  Result(Status status) : value_(std::move(status)) { assert(!this->status().ok()); }  // NOLINT

  bool ok() const { return value_.index() == 0; }
  explicit operator bool() const { return ok(); }
  Status status() const { return ok() ? Status() : std::get<1>(value_); }

  T& value() & { return std::get<0>(value_); }
  const T& value() const& { return std::get<0>(value_); }
  T&& value() && { return std::get<0>(std::move(value_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> value_;
};

}  // namespace convgen
