// SPDX-License-Identifier: Apache-2.0
// conv1d, conv2d, conv3d and depthwise_conv2d: one call with TensorFlow's names and meanings. What
// lies densely in memory, channels first or last, is used where it is; anything else is copied.
#include <fmt/format.h>

#include <optional>

#include "python/arguments.h"
#include "python/bindings.h"
#include "python/errors.h"
#include "python/nn_kernels.h"
#include "python/threads.h"

namespace convgen::python {
namespace {

struct Arguments {
  nb::handle x, w, strides, padding, data_format, dilations, bias, activation, add, scale, out,
      threads;
};

// One tensor of a call: the argument's memory or, once copied, that of a copy.
class Operand {
 public:
  void read(nb::handle object, const char* name) {
    object_ = object;
    tensor_.emplace(object, name);
  }
  // False where it is dense as declared, true where it is in the other order; else copies it.
  bool take(const AxisOrder& other) {
    const bool as_other = !tensor_->is_dense(kAsDeclared) && tensor_->is_dense(other);
    if (!as_other) copy_unless_dense();
    return as_other;
  }
  void copy_unless_dense() {
    if (!tensor_ || tensor_->is_dense(kAsDeclared)) return;
    const char* name = tensor_->name();
    copy_ = dense_copy(object_);
    tensor_.emplace(copy_, name);
  }
  bool is_given() const { return tensor_.has_value(); }
  const Tensor& operator*() const { return *tensor_; }
  const Tensor* operator->() const { return &*tensor_; }
  float* data() const { return tensor_ ? tensor_->data() : nullptr; }

 private:
  nb::handle object_;
  nb::object copy_;
  std::optional<Tensor> tensor_;
};

// One call of one of the functions, from arguments to result.
class Call {
 public:
  Call(const Function& function, const Arguments& arguments);
  nb::object run();

 private:
  void read_operand(Operand& operand, nb::handle object, const char* name, int rank);
  void read_options();
  void choose_layouts();
  bool choose_other_result(const AxisOrder& other);
  void check_operands(const FunctionKernel& kernel) const;
  std::string_view activation() const;

