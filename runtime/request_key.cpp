// SPDX-License-Identifier: Apache-2.0
#include "runtime/request_key.h"

#include <bit>
#include <cstdint>
#include <span>

namespace convgen {
namespace {

using Bytes = RequestKey::Bytes;

template <typename T>
void append(Bytes& bytes, std::span<const T> values) {
  const auto* data = reinterpret_cast<const char*>(values.data());
  bytes.append(data, data + values.size_bytes());
}

// What all convolutions have; the chain of post-ops follows.
void append_conv(Bytes& bytes, const ir::Conv& c) {
  const int64_t layouts = static_cast<int64_t>(c.type) | static_cast<int64_t>(c.src_layout) << 8 |
                          static_cast<int64_t>(c.dst_layout) << 16 |
                          static_cast<int64_t>(c.weights_layout) << 24 |
                          static_cast<int64_t>(c.accuracy) << 32;
  const int64_t fields[] = {c.spatial_rank,
                            layouts,
                            c.n,
                            c.ic,
                            c.oc,
                            c.groups,
                            c.in.d,
                            c.in.h,
                            c.in.w,
                            c.kernel.d,
                            c.kernel.h,
                            c.kernel.w,
                            c.out.d,
                            c.out.h,
                            c.out.w,
                            c.strides.d,
                            c.strides.h,
                            c.strides.w,
                            c.dilations.d,
                            c.dilations.h,
                            c.dilations.w,
                            c.pads_begin.d,
                            c.pads_begin.h,
                            c.pads_begin.w,
                            c.pads_end.d,
                            c.pads_end.h,
                            c.pads_end.w,
                            std::bit_cast<int32_t>(c.pad_value),
                            static_cast<int64_t>(c.post.size())};
  append<int64_t>(bytes, fields);
  for (const ir::PostOp& op : c.post) {
    const int32_t words[] = {static_cast<int32_t>(op.kind), std::bit_cast<int32_t>(op.a),
                             std::bit_cast<int32_t>(op.b)};
    append<int32_t>(bytes, words);
  }
}

}  // namespace

RequestKey::RequestKey(const ir::Conv& conv, const CompileOptions& options,
                       const ConstantWeights* constants) {
  append_conv(bytes_, conv);
  const int64_t how[] = {
      static_cast<int64_t>(options.engine), options.threads,
      static_cast<int64_t>(options.schedule.size()),
      constants == nullptr ? -1 : static_cast<int64_t>(constants->assume_finite)};
  append<int64_t>(bytes_, how);
  append<char>(bytes_, options.schedule);
  if (constants != nullptr) append<float>(bytes_, constants->values);
}

std::string_view bytes_of(const ConstantWeights& constants) {
  return {reinterpret_cast<const char*>(constants.values.data()),
          constants.values.size() * sizeof(float)};
}

std::string key_of(const ConstantWeights* constants) {
  if (constants == nullptr) return "";
  return fmt::format("|constants finite={} ", static_cast<int>(constants->assume_finite))
      .append(bytes_of(*constants));
}

}  // namespace convgen
