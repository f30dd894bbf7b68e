// SPDX-License-Identifier: Apache-2.0
#include "python/nn_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ir/text.h"
#include "python/arguments.h"
#include "python/errors.h"

namespace convgen::python {
namespace {

constexpr const char* kAxesForms[] = {"an int or 1 or 3 ints", "an int or 1, 2 or 4 ints",
                                      "an int or 1, 3 or 5 ints"};

// One number for each spatial dimension from one number, from one for each, or from one for each
// dimension of x, where those of batch and channels must be 1.
void read_axes(nb::handle object, const char* name, const Request& request,
               std::array<int64_t, kMaxSpatial>& axes) {
  const int spatial = static_cast<int>(request.spatial_rank);
  if (PyIndex_Check(object.ptr()) && !PySequence_Check(object.ptr())) {
    std::fill_n(axes.begin(), spatial, read_int(object, name));
    return;
  }
  const char* expected = kAxesForms[spatial - 1];
  const nb::tuple items = read_sequence(object, name, expected);
  const auto count = static_cast<int>(items.size());
  if (count != 1 && count != spatial && count != request.rank())
    raise(
        invalid_argument(fmt::format("{}: {} numbers found, expected {}", name, count, expected)));
  const bool whole = count == request.rank();
  for (int i = 0; i < spatial; ++i) {
    const int from = count == 1 ? 0 : i + (whole ? request.first_spatial_axis() : 0);
    axes[i] = read_int(items[from], name);
  }
  if (!whole ||
      (read_int(items[0], name) == 1 && read_int(items[request.channel_axis()], name) == 1))
    return;
  raise(invalid_argument(fmt::format("{}: those of batch and channels must be 1", name)));
}

// --- Padding ---

constexpr const char* kPaddings = "'SAME', 'VALID' or a (begin, end) for each dimension of x";

std::pair<int64_t, int64_t> read_pair(nb::handle object) {
  const nb::tuple pair = read_sequence(object, "padding", kPaddings);
  if (pair.size() != 2)
    raise(invalid_argument(
        fmt::format("padding: {} numbers of a dimension found, expected 2", pair.size())));
  return {read_int(pair[0], "padding"), read_int(pair[1], "padding")};
}

void read_pads(nb::handle padding, Request& request) {
  const nb::tuple pairs = read_sequence(padding, "padding", kPaddings);
  if (static_cast<int>(pairs.size()) != request.rank())
    raise(invalid_argument(
        fmt::format("padding: {} dimensions found, expected {}", pairs.size(), request.rank())));
  request.padding = Padding::kExplicit;
  const int first = request.first_spatial_axis();
  for (int axis = 0; axis < request.rank(); ++axis) {
    const auto [begin, end] = read_pair(pairs[axis]);
    const int spatial = axis - first;
    if (spatial >= 0 && spatial < request.spatial_rank) {
      request.pads[2 * spatial] = begin;
      request.pads[2 * spatial + 1] = end;
    } else if (begin != 0 || end != 0) {
      raise(invalid_argument("padding: those of batch and channels must be 0"));
    }
  }
}

// --- The convolution ---

std::string_view letters(int64_t spatial_rank) {
  return std::string_view("dhw").substr(static_cast<size_t>(kMaxSpatial - spatial_rank));
}

ir::TensorSpec activation_spec(const Request& request, bool channels_first) {
  const std::string_view spatial = letters(request.spatial_rank);
  return {"f32", channels_first ? fmt::format("nc{}", spatial) : fmt::format("n{}c", spatial), {}};
}

std::vector<int64_t> dims_in_order(const Request& request, std::span<const int64_t> dims,
                                   const AxisOrder& order) {
  std::vector<int64_t> ordered;
  for (int i = 0; i < request.rank(); ++i) ordered.push_back(dims[order[i]]);
  return ordered;
}

// The groups are what x has channels for.
int64_t count_groups(const Request& request) {
  const int64_t channels = request.x[request.channel_axis()];
  const int64_t filter_channels = request.w[request.rank() - 2];
  if (request.depthwise != 0) {
    if (filter_channels == channels) return channels;
    raise(invalid_argument(fmt::format("w: {} channels of the filter found, expected the {} of x",
                                       filter_channels, channels)));
  }
  if (filter_channels > 0 && channels % filter_channels == 0) return channels / filter_channels;
  raise(invalid_argument(fmt::format(
      "w: {} input channels of the filter found, expected a divisor of the {} channels of x",
      filter_channels, channels)));
}

// A depthwise filter [kh, kw, c, m] is one with 1 input channel a group and c * m outputs.
ir::TensorSpec filter_spec(const Request& request) {
  const int rank = request.rank();
  std::array<int64_t, kMaxRank> dims = request.w;
  if (request.depthwise != 0) {
    dims[rank - 1] *= dims[rank - 2];
    dims[rank - 2] = 1;
  }
  const bool first = request.filter_first != 0;
  AxisOrder order = kAsDeclared;
  if (first) {  // o, i, spatial
    order = {rank - 1, rank - 2};
    for (int i = 2; i < rank; ++i) order[i] = i - 2;
  }
  const std::string_view spatial = letters(request.spatial_rank);
  return {"f32", first ? fmt::format("oi{}", spatial) : fmt::format("{}io", spatial),
          dims_in_order(request, dims, order)};
}

ir::PadsSpec pads_spec(const Request& request) {
  if (request.padding == Padding::kValid) return {};
  if (request.padding == Padding::kSame) return {ir::PadsSpec::Kind::kSame, {}};
  ir::PadsSpec pads{ir::PadsSpec::Kind::kExplicit, {}};
  for (int i = 0; i < request.spatial_rank; ++i)
    pads.explicit_pads.emplace_back(request.pads[2 * i], request.pads[2 * i + 1]);
  return pads;
}

// --- Post-ops ---

// The names that TensorFlow has beside the words of the conv text, with its default constants.
constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"relu6", "clamp:0:6"},
    {"swish", "silu"},
    {"leaky_relu", "leaky_relu:0.2"},
    {"elu", "elu:1"},
    {"linear", ""},
    {"hard_silu", "hard_swish"},
    {"gelu_approximate", "gelu_tanh"},
};

