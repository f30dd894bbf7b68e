// SPDX-License-Identifier: Apache-2.0
// Random numbers of tests: the same on every machine, since a seed in a log must mean something.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

namespace convgen::testing {

// splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, bound), bound > 0.
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(next() % static_cast<uint64_t>(bound));
  }
  bool one_in(int64_t count) { return below(count) == 0; }
  // Uniform in [-1, 1), a multiple of 2^-23.
  float real() { return static_cast<float>(next() >> 40) * 0x1p-23f - 1; }
  // Uniform in -limit ... limit without 0: a zero would hide what it is multiplied with.
  float nonzero_integer(int limit) {
    const int64_t pick = below(2 * limit);
    return static_cast<float>(pick < limit ? pick - limit : pick - limit + 1);
  }

 private:
  uint64_t state_;
};

// A seed of its own for each (seed, index).
inline uint64_t mix(uint64_t seed, uint64_t index) {
  return Random(seed + index * 0x9e3779b97f4a7c15).next();
}

// The seed of every random test: CONVGEN_TEST_SEED where it is set, else always the same.
inline uint64_t test_seed() {
  const char* text = std::getenv("CONVGEN_TEST_SEED");
  return text == nullptr ? 20260101 : std::strtoull(text, nullptr, 10);
}

}  // namespace convgen::testing
