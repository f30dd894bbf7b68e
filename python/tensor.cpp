// SPDX-License-Identifier: Apache-2.0
#include "python/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "python/arguments.h"
#include "python/errors.h"

namespace convgen::python {
namespace {

constexpr int64_t kItemBytes = sizeof(float);

// float32 as the buffer protocol spells it on a little-endian machine.
bool is_native_f32(const Py_buffer& buffer) {
  const std::string_view format = buffer.format == nullptr ? "B" : buffer.format;
  return buffer.itemsize == kItemBytes &&
         (format == "f" || format == "<f" || format == "=f" || format == "@f");
}

bool is_host(int device_type) {
  return device_type == nb::device::cpu::value || device_type == nb::device::cuda_host::value;
}

// What an object says its dtype is, else its type.
std::string describe(nb::handle object) {
  const nb::object dtype = nb::getattr(object, "dtype", nb::none());
  return dtype.is_none() ? python_type(object) : nb::cast<std::string>(nb::str(dtype));
}

[[noreturn]] void raise_wrong_dtype(nb::handle object, const char* name) {
  raise_type_error(
      fmt::format("{}: {} found, expected float32 of native byte order", name, describe(object)));
}

// What is used of numpy. Imported by the first who needs it and never let go; no static of a
// function, whose lock and the GIL could wait for each other.
struct Numpy {
  nb::object module = nb::module_::import_("numpy");
  nb::object empty = module.attr("empty");
  nb::object float32 = module.attr("dtype")("float32");
};

const Numpy& numpy() {
  static const Numpy* loaded = nullptr;
  if (loaded == nullptr) loaded = new Numpy;
  return *loaded;
}

// A numpy array of the argument's own memory.
nb::object as_numpy(nb::handle array) {
  return numpy().module.attr(PyObject_CheckBuffer(array.ptr()) ? "asarray" : "from_dlpack")(array);
}

}  // namespace

Tensor::Tensor(nb::handle object, const char* name) : name_(name) {
  if (!read_buffer(object)) read_dlpack(object);
}

Tensor::~Tensor() {
  if (buffer_.obj != nullptr) PyBuffer_Release(&buffer_);
}

// False where object exports no buffer.
bool Tensor::read_buffer(nb::handle object) {
  if (!PyObject_CheckBuffer(object.ptr())) return false;
  if (PyObject_GetBuffer(object.ptr(), &buffer_, PyBUF_STRIDES | PyBUF_FORMAT) != 0) {
    // numpy refuses dtypes that a buffer cannot name; who has __dlpack__ may still manage.
    PyErr_Clear();
    return false;
  }
  if (!is_native_f32(buffer_)) {
    PyBuffer_Release(&buffer_);
    raise_wrong_dtype(object, name_);
  }
  data_ = static_cast<float*>(buffer_.buf);
  read_only_ = buffer_.readonly != 0;
  rank_ = buffer_.ndim;
  if (rank_ > kMaxRank) return true;
  std::copy_n(buffer_.shape, rank_, dims_.begin());
  std::copy_n(buffer_.strides, rank_, strides_bytes_.begin());
  return true;
}

void Tensor::read_dlpack(nb::handle object) {
  nb::ndarray<> writable;
  if (nb::try_cast(object, writable, /*convert=*/false)) {
    ndarray_ = nb::ndarray<nb::ro>(writable);
  } else if (nb::try_cast(object, ndarray_, /*convert=*/false)) {
    read_only_ = true;
  } else if (nb::hasattr(object, "dtype")) {
    raise_wrong_dtype(object, name_);
  } else {
    raise_type_error(
        fmt::format("{}: {} found, expected an array of float32 (of numpy, or one that "
                    "offers __dlpack__)",
                    name_, python_type(object)));
  }
  if (!is_host(ndarray_.device_type()))
    raise(invalid_argument(fmt::format("{}: lies on a device (DLPack type {}), expected the cpu",
                                       name_, ndarray_.device_type())));
  if (ndarray_.dtype() != nb::dtype<float>()) raise_wrong_dtype(object, name_);
  data_ = static_cast<float*>(const_cast<void*>(static_cast<const void*>(ndarray_.data())));
  rank_ = static_cast<int>(ndarray_.ndim());
  if (rank_ > kMaxRank) return;
  for (int i = 0; i < rank_; ++i) {
    dims_[i] = static_cast<int64_t>(ndarray_.shape(i));
    strides_bytes_[i] = ndarray_.stride(i) * kItemBytes;
  }
}

bool Tensor::has_dims(std::span<const int64_t> dims) const {
  return rank_ == static_cast<int>(dims.size()) &&
         std::ranges::equal(dims, std::span(dims_.data(), dims.size()));
}

int64_t Tensor::bytes() const {
  int64_t bytes = kItemBytes;
  for (int i = 0; i < rank_; ++i) bytes *= dims_[i];
  return bytes;
}

bool Tensor::is_dense(const AxisOrder& order) const {
  if (reinterpret_cast<uintptr_t>(data_) % alignof(float) != 0) return false;
  int64_t expected = kItemBytes;
  bool dense = true;
  for (int i = rank_ - 1; i >= 0; --i) {
    const int axis = order[i];
    if (dims_[axis] == 0) return true;
    if (dims_[axis] != 1 && strides_bytes_[axis] != expected) dense = false;
    expected *= dims_[axis];
  }
  return dense;
}

bool Tensor::overlaps(const Tensor& other) const {
  if (bytes() == 0 || other.bytes() == 0) return false;
  const auto begin = reinterpret_cast<uintptr_t>(data_);
  const auto other_begin = reinterpret_cast<uintptr_t>(other.data_);
  return begin < other_begin + static_cast<uintptr_t>(other.bytes()) &&
         other_begin < begin + static_cast<uintptr_t>(bytes());
}

std::string print_shape(std::span<const int64_t> dims) {
  return fmt::format("({}{})", fmt::join(dims, ", "), dims.size() == 1 ? "," : "");
}

std::string Tensor::shape_text() const {
  if (rank_ > kMaxRank) return fmt::format("{} dimensions", rank_);
  return "shape " + print_shape(std::span(dims_.data(), static_cast<size_t>(rank_)));
}

void expect_dims(const Tensor& tensor, std::span<const int64_t> dims) {
  if (tensor.has_dims(dims)) return;
  raise(invalid_argument(fmt::format("{}: {} found, expected shape {}", tensor.name(),
                                     tensor.shape_text(), print_shape(dims))));
}

void expect_dense(const Tensor& tensor, std::span<const int64_t> dims, const std::string& layout) {
  expect_dims(tensor, dims);
  if (tensor.is_dense(kAsDeclared)) return;
  raise(
      invalid_argument(fmt::format("{}: its memory is not dense and aligned in the order of {}; "
                                   "numpy.ascontiguousarray makes a copy that is",
                                   tensor.name(), layout)));
}

void expect_writable(const Tensor& tensor) {
  if (tensor.is_read_only())
    raise(invalid_argument(fmt::format("{}: is read-only", tensor.name())));
}

void expect_apart(const Tensor& out, const Tensor& other) {
  if (out.overlaps(other))
    raise(invalid_argument(
        fmt::format("{}: shares memory with {}, which it must not", out.name(), other.name())));
}

nb::object new_array(nb::handle shape) {
  PyObject* args[] = {shape.ptr(), numpy().float32.ptr()};
  PyObject* array = PyObject_Vectorcall(numpy().empty.ptr(), args, 2, nullptr);
  if (array == nullptr) throw nb::python_error();
  return nb::steal(array);
}

nb::object dense_copy(nb::handle array) {
  return numpy().module.attr("array")(as_numpy(array), nb::arg("dtype") = numpy().float32,
                                      nb::arg("order") = "C", nb::arg("copy") = true);
}

void copy_into(nb::handle array, nb::handle elements) {
  numpy().module.attr("copyto")(as_numpy(array), elements);
}

nb::tuple make_shape(std::span<const int64_t> dims) {
  nb::object shape = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(dims.size())));
  if (!shape.is_valid()) throw nb::python_error();
  for (size_t i = 0; i < dims.size(); ++i)
    PyTuple_SET_ITEM(shape.ptr(), static_cast<Py_ssize_t>(i), PyLong_FromLongLong(dims[i]));
  return nb::borrow<nb::tuple>(shape);
}

}  // namespace convgen::python
