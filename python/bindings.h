// SPDX-License-Identifier: Apache-2.0
// The parts of the extension, one function each that adds its names to the module; and what they
// share.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/conv.h"
#include "python/tensor.h"
#include "runtime/engine.h"
#include "runtime/kernel.h"

namespace convgen::python {

namespace nb = nanobind;

void bind_conv(nb::module_& m);
void bind_kernel(nb::module_& m);
void bind_engine(nb::module_& m);
void bind_emit(nb::module_& m);
void bind_verify(nb::module_& m);
void bind_explain(nb::module_& m);
void bind_functions(nb::module_& m);  // conv1d, conv2d, conv3d, depthwise_conv2d

// object as a T, null where it is none or was never initialised.
template <typename T>
const T* find_instance(nb::handle object) {
  return nb::isinstance<T>(object) && nb::inst_ready(object) ? nb::inst_ptr<T>(object) : nullptr;
}

// An Engine and what it was asked to compile for.
struct PythonEngine {
  Engine engine;
  std::string mcpu;
};

// The engine of the functions, made by the first who asks for it; destroyed never.
PythonEngine& default_engine();

// A kernel, the threads it was compiled for, and what a call would else ask for again and again.
struct PythonKernel {
  PythonKernel(Kernel made, int threads_hint);

  Kernel kernel;
  int threads;
  std::vector<int64_t> src_dims, weights_dims, dst_dims;
  std::string src_layout, weights_layout, dst_layout;
  nb::object dst_shape;
};

// "nhwc", "hwio".
std::string layout_word(ir::ActivationLayout layout, int spatial_rank);
std::string layout_word(ir::WeightsLayout layout, int spatial_rank);

// A Conv, or the text of one. Throws TypeError for anything else, or what ir::parse_conv says.
ir::Conv read_conv(nb::handle conv);

// The weights of a kernel that is made for them, None: none.
std::optional<ConstantWeights> read_constant_weights(nb::handle weights, const ir::Conv& conv,
                                                     bool assume_finite);

// The CPU that an Engine compiles for: what is given, else CONVGEN_MCPU, else "", the host.
std::string resolve_mcpu(const std::string& mcpu);

// What work returns, done while other Python threads run. It must touch no Python object.
template <typename Work>
auto without_gil(const Work& work) {
  const nb::gil_scoped_release released;
  return work();
}

// Runs with the GIL released on so many threads; throws what run() says.
void run_released(const Kernel& kernel, const RunArgs& args, int threads);

}  // namespace convgen::python