std::string chain_text(std::string_view activation) {
  std::string chain;
  while (!activation.empty()) {
    const size_t comma = std::min(activation.find(','), activation.size());
    std::string_view word = activation.substr(0, comma);
    for (const auto& [name, meaning] : kNames) {
      if (word == name) {
        word = meaning;
        break;
      }
    }
    if (!word.empty()) chain += fmt::format("{}{}", chain.empty() ? "" : ",", word);
    if (comma == activation.size()) break;
    activation.remove_prefix(comma + 1);
  }
  return chain;
}

std::vector<ir::PostOp> read_chain(std::string_view activation) {
  const std::string chain = chain_text(activation);
  if (chain.empty()) return {};
  const bool plain = std::ranges::all_of(chain, [](unsigned char c) { return c > ' '; });
  if (!plain)
    raise(
        invalid_argument(fmt::format("activation: '{}' has blanks, expected post-ops with commas "
                                     "between",
                                     activation)));
  Result<ir::ConvSpec> spec = ir::parse_conv_spec("conv2d post=" + chain);
  if (spec.ok()) return spec->post;
  raise(Status(spec.status().code(), "activation: " + spec.status().message()));
}

// The chain and the operands must name each other; a bias that the chain does not mention is
// added first.
std::vector<ir::PostOp> make_chain(const Request& request, std::string_view activation) {
  std::vector<ir::PostOp> chain = read_chain(activation);
  const auto uses = [&](ir::PostOpKind kind) {
    return std::ranges::find(chain, kind, &ir::PostOp::kind) != chain.end();
  };
  const auto expect = [&](ir::PostOpKind kind, bool given, const char* name) {
    if (uses(kind) == given) return;
    raise(invalid_argument(
        given ? fmt::format("{0}: given, but the activation has no \"{0}\"", name)
              : fmt::format("{0}: None found, but the activation has \"{0}\"", name)));
  };
  if (request.has_bias != 0 && !uses(ir::PostOpKind::kBias))
    chain.insert(chain.begin(), ir::PostOp{.kind = ir::PostOpKind::kBias});
  expect(ir::PostOpKind::kBias, request.has_bias != 0, "bias");
  expect(ir::PostOpKind::kAdd, request.has_add != 0, "add");
  expect(ir::PostOpKind::kScale, request.has_scale != 0, "scale");
  return chain;
}

}  // namespace

