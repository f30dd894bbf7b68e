// SPDX-License-Identifier: Apache-2.0
#include "python/arguments.h"

#include <fmt/format.h>

#include "python/errors.h"

namespace convgen::python {
namespace {

[[noreturn]] void raise_unexpected(nb::handle object, const char* name, const char* expected) {
  raise_type_error(fmt::format("{}: {} found, expected {}", name, python_type(object), expected));
}

}  // namespace

std::string python_type(nb::handle object) { return Py_TYPE(object.ptr())->tp_name; }

int64_t read_int(nb::handle number, const char* name) {
  const nb::object index = nb::steal(PyNumber_Index(number.ptr()));
  if (!index.is_valid()) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw nb::python_error();
    PyErr_Clear();
    raise_unexpected(number, name, "an int");
  }
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow != 0) raise(invalid_argument(fmt::format("{}: does not fit int64", name)));
  return value;
}

std::string_view read_text(nb::handle text, const char* name, const char* expected) {
  if (!PyUnicode_Check(text.ptr())) raise_unexpected(text, name, expected);
  Py_ssize_t size = 0;
  const char* bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (bytes == nullptr) throw nb::python_error();
  return {bytes, static_cast<size_t>(size)};
}

nb::tuple read_sequence(nb::handle object, const char* name, const char* expected) {
  const bool is_text = PyUnicode_Check(object.ptr()) || PyBytes_Check(object.ptr());
  if (is_text || !PySequence_Check(object.ptr())) raise_unexpected(object, name, expected);
  PyObject* items = PySequence_Tuple(object.ptr());
  if (items == nullptr) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw nb::python_error();
    PyErr_Clear();
    raise_unexpected(object, name, expected);
  }
  return nb::steal<nb::tuple>(items);
}

}  // namespace convgen::python
