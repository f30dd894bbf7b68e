// SPDX-License-Identifier: Apache-2.0
#include "runtime/bench_tensors.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <random>

namespace convgen {
namespace {

AlignedFloats random_floats(int64_t elements, std::mt19937_64& random) {
  AlignedFloats floats(static_cast<size_t>(elements));
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::generate_n(floats.data(), elements, [&] { return uniform(random); });
  return floats;
}

}  // namespace

AlignedFloats::AlignedFloats(size_t elements) {
  constexpr size_t kAlignment = 64;
  const size_t bytes = (elements * sizeof(float) / kAlignment + 1) * kAlignment;
  data_.reset(static_cast<float*>(std::aligned_alloc(kAlignment, bytes)));
  if (!data_) throw std::bad_alloc();
}

void AlignedFloats::Free::operator()(float* p) const { std::free(p); }

BenchTensors::BenchTensors(const ir::Conv& conv, uint64_t seed)
    : dst(static_cast<size_t>(conv.dst_elements())) {
  std::mt19937_64 random(seed);
  src = random_floats(conv.src_elements(), random);
  weights = random_floats(conv.weights_elements(), random);
  if (conv.uses(ir::PostOpKind::kBias)) bias = random_floats(conv.oc, random);
  if (conv.uses(ir::PostOpKind::kAdd)) add = random_floats(conv.dst_elements(), random);
  if (conv.uses(ir::PostOpKind::kScale)) scale = random_floats(conv.oc, random);
}

ir::TensorInputs BenchTensors::inputs() const {
  return {src.data(), weights.data(), bias.data(), add.data(), scale.data()};
}

}  // namespace convgen