void read_data_format(const Function& function, nb::handle data_format, Request& request) {
  const std::string_view spatial =
      std::string_view("DHW").substr(static_cast<size_t>(kMaxSpatial - function.spatial_rank));
  request.channels_first = 0;
  if (data_format.is_none()) return;
  const auto expected = [&] { return fmt::format("'N{0}C' or 'NC{0}'", spatial); };
  const std::string_view text = read_text(data_format, "data_format", "a str");
  const size_t size = spatial.size() + 2;
  if (text.size() == size && text[0] == 'N') {
    request.channels_first = text[1] == 'C' ? 1 : 0;
    const bool channel = text[request.channel_axis()] == 'C';
    if (channel && text.substr(request.first_spatial_axis(), spatial.size()) == spatial) return;
  }
  raise(invalid_argument(fmt::format("data_format: '{}' found, expected {}", text, expected())));
}

void read_strides(nb::handle strides, Request& request) {
  read_axes(strides, "strides", request, request.strides);
}

void read_dilations(nb::handle dilations, Request& request) {
  if (dilations.is_none())
    std::fill_n(request.dilations.begin(), request.spatial_rank, 1);
  else
    read_axes(dilations, "dilations", request, request.dilations);
}

void read_padding(nb::handle padding, Request& request) {
  if (!PyUnicode_Check(padding.ptr())) return read_pads(padding, request);
  const std::string_view text = read_text(padding, "padding", kPaddings);
  if (text == "SAME" || text == "same")
    request.padding = Padding::kSame;
  else if (text == "VALID" || text == "valid")
    request.padding = Padding::kValid;
  else
    raise(invalid_argument(fmt::format("padding: '{}' found, expected {}", text, kPaddings)));
}

AxisOrder activation_order(const Request& request, bool channels_first) {
  const int rank = request.rank();
  if (channels_first == (request.channels_first != 0)) return kAsDeclared;
  AxisOrder order{};
  if (channels_first) {  // declared n, spatial, c; in memory n, c, spatial
    order[1] = rank - 1;
    for (int i = 2; i < rank; ++i) order[i] = i - 1;
  } else {  // declared n, c, spatial; in memory n, spatial, c
    for (int i = 1; i < rank - 1; ++i) order[i] = i + 1;
    order[rank - 1] = 1;
  }
  return order;
}

AxisOrder filter_order(const Request& request, bool filter_first) {
  if (!filter_first) return kAsDeclared;
  const int rank = request.rank();
  // Output channel c * m + j of a depthwise filter: c outside of m.
  AxisOrder order =
      request.depthwise != 0 ? AxisOrder{rank - 2, rank - 1} : AxisOrder{rank - 1, rank - 2};
  for (int i = 2; i < rank; ++i) order[i] = i - 2;
  return order;
}

ir::ConvSpec make_spec(const Function& function, const Request& request,
                       std::string_view activation) {
  const auto spatial = [&](const std::array<int64_t, kMaxSpatial>& axes) {
    return std::vector<int64_t>(axes.begin(), axes.begin() + request.spatial_rank);
  };
  ir::ConvSpec spec;
  spec.op = fmt::format("conv{}d", function.spatial_rank);
  spec.src = activation_spec(request, request.x_channels_first != 0);
  spec.src.dims =
      dims_in_order(request, request.x, activation_order(request, request.x_channels_first != 0));
  spec.weights = filter_spec(request);
  spec.dst = activation_spec(request, request.dst_channels_first != 0);
  spec.strides = spatial(request.strides);
  spec.dilations = spatial(request.dilations);
  spec.pads = pads_spec(request);
  spec.groups = count_groups(request);
  spec.post = make_chain(request, activation);
  return spec;
}

}  // namespace convgen::python
