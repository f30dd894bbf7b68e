// SPDX-License-Identifier: Apache-2.0
// ONNX operator Conv (versions 1 and 11) to ConvSpec.
#include "tools/onnx_import/conv_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "tools/onnx_import/attributes.h"
#include "tools/onnx_import/messages.h"

namespace convgen::onnx_import {
namespace {

using onnx::NodeProto;
using onnx::TensorProto;

std::string element_name(int element) {
  return TensorProto::DataType_IsValid(element)
             ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(element))
             : fmt::format("number {}", element);
}

// Mostly a dim hangs on what the model's inputs leave open.
std::string open_hint(const Graph& graph) {
  const std::string open = open_inputs(graph.proto());
  if (open.empty()) return "";
  return fmt::format("; the model leaves open: {}; give --dim NAME=N or --shape INPUT=DIMS", open);
}

// The input's or the weights' extents. Inference tells the type of a value before its shape, so
// what is of a foreign type is said first.
Result<std::vector<int64_t>> static_dims(const Graph& graph, const std::string& value,
                                         const std::string& what) {
  const ValueType& type = graph.type(value);
  if (type.element != 0 && type.element != TensorProto::FLOAT) {
    return unsupported(fmt::format("its {} {} is of type {}, so far there is FLOAT", what,
                                   quote_name(value), element_name(type.element)));
  }
  if (!type.has_shape) {
    const int maker = graph.maker(value);
    const std::string from = maker < 0 ? "" : ", made by " + node_label(graph.node(maker));
    return invalid_argument(fmt::format("the shape of its {} {}{} is not known{}", what,
                                        quote_name(value), from, open_hint(graph)));
  }
  for (size_t i = 0; i < type.dims.size(); ++i) {
    const Dim& dim = type.dims[i];
    if (dim.value >= 0) continue;
    const std::string symbol = dim.symbol.empty() ? "" : ": " + quote_name(dim.symbol);
    return invalid_argument(fmt::format("dim {} of its {} {} is not known{}{}", i, what,
                                        quote_name(value), symbol, open_hint(graph)));
  }
  return type.extents();
}

// pads, where auto_pad is NOTSET.
Result<ir::PadsSpec> read_explicit_pads(const std::vector<int64_t>& numbers, size_t rank) {
  ir::PadsSpec pads;
  if (numbers.empty()) return pads;
  if (numbers.size() != 2 * rank) {
    return invalid_argument(
        fmt::format("pads: {} numbers found, expected {}", numbers.size(), 2 * rank));
  }
  pads.kind = ir::PadsSpec::Kind::kExplicit;
  for (size_t i = 0; i < rank; ++i) pads.explicit_pads.push_back({numbers[i], numbers[rank + i]});
  return pads;
}

// auto_pad stands in place of pads.
Result<ir::PadsSpec> read_pads(Attributes& attributes, size_t rank) {
  using Kind = ir::PadsSpec::Kind;
  constexpr std::pair<std::string_view, Kind> kWords[] = {
      {"SAME_UPPER", Kind::kSame}, {"SAME_LOWER", Kind::kSameLower}, {"VALID", Kind::kValid}};
  const std::string auto_pad = attributes.text("auto_pad", "NOTSET");
  const std::vector<int64_t> numbers = attributes.integers("pads");
  if (auto_pad == "NOTSET") return read_explicit_pads(numbers, rank);
  for (const auto& [word, kind] : kWords) {
    if (auto_pad != word) continue;
    if (numbers.empty()) return ir::PadsSpec{kind, {}};
    return invalid_argument(fmt::format("auto_pad {} and pads exclude each other", auto_pad));
  }
  return invalid_argument(fmt::format(
      "auto_pad {}: expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", quote_name(auto_pad)));
}

Status check_kernel_shape(const std::vector<int64_t>& kernel_shape,
                          const std::vector<int64_t>& weights) {
  if (kernel_shape.empty()) return Status();
  if (std::equal(kernel_shape.begin(), kernel_shape.end(), weights.begin() + 2, weights.end())) {
    return Status();
  }
  return invalid_argument(fmt::format("kernel_shape {} contradicts the weights {}",
                                      fmt::join(kernel_shape, "x"), fmt::join(weights, "x")));
}

Status check_ranks(size_t src, size_t weights) {
  if (src != weights) {
    return invalid_argument(fmt::format("weights of rank {} on an input of rank {}", weights, src));
  }
  if (src < 3) return invalid_argument(fmt::format("an input of rank {}, expected 3 to 5", src));
  if (src <= 5) return Status();
  return unsupported(fmt::format("{} spatial axes, so far there are 1, 2 and 3", src - 2));
}

// One number for each spatial axis, or none at all.
Status check_count(const std::string& name, const std::vector<int64_t>& numbers, size_t rank) {
  if (numbers.empty() || numbers.size() == rank) return Status();
  return invalid_argument(
      fmt::format("{}: {} numbers found, expected {}", name, numbers.size(), rank));
}

}  // namespace

Result<ir::ConvSpec> describe_conv(const Graph& graph, const NodeProto& node) {
  const auto src = static_dims(graph, node.input(0), "input");
  if (!src.ok()) return src.status();
  const auto weights = static_dims(graph, node.input(1), "weights");
  if (!weights.ok()) return weights.status();
  if (Status s = check_ranks(src->size(), weights->size()); !s.ok()) return s;

  const size_t rank = src->size() - 2;
  const std::string axes = std::string("dhw").substr(3 - rank);
  Attributes attributes(node);
  ir::ConvSpec spec;
  spec.op = fmt::format("conv{}d", rank);
  spec.src = {"f32", "nc" + axes, *src};
  spec.weights = {"f32", "oi" + axes, *weights};
  spec.strides = attributes.integers("strides");
  spec.dilations = attributes.integers("dilations");
  spec.groups = attributes.integer("group", 1);
  const Result<ir::PadsSpec> pads = read_pads(attributes, rank);
  if (!pads.ok()) return pads.status();
  spec.pads = *pads;
  Status status = check_count("strides", spec.strides, rank);
  if (status.ok()) status = check_count("dilations", spec.dilations, rank);
  if (status.ok()) status = check_kernel_shape(attributes.integers("kernel_shape"), *weights);
  if (status.ok()) status = attributes.status();
  if (!status.ok()) return status;
  return spec;
}

Status check_output_shape(const Graph& graph, const NodeProto& node, const ir::Conv& conv) {
  const ValueType& inferred = graph.type(node.output(0));
  if (!inferred.is_static() || inferred.extents() == conv.dst_dims()) return Status();
  return invalid_argument(fmt::format("its output is {}, the model or onnx says {}",
                                      fmt::join(conv.dst_dims(), "x"),
                                      fmt::join(inferred.extents(), "x")));
}

}  // namespace convgen::onnx_import
