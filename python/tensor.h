// SPDX-License-Identifier: Apache-2.0
// Tensor: the memory of an argument, looked at where it lies. Knows arrays that export a buffer
// (numpy, TensorFlow) and those that offer __dlpack__ (torch, JAX); copies nothing by itself.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace convgen::python {

namespace nb = nanobind;

inline constexpr int kMaxRank = 5;

// The axes of a tensor as they lie in memory, outermost first; the first `rank` of them count.
using AxisOrder = std::array<int, kMaxRank>;
inline constexpr AxisOrder kAsDeclared{0, 1, 2, 3, 4};

class Tensor {
 public:
  // Float32 of this machine's byte order, in memory a CPU can read. `name` is the argument's, for
  // messages. Throws TypeError (no array, another dtype) or ValueError (another device).
  Tensor(nb::handle object, const char* name);
  ~Tensor();
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;

  const char* name() const { return name_; }
  float* data() const { return data_; }
  int rank() const { return rank_; }  // may be larger than kMaxRank; then there are no dims
  int64_t dim(int axis) const { return dims_[axis]; }
  bool has_dims(std::span<const int64_t> dims) const;
  bool is_read_only() const { return read_only_; }
  // Aligned as float is, and dense with its axes in this order. Strides of axes of one element do
  // not count, nor any of an empty tensor.
  bool is_dense(const AxisOrder& order) const;
  bool overlaps(const Tensor& other) const;  // for dense ones
  std::string shape_text() const;

 private:
  bool read_buffer(nb::handle object);
  void read_dlpack(nb::handle object);
  int64_t bytes() const;

  const char* name_;
  float* data_ = nullptr;
  int rank_ = 0;
  bool read_only_ = false;
  std::array<int64_t, kMaxRank> dims_{};
  std::array<int64_t, kMaxRank> strides_bytes_{};
  Py_buffer buffer_{};
  nb::ndarray<nb::ro> ndarray_;
};

// "(1, 6, 2, 3)"
std::string print_shape(std::span<const int64_t> dims);

// Throws where tensor has other dims.
void expect_dims(const Tensor& tensor, std::span<const int64_t> dims);
// Throws where tensor has other dims, or is not dense in the order of its layout. `layout` is for
// the message.
void expect_dense(const Tensor& tensor, std::span<const int64_t> dims, const std::string& layout);
// Throws for a tensor that may not be written.
void expect_writable(const Tensor& tensor);
// Throws where the two share memory.
void expect_apart(const Tensor& out, const Tensor& other);

// A new numpy array of float32, its elements unwritten; shape is a tuple.
nb::object new_array(nb::handle shape);
// A dense, aligned numpy array with the elements of an argument.
nb::object dense_copy(nb::handle array);
void copy_into(nb::handle array, nb::handle elements);
nb::tuple make_shape(std::span<const int64_t> dims);

}  // namespace convgen::python