  const Function& function_;
  const Arguments& arguments_;
  Request request_;
  Operand x_, w_, bias_, add_, scale_, out_;
  bool out_is_direct_ = false;  // the kernel writes it, and no copy is needed
};

void Call::read_operand(Operand& operand, nb::handle object, const char* name, int rank) {
  if (object.is_none() && &operand != &x_ && &operand != &w_) return;
  operand.read(object, name);
  if (operand->rank() == rank) return;
  raise(invalid_argument(fmt::format("{}: {} found, {} takes {} dimension{}", name,
                                     operand->shape_text(), function_.name, rank,
                                     rank == 1 ? "" : "s")));
}

void Call::read_options() {
  request_.spatial_rank = function_.spatial_rank;
  request_.depthwise = function_.depthwise ? 1 : 0;
  read_data_format(function_, arguments_.data_format, request_);
  read_strides(arguments_.strides, request_);
  read_padding(arguments_.padding, request_);
  read_dilations(arguments_.dilations, request_);
  if (!arguments_.threads.is_none()) request_.threads = read_threads(arguments_.threads);
}

Call::Call(const Function& function, const Arguments& arguments)
    : function_(function), arguments_(arguments) {
  read_options();
  const int rank = function.rank();
  read_operand(x_, arguments.x, "x", rank);
  read_operand(w_, arguments.w, "w", rank);
  read_operand(bias_, arguments.bias, "bias", 1);
  read_operand(scale_, arguments.scale, "scale", 1);
  read_operand(add_, arguments.add, "add", rank);
  read_operand(out_, arguments.out, "out", rank);
  for (int axis = 0; axis < rank; ++axis) {
    request_.x[axis] = x_->dim(axis);
    request_.w[axis] = w_->dim(axis);
  }
  request_.has_bias = bias_.is_given() ? 1 : 0;
  request_.has_add = add_.is_given() ? 1 : 0;
  request_.has_scale = scale_.is_given() ? 1 : 0;
  choose_layouts();
}

// Each tensor is taken as it lies, where it is dense in one of the two orders there are for it.
void Call::choose_layouts() {
  const bool declared = request_.channels_first != 0;
  const AxisOrder other = activation_order(request_, !declared);
  request_.x_channels_first = x_.take(other) != declared ? 1 : 0;
  request_.filter_first = w_.take(filter_order(request_, /*filter_first=*/true)) ? 1 : 0;
  request_.dst_channels_first = choose_other_result(other) != declared ? 1 : 0;
  if (request_.dst_channels_first == request_.channels_first) add_.copy_unless_dense();
  bias_.copy_unless_dense();
  scale_.copy_unless_dense();
}

// True where out is written in the other order; add must lie as it does.
bool Call::choose_other_result(const AxisOrder& other) {
  if (!out_.is_given()) return false;
  out_is_direct_ = out_->is_dense(kAsDeclared);
  if (out_is_direct_ || !out_->is_dense(other)) return false;
  out_is_direct_ = !add_.is_given() || add_->is_dense(other);
  return out_is_direct_;
}

std::string_view Call::activation() const {
  if (arguments_.activation.is_none()) return {};
  return read_text(arguments_.activation, "activation", "None or a str");
}

void Call::check_operands(const FunctionKernel& kernel) const {
  const int64_t oc = kernel.kernel.conv().oc;
  if (bias_.is_given()) expect_dims(*bias_, {&oc, 1});
  if (scale_.is_given()) expect_dims(*scale_, {&oc, 1});
  if (add_.is_given()) expect_dims(*add_, kernel.dst_dims);
  if (!out_.is_given()) return;
  expect_dims(*out_, kernel.dst_dims);
  expect_writable(*out_);
  if (!out_is_direct_) return;
  for (const Operand* operand : {&x_, &w_, &bias_, &scale_})
    if (operand->is_given()) expect_apart(*out_, **operand);
  if (add_.is_given() && add_.data() != out_.data()) expect_apart(*out_, *add_);
}

nb::object Call::run() {
  const auto kernel = find_kernel(function_, request_, activation());
  check_operands(*kernel);
  RunArgs args{.src = x_.data(),
               .weights = w_.data(),
               .bias = bias_.data(),
               .add = add_.data(),
               .scale = scale_.data()};
  if (out_is_direct_) {
    args.dst = out_.data();
    run_released(kernel->kernel, args, kernel->threads);
    return nb::borrow(arguments_.out);
  }
  nb::object result = new_array(kernel->dst_shape);
  const Tensor dst(result, "out");
  args.dst = dst.data();
  run_released(kernel->kernel, args, kernel->threads);
  if (!out_.is_given()) return result;
  copy_into(arguments_.out, result);
  return nb::borrow(arguments_.out);
}

std::string signature(const Function& function, const char* data_format) {
  return fmt::format(
      "def {}(x: Array, w: Array, strides: int | Sequence[int] = 1, padding: str | "
      "Sequence[Sequence[int]] = 'VALID', data_format: str | None = '{}', dilations: int | "
      "Sequence[int] | None = None, *, bias: Array | None = None, activation: str | None = None, "
      "add: Array | None = None, scale: Array | None = None, out: ArrayT = ..., threads: int | "
      "None = None) -> ArrayT",
      function.name, data_format);
}

constexpr Function kConv1d{"conv1d", 1, false};
constexpr Function kConv2d{"conv2d", 2, false};
constexpr Function kConv3d{"conv3d", 3, false};
constexpr Function kDepthwiseConv2d{"depthwise_conv2d", 2, true};

template <const Function& function>
void def_function(nb::module_& m, const char* default_format, const char* doc) {
  m.def(
      function.name,
      [](nb::handle x, nb::handle w, nb::handle strides, nb::handle padding, nb::handle data_format,
         nb::handle dilations, nb::handle bias, nb::handle activation, nb::handle add,
         nb::handle scale, nb::handle out, nb::handle threads) {
        const Arguments arguments{x,    w,          strides, padding, data_format, dilations,
                                  bias, activation, add,     scale,   out,         threads};
        return Call(function, arguments).run();
      },
      nb::arg("x").none(), nb::arg("w").none(), nb::arg("strides").none() = 1,
      nb::arg("padding").none() = "VALID", nb::arg("data_format").none() = default_format,
      nb::arg("dilations") = nb::none(), nb::kw_only(), nb::arg("bias") = nb::none(),
      nb::arg("activation") = nb::none(), nb::arg("add") = nb::none(),
      nb::arg("scale") = nb::none(), nb::arg("out") = nb::none(), nb::arg("threads") = nb::none(),
      nb::sig(signature(function, default_format).c_str()), doc);
}

}  // namespace

void bind_functions(nb::module_& m) {
  def_function<kConv1d>(m, "NWC", "A 1D convolution; w is [kw, i, o]. See conv2d.");
  def_function<kConv2d>(
      m, "NHWC",
      "A 2D convolution as tf.nn.conv2d computes it; w is [kh, kw, i, o], and i may be a divisor "
      "of the channels of x, which makes groups. bias is added first, then the activation is "
      "applied: a name or a chain of post-ops ('relu', 'add,relu', 'clamp:0:6'). threads=None uses "
      "all CPUs for what is worth it.");
  def_function<kConv3d>(m, "NDHWC", "A 3D convolution; w is [kd, kh, kw, i, o]. See conv2d.");
  def_function<kDepthwiseConv2d>(
      m, "NHWC",
      "Each channel of x by itself, as tf.nn.depthwise_conv2d does; w is "
      "[kh, kw, c, m], the result has c * m channels. See conv2d.");
  m.def("clear_cache", clear_kernels, "Forgets all kernels of conv2d and its like.");
}

}  // namespace convgen::python
