// SPDX-License-Identifier: Apache-2.0
#include "python/errors.h"

#include <array>

namespace convgen::python {
namespace {

constexpr size_t kCodes = static_cast<size_t>(StatusCode::kInternal) + 1;

// Index 0, the code of success, is the base class. They live as long as the process, as the
// extension does.
std::array<PyObject*, kCodes> error_types;

nb::object add_type(nb::module_& m, const char* name, const char* doc, nb::handle bases) {
  const std::string qualified = nb::cast<std::string>(m.attr("__name__")) + "." + name;
  PyObject* type = PyErr_NewExceptionWithDoc(qualified.c_str(), doc, bases.ptr(), nullptr);
  if (type == nullptr) throw nb::python_error();
  m.attr(name) = nb::handle(type);
  return nb::steal(type);
}

void add_code(nb::module_& m, StatusCode code, const char* name, const char* doc,
              PyObject* also = nullptr) {
  const nb::handle base(error_types[0]);
  const nb::tuple bases =
      also == nullptr ? nb::make_tuple(base) : nb::make_tuple(base, nb::handle(also));
  error_types[static_cast<size_t>(code)] = add_type(m, name, doc, bases).release().ptr();
}

}  // namespace

void bind_errors(nb::module_& m) {
  error_types[0] =
      add_type(m, "Error", "What convgen refuses or cannot do; the base of the others.",
               nb::make_tuple(nb::handle(PyExc_Exception)))
          .release()
          .ptr();
  add_code(m, StatusCode::kInvalidArgument, "InvalidArgument",
           "The request breaks a rule; asking again cannot help.", PyExc_ValueError);
  add_code(m, StatusCode::kUnsupported, "Unsupported",
           "A legal request that this version does not serve.", PyExc_NotImplementedError);
  add_code(m, StatusCode::kCompileFailed, "CompileFailed",
           "The code generator refused, or LLVM reported an error.");
  add_code(m, StatusCode::kResourceExhausted, "ResourceExhausted",
           "Memory, executable memory or a budget ran out.", PyExc_MemoryError);
  add_code(m, StatusCode::kIoError, "IoError", "A file could not be read or written.",
           PyExc_OSError);
  add_code(m, StatusCode::kInternal, "InternalError", "A bug in convgen.");
}

nb::object make_error(const Status& status) {
  return nb::handle(error_types[static_cast<size_t>(status.code())])(status.message());
}

void raise(const Status& status) {
  PyErr_SetString(error_types[static_cast<size_t>(status.code())], status.message().c_str());
  throw nb::python_error();
}

void raise_type_error(const std::string& message) {
  PyErr_SetString(PyExc_TypeError, message.c_str());
  throw nb::python_error();
}

nb::object message_or_none(const Status& status) {
  return status.ok() ? nb::none() : nb::object(nb::str(status.message().c_str()));
}

}  // namespace convgen::python
