// SPDX-License-Identifier: Apache-2.0
#include "python/nn_kernels.h"

#include <cstring>
#include <type_traits>

#include "ir/text.h"
#include "python/bindings.h"
#include "python/errors.h"
#include "python/threads.h"

namespace convgen::python {
namespace {

static_assert(std::has_unique_object_representations_v<Request>);

// The map is emptied when it holds so many; the engine, which bounds bytes, keeps the kernels.
constexpr size_t kMaxKernels = 512;

// Below so many multiply-adds, some 30 us of one AVX-512 core, waking threads is not worth it.
constexpr double kMinMultiplyAddsForThreads = 4e6;

using Kernels = std::unordered_map<std::string, std::shared_ptr<const FunctionKernel>>;

// The GIL guards it. Never destroyed: at exit Python goes first.
Kernels& kernels() {
  static auto* kernels = new Kernels;
  return *kernels;
}

std::string make_key(const Request& request, std::string_view activation) {
  std::string key;
  key.reserve(sizeof request + activation.size());
  key.append(reinterpret_cast<const char*>(&request), sizeof request);
  key.append(activation);
  return key;
}

int choose_threads(const Request& request, const ir::Conv& conv) {
  if (request.threads != 0) return static_cast<int>(request.threads);
  return conv.multiply_adds() < kMinMultiplyAddsForThreads ? 1 : available_threads();
}

std::vector<int64_t> dst_dims(const Request& request, const ir::Conv& conv) {
  std::vector<int64_t> dims(static_cast<size_t>(request.rank()));
  dims[0] = conv.n;
  dims[request.channel_axis()] = conv.oc;
  for (int i = 0; i < conv.spatial_rank; ++i)
    dims[request.first_spatial_axis() + i] = conv.out[ir::kMaxSpatialRank - conv.spatial_rank + i];
  return dims;
}

std::shared_ptr<const FunctionKernel> make_kernel(const Function& function, const Request& request,
                                                  std::string_view activation) {
  const ir::Conv conv = unwrap(ir::make_conv(make_spec(function, request, activation)));
  const int threads = choose_threads(request, conv);
  const Engine& engine = default_engine().engine;
  Kernel kernel = unwrap(without_gil([&] { return engine.compile(conv, {.threads = threads}); }));
  const std::vector<int64_t> dims = dst_dims(request, conv);
  return std::make_shared<const FunctionKernel>(
      FunctionKernel{std::move(kernel), threads, dims, make_shape(dims)});
}

}  // namespace

std::shared_ptr<const FunctionKernel> find_kernel(const Function& function, const Request& request,
                                                  std::string_view activation) {
  std::string key = make_key(request, activation);
  if (const auto found = kernels().find(key); found != kernels().end()) return found->second;
  auto made = make_kernel(function, request, activation);
  if (kernels().size() >= kMaxKernels) kernels().clear();
  kernels()[std::move(key)] = made;
  return made;
}

void clear_kernels() {
  kernels().clear();
  default_engine().engine.clear_cache();
}

}  // namespace convgen::python
