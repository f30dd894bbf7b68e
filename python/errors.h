// SPDX-License-Identifier: Apache-2.0
// From Status to exceptions: convgen.Error and one subclass a code, each also the exception of
// Python's own that means the same.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>
#include <utility>

#include "ir/status.h"

namespace convgen::python {

namespace nb = nanobind;

void bind_errors(nb::module_& m);

// The exception of status, as an object.
nb::object make_error(const Status& status);

[[noreturn]] void raise(const Status& status);
[[noreturn]] void raise_type_error(const std::string& message);

inline void check(const Status& status) {
  if (!status.ok()) raise(status);
}

template <typename T>
T unwrap(Result<T> result) {
  if (!result.ok()) raise(result.status());
  return std::move(result).value();
}

// An optional message: None where status is ok.
nb::object message_or_none(const Status& status);

}  // namespace convgen::python
