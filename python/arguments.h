// SPDX-License-Identifier: Apache-2.0
// What every function reads its arguments with. All throw TypeError or InvalidArgument naming the
// argument.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace convgen::python {

namespace nb = nanobind;

// The name of an object's type, for messages.
std::string python_type(nb::handle object);

// An int or what can be an index.
int64_t read_int(nb::handle number, const char* name);

// The text of a str, which lives as long as the object.
std::string_view read_text(nb::handle text, const char* name, const char* expected);

// The items of a list, tuple or what else is a sequence, but not text. A tuple, since reading an
// item may run code that changes a list.
nb::tuple read_sequence(nb::handle object, const char* name, const char* expected);

}  // namespace convgen::python
