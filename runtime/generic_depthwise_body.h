// SPDX-License-Identifier: Apache-2.0
// Depthwise inner loops: channels innermost for channels-last tensors, columns innermost for
// channels-first ones; part of generic_kernels_body.h.

// kVectors vectors of channels from channel c on, for every pixel of the run: the weights of
// these channels stay in L1 from pixel to pixel, the sums in registers from tap to tap.
template <int kVectors>
CONVGEN_TARGET void depthwise_channels(const DepthwisePixels& run, int64_t c) {
  for (int64_t pixel = 0; pixel < run.pixels; ++pixel) {
    Vector acc[kVectors] = {};
    if (run.initial != nullptr) {
      for (int v = 0; v < kVectors; ++v) {
        acc[v] = *reinterpret_cast<const VectorInMemory*>(run.initial + c + v * kLanes);
      }
    }
    const uint64_t src_offset =
        run.src_offset + static_cast<uint64_t>(pixel) * run.src_step + static_cast<uint64_t>(c);
    for (int64_t t = 0; t < run.tap_count; ++t) {
      const float* src = run.src + (src_offset + run.taps[t].src_offset);
      const float* weights = run.weights + run.taps[t].weights_offset + c;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        acc[v] += *reinterpret_cast<const VectorInMemory*>(src + v * kLanes) *
                  *reinterpret_cast<const VectorInMemory*>(weights + v * kLanes);
      }
    }
    float* out = run.out + pixel * run.channels + c;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      *reinterpret_cast<VectorInMemory*>(out + v * kLanes) = acc[v];
    }
  }
}

// The same for one channel, where there are fewer channels than lanes.
CONVGEN_TARGET inline void depthwise_channel(const DepthwisePixels& run, int64_t c) {
  for (int64_t pixel = 0; pixel < run.pixels; ++pixel) {
    float acc = run.initial != nullptr ? run.initial[c] : 0;
    const uint64_t src_offset =
        run.src_offset + static_cast<uint64_t>(pixel) * run.src_step + static_cast<uint64_t>(c);
    for (int64_t t = 0; t < run.tap_count; ++t) {
      acc += run.src[src_offset + run.taps[t].src_offset] *
             run.weights[run.taps[t].weights_offset + c];
    }
    run.out[pixel * run.channels + c] = acc;
  }
}

CONVGEN_TARGET inline void depthwise_pixels(const DepthwisePixels& run) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= run.channels; c += 4 * kLanes) depthwise_channels<4>(run, c);
  for (; c + kLanes <= run.channels; c += kLanes) depthwise_channels<1>(run, c);
  if (c == run.channels) return;
  if (run.channels >= kLanes) {
    depthwise_channels<1>(run, run.channels - kLanes);  // some channels a second time: same values
  } else {
    for (; c < run.channels; ++c) depthwise_channel(run, c);
  }
}

CONVGEN_TARGET inline void depthwise_row(const float* src, int64_t stride, const RowTap* taps,
                                         int64_t tap_count, float* __restrict row) {
  for (int64_t t = 0; t < tap_count; ++t) {
    const RowTap& tap = taps[t];
    const int64_t count = tap.end - tap.begin;
    const float weight = tap.weight;
    const float* x = src + (tap.src_offset + tap.begin * stride);
    float* acc = row + tap.begin;
    // Strides 1 and 2 as constants: the compiler vectorizes these.
    if (stride == 1) {
      for (int64_t i = 0; i < count; ++i) acc[i] += x[i] * weight;
    } else if (stride == 2) {
      for (int64_t i = 0; i < count; ++i) acc[i] += x[2 * i] * weight;
    } else {
      for (int64_t i = 0; i < count; ++i) acc[i] += x[i * stride] * weight;
    }
  }
}
