// SPDX-License-Identifier: Apache-2.0
// The kernels that conv2d and its like have used, by what was asked for: a small map in front of
// the default engine, whose own look-up would need the convolution first.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "python/nn_request.h"
#include "runtime/kernel.h"

namespace convgen::python {

// A kernel with what a call needs to know of it.
struct FunctionKernel {
  Kernel kernel;
  int threads;
  std::vector<int64_t> dst_dims;  // in the order of data_format
  nb::object dst_shape;
};

// The kernel of a request, compiled by the first who asks, with the GIL released. Throws what
// make_spec, make_conv and Engine::compile say.
std::shared_ptr<const FunctionKernel> find_kernel(const Function& function, const Request& request,
                                                  std::string_view activation);

// Lets go of all kernels, here and in the default engine.
void clear_kernels();

}  // namespace convgen::python
