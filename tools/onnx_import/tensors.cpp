// SPDX-License-Identifier: Apache-2.0
// TensorProto: dims, and f32 data in one of three places.
#include "tools/onnx_import/tensors.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

#include "tools/onnx_import/messages.h"

namespace convgen::onnx_import {
namespace {

using onnx::TensorProto;

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

constexpr int kMaxRank = 32;

Status broken(const TensorProto& tensor, const std::string& what) {
  return invalid_argument(fmt::format("tensor {}: {}", quote_name(tensor.name()), what));
}

std::vector<float> floats_from(std::string_view bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

struct Place {
  std::string location;
  int64_t offset = 0;
  std::optional<int64_t> length;
};

Result<Place> place_of(const TensorProto& tensor) {
  Place place;
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") place.location = entry.value();
    if (entry.key() != "offset" && entry.key() != "length") continue;
    int64_t number = -1;
    const char* end = entry.value().data() + entry.value().size();
    const auto [stop, failure] = std::from_chars(entry.value().data(), end, number);
    if (failure != std::errc() || stop != end || number < 0) {
      return broken(tensor, fmt::format("external {} {} is no number", entry.key(),
                                        quote_name(entry.value())));
    }
    if (entry.key() == "offset") place.offset = number;
    if (entry.key() == "length") place.length = number;
  }
  if (place.location.empty()) return broken(tensor, "external data without a location");
  return place;
}

}  // namespace

std::vector<int64_t> dims_of(const TensorProto& tensor) {
  return {tensor.dims().begin(), tensor.dims().end()};
}

int64_t elements_of(const TensorProto& tensor) {
  int64_t elements = 1;
  for (const int64_t dim : tensor.dims()) elements *= dim;
  return elements;
}

bool is_external(const TensorProto& tensor) {
  return tensor.data_location() == TensorProto::EXTERNAL || tensor.external_data_size() > 0;
}

Status check_tensor(const TensorProto& tensor) {
  if (tensor.dims_size() > kMaxRank) {
    return broken(tensor,
                  fmt::format("{} dims, at most {} are accepted", tensor.dims_size(), kMaxRank));
  }
  constexpr int64_t kMaxElements = std::numeric_limits<int64_t>::max() / 16;
  int64_t elements = 1;
  for (const int64_t dim : tensor.dims()) {
    if (dim < 0) return broken(tensor, fmt::format("dim {} must not be negative", dim));
    if (dim > 0 && elements > kMaxElements / dim) {
      return broken(tensor, "the size in bytes overflows int64");
    }
    elements *= dim;
  }
  if (tensor.data_type() != TensorProto::FLOAT || is_external(tensor)) return Status();
  const auto raw = static_cast<int64_t>(tensor.raw_data().size());
  const int64_t found = tensor.has_raw_data() ? raw : 4 * int64_t{tensor.float_data_size()};
  if (found == 4 * elements) return Status();
  return broken(tensor, fmt::format("{} bytes of data, its dims promise {}", found, 4 * elements));
}

Result<std::vector<float>> read_floats(const TensorProto& tensor, const ExternalData& external) {
  if (!is_external(tensor)) {
    if (tensor.has_raw_data()) return floats_from(tensor.raw_data());
    return std::vector<float>(tensor.float_data().begin(), tensor.float_data().end());
  }
  const Result<Place> place = place_of(tensor);
  if (!place.ok()) return place.status();
  const int64_t bytes = 4 * elements_of(tensor);
  if (place->length && *place->length != bytes) {
    return broken(tensor, fmt::format("external length {}, its dims promise {} bytes",
                                      *place->length, bytes));
  }
  const Result<std::string> data = external.read(place->location, place->offset, bytes);
  if (!data.ok()) return data.status();
  return floats_from(*data);
}

std::optional<float> scalar_of(const TensorProto& tensor) {
  const bool is_scalar = tensor.data_type() == TensorProto::FLOAT && elements_of(tensor) == 1;
  if (!is_scalar || is_external(tensor)) return std::nullopt;
  const Result<std::vector<float>> values = read_floats(tensor, ExternalData());
  if (!values.ok()) return std::nullopt;
  return values->front();
}

}  // namespace convgen::onnx_import
