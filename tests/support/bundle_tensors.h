// SPDX-License-Identifier: Apache-2.0
// Tensors by the convolution alone, and a number for the bits of a result: what two programs share
// that must come to the same.
#pragma once

#include <cstdint>
#include <istream>
#include <stdexcept>
#include <string>
#include <vector>

#include "ir/conv.h"
#include "runtime/engine.h"
#include "tests/support/random.h"

namespace convgen::testing {

struct BundleTensors {
  explicit BundleTensors(const ir::Conv& conv) {
    uint64_t seed = 1;
    const auto fill = [&seed](std::vector<float>& tensor, int64_t elements) {
      Random random(seed++);
      tensor.resize(static_cast<size_t>(elements));
      for (float& value : tensor) value = random.real();
    };
    fill(src, conv.src_elements());
    fill(weights, conv.weights_elements());
    fill(bias, conv.oc);
    fill(add, conv.dst_elements());
    fill(scale, conv.oc);
    dst.resize(static_cast<size_t>(conv.dst_elements()));
  }

  std::vector<float> src, weights, bias, add, scale, dst;
};

// FNV-1a over the bits.
inline uint64_t checksum_of(const std::vector<float>& values) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < values.size() * sizeof(float); ++i)
    hash = (hash ^ bytes[i]) * 1099511628211u;
  return hash;
}

// kernel's result, into tensors.dst. A failed run is no result: throws.
inline void compute(const Kernel& kernel, BundleTensors& tensors, const float* weights) {
  const Status status = kernel.run({.src = tensors.src.data(),
                                    .weights = weights,
                                    .bias = tensors.bias.data(),
                                    .add = tensors.add.data(),
                                    .scale = tensors.scale.data(),
                                    .dst = tensors.dst.data()});
  if (!status.ok()) throw std::runtime_error(status.message());
}

// The convolutions of a file of conv texts.
inline std::vector<std::string> bundle_texts(std::istream& file) {
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') texts.push_back(line);
  return texts;
}

}  // namespace convgen::testing
