// SPDX-License-Identifier: Apache-2.0
// convgen.Kernel and what belongs to it. Tensors are taken where they lie, dense in the layouts of
// the Conv; what is not is an error, never a copy.
#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <chrono>
#include <optional>

#include "python/bindings.h"
#include "python/errors.h"
#include "python/threads.h"

namespace convgen::python {
namespace {

// One operand of a call: None, or a dense tensor that does not touch out.
class Operand {
 public:
  float* read(nb::handle object, const char* name, std::span<const int64_t> dims,
              const std::string& layout) {
    if (object.is_none()) return nullptr;
    tensor_.emplace(object, name);
    expect_dense(*tensor_, dims, layout);
    return tensor_->data();
  }
  void expect_apart_from(const Tensor& out) const {
    if (tensor_) expect_apart(out, *tensor_);
  }
  const Tensor* get() const { return tensor_ ? &*tensor_ : nullptr; }

 private:
  std::optional<Tensor> tensor_;
};

struct CallArguments {
  nb::handle src, weights, bias, add, scale, out, threads;
};

// add may be out itself, nothing else may share its memory.
void expect_add_apart(const Tensor& out, const Operand& add) {
  if (add.get() != nullptr && add.get()->data() != out.data()) add.expect_apart_from(out);
}

nb::object call_kernel(const PythonKernel& self, const CallArguments& call) {
  RunArgs args;
  Operand src, weights, bias, add, scale;
  args.src = src.read(call.src, "src", self.src_dims, self.src_layout);
  args.packed = find_instance<PackedWeights>(call.weights);
  if (args.packed == nullptr)
    args.weights = weights.read(call.weights, "weights", self.weights_dims, self.weights_layout);
  const int64_t oc = self.kernel.conv().oc;
  args.bias = bias.read(call.bias, "bias", {&oc, 1}, "c");
  args.scale = scale.read(call.scale, "scale", {&oc, 1}, "c");
  args.add = add.read(call.add, "add", self.dst_dims, self.dst_layout);

  const int threads = call.threads.is_none() ? self.threads : read_threads(call.threads);
  nb::object result = call.out.is_none() ? new_array(self.dst_shape) : nb::borrow(call.out);
  const Tensor out(result, "out");
  args.dst = out.data();
  if (!call.out.is_none()) {
    expect_dense(out, self.dst_dims, self.dst_layout);
    expect_writable(out);
    for (const Operand* operand : {&src, &weights, &bias, &scale}) operand->expect_apart_from(out);
    expect_add_apart(out, add);
  }
  run_released(self.kernel, args, threads);
  return result;
}

PackedWeights pack(const PythonKernel& self, nb::handle array) {
  Operand weights;
  const float* data = weights.read(array, "weights", self.weights_dims, self.weights_layout);
  return unwrap(without_gil([&] { return self.kernel.pack(data); }));
}

bool wait(const PythonKernel& self, std::optional<double> seconds) {
  constexpr double kLongest = 1e9;  // some thirty years, and no overflow in nanoseconds
  const double longest = std::min(seconds.value_or(kLongest), kLongest);
  const auto nanoseconds =
      std::chrono::nanoseconds(longest > 0 ? static_cast<int64_t>(longest * 1e9) : int64_t{0});
  return without_gil([&] { return self.kernel.wait_for(nanoseconds); });
}

void bind_compile_stats(nb::module_& m) {
  nb::class_<CompileStats>(m, "CompileStats",
                           "What a kernel cost; CPU time of the compiling thread.")
      .def_ro("select_ms", &CompileStats::select_ms)
      .def_ro("emit_ms", &CompileStats::emit_ms)
      .def_ro("passes_ms", &CompileStats::passes_ms)
      .def_ro("codegen_ms", &CompileStats::codegen_ms)
      .def_ro("link_ms", &CompileStats::link_ms)
      .def_ro("total_ms", &CompileStats::total_ms)
      .def_ro("code_bytes", &CompileStats::code_bytes)
      .def_ro("from_store", &CompileStats::from_store)
      .def("__repr__", [](const CompileStats& s) {
        return fmt::format("CompileStats(total_ms={:.3f}, code_bytes={}, from_store={})",
                           s.total_ms, s.code_bytes, s.from_store ? "True" : "False");
      });
}

void bind_packed_weights(nb::module_& m) {
  nb::class_<PackedWeights>(m, "PackedWeights",
                            "Weights in the order a kernel reads them; fit every kernel with the "
                            "same packed_tag.")
      .def_prop_ro("tag", &PackedWeights::tag)
      .def_prop_ro("nbytes", &PackedWeights::size_bytes)
      .def("__repr__", [](const PackedWeights& packed) {
        return fmt::format("<PackedWeights {}, {} bytes>", packed.tag(), packed.size_bytes());
      });
}

void bind_facts(nb::class_<PythonKernel>& kernel) {
  using K = PythonKernel;
  kernel.def_prop_ro("conv", [](const K& k) { return k.kernel.conv(); })
      .def_ro("threads", &K::threads, "The threads it was compiled for, and runs on by default.")
      .def_prop_ro(
          "engine_name", [](const K& k) { return k.kernel.engine_name(); },
          "What computes: 'jit' or 'generic'.")
      .def_prop_ro("schedule", [](const K& k) { return k.kernel.schedule(); })
      .def_prop_ro("signature", [](const K& k) { return k.kernel.signature(); })
      .def_prop_ro("compile_stats", [](const K& k) { return k.kernel.compile_stats(); })
      .def_prop_ro("tasks", [](const K& k) { return k.kernel.tasks(); })
      .def_prop_ro("packed_tag", [](const K& k) { return k.kernel.packed_tag(); })
      .def_prop_ro("scratch_bytes", [](const K& k) { return k.kernel.scratch_bytes(); })
      .def_prop_ro("memory_bytes", [](const K& k) { return k.kernel.memory_bytes(); })
      .def_prop_ro("has_constant_weights",
                   [](const K& k) { return k.kernel.constant_weights() != nullptr; })
      .def_prop_ro(
          "is_pending", [](const K& k) { return k.kernel.is_pending(); },
          "True while machine code is still to come.")
      .def_prop_ro(
          "compile_error", [](const K& k) { return message_or_none(k.kernel.compile_status()); },
          nb::sig("def compile_error(self) -> str | None"),
          "Why the generic path runs in place of what was asked for, or None.")
      .def("__repr__", [](const K& k) {
        return fmt::format("<Kernel {} {}>", k.kernel.engine_name(), k.kernel.signature());
      });
}

template <typename... Extra>
void def_call(nb::class_<PythonKernel>& kernel, const char* name, const Extra&... extra) {
  kernel.def(
      name,
      [](const PythonKernel& self, nb::handle src, nb::handle weights, nb::handle bias,
         nb::handle add, nb::handle scale, nb::handle out, nb::handle threads) {
        return call_kernel(self, {src, weights, bias, add, scale, out, threads});
      },
      nb::arg("src").none(), nb::arg("weights") = nb::none(), nb::kw_only(),
      nb::arg("bias") = nb::none(), nb::arg("add") = nb::none(), nb::arg("scale") = nb::none(),
      nb::arg("out") = nb::none(), nb::arg("threads") = nb::none(), extra...);
}

}  // namespace

PythonKernel::PythonKernel(Kernel made, int threads_hint)
    : kernel(std::move(made)), threads(threads_hint) {
  const ir::Conv& conv = kernel.conv();
  src_dims = conv.src_dims();
  weights_dims = conv.weights_dims();
  dst_dims = conv.dst_dims();
  src_layout = layout_word(conv.src_layout, conv.spatial_rank);
  weights_layout = layout_word(conv.weights_layout, conv.spatial_rank);
  dst_layout = layout_word(conv.dst_layout, conv.spatial_rank);
  dst_shape = make_shape(dst_dims);
}

void run_released(const Kernel& kernel, const RunArgs& args, int threads) {
  const PoolLease pool(kernel.tasks() > 1 ? threads : 1);
  check(without_gil([&] { return kernel.run(args, pool.parallel_for()); }));
}

void bind_kernel(nb::module_& m) {
  bind_compile_stats(m);
  bind_packed_weights(m);
  nb::class_<PythonKernel> kernel(m, "Kernel",
                                  "The code of one convolution. Thread-safe; lives until the last "
                                  "handle and the engine's cache have let go of it.");
  constexpr const char* kDoc =
      "dst = conv(src, weights) and post-ops, into out where it is given, else into a new array. "
      "weights are an array or PackedWeights, None for a kernel with constant weights. Tensors "
      "must "
      "be dense in the layouts of the conv, and out shares memory with none of them but add.";
  def_call(
      kernel, "__call__", kDoc,
      nb::sig("def __call__(self, src: Array, weights: Array | PackedWeights | None = None, *, "
              "bias: Array | None = None, add: Array | None = None, scale: Array | None = None, "
              "out: ArrayT = ..., threads: int | None = None) -> ArrayT"));
  def_call(
      kernel, "run", kDoc,
      nb::sig("def run(self, src: Array, weights: Array | PackedWeights | None = None, *, "
              "bias: Array | None = None, add: Array | None = None, scale: Array | None = None, "
              "out: ArrayT = ..., threads: int | None = None) -> ArrayT"));
  kernel
      .def("pack", pack, nb::arg("weights"),
           nb::sig("def pack(self, weights: Array) -> PackedWeights"),
           "Weights, once, in the order the kernel reads them.")
      .def("wait", wait, nb::arg("seconds") = nb::none(),
           nb::sig("def wait(self, seconds: float | None = None) -> bool"),
           "Waits for machine code that is compiled in the background; True where it is decided.");
  bind_facts(kernel);
}

}  // namespace convgen::python
