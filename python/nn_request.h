// SPDX-License-Identifier: Apache-2.0
// From TensorFlow's arguments to a convolution: what conv2d(x, w, ...) asks for, as plain numbers
// that serve as a key, and as the ConvSpec they mean.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/conv_spec.h"
#include "python/tensor.h"

namespace convgen::python {

inline constexpr int kMaxSpatial = 3;

// conv1d, conv2d, conv3d or depthwise_conv2d.
struct Function {
  const char* name;
  int spatial_rank;
  bool depthwise;

  int rank() const { return spatial_rank + 2; }
};

enum class Padding : int64_t { kValid, kSame, kExplicit };

// Everything that decides which kernel runs, but the activation's text. Nothing but int64, so that
// its bytes can be compared.
struct Request {
  int64_t spatial_rank = 0;
  int64_t depthwise = 0;
  int64_t channels_first = 0;      // of data_format: x, add and the result
  int64_t x_channels_first = 0;    // how x lies in memory, whatever its data_format
  int64_t dst_channels_first = 0;  // and the result
  int64_t filter_first = 0;        // the filter's output channels are outermost in memory
  int64_t has_bias = 0, has_add = 0, has_scale = 0;
  int64_t threads = 0;  // 0: not said
  Padding padding = Padding::kValid;
  std::array<int64_t, kMaxRank> x{}, w{};  // dims as passed
  std::array<int64_t, kMaxSpatial> strides{}, dilations{};
  std::array<int64_t, 2 * kMaxSpatial> pads{};  // begin and end of each dimension, where explicit

  int rank() const { return static_cast<int>(spatial_rank) + 2; }
  int channel_axis() const { return channels_first != 0 ? 1 : rank() - 1; }
  int first_spatial_axis() const { return channels_first != 0 ? 2 : 1; }
};

// What strides=, padding=, data_format= and dilations= say, in TensorFlow's spellings. Throw
// TypeError or InvalidArgument naming the argument.
void read_data_format(const Function& function, nb::handle data_format, Request& request);
void read_strides(nb::handle strides, Request& request);
void read_dilations(nb::handle dilations, Request& request);
void read_padding(nb::handle padding, Request& request);

// The order of the axes of an activation tensor in memory, as they are declared.
AxisOrder activation_order(const Request& request, bool channels_first);
// That of a filter, [spatial..., i, o] or depthwise [kh, kw, c, m] as declared.
AxisOrder filter_order(const Request& request, bool filter_first);

// The convolution. activation is None's empty text, a name or a chain of post-ops. Throws
// InvalidArgument where the filter does not fit x or the chain does not fit the operands.
ir::ConvSpec make_spec(const Function& function, const Request& request,
                       std::string_view activation);

}  // namespace convgen::python
