// SPDX-License-Identifier: Apache-2.0
// The steps in order: bytes, model, types, graph, and for each Conv its words, its chain, its
// weights.
#include "tools/onnx_import/import.h"

#include <fmt/format.h>

#include <filesystem>
#include <limits>
#include <set>

#include "tools/onnx_import/affine.h"
#include "tools/onnx_import/attributes.h"
#include "tools/onnx_import/conv_node.h"
#include "tools/onnx_import/fusion.h"
#include "tools/onnx_import/graph.h"
#include "tools/onnx_import/messages.h"
#include "tools/onnx_import/model.h"
#include "tools/onnx_import/names.h"
#include "tools/onnx_import/shapes.h"
#include "tools/onnx_import/tensors.h"
#include "tools/output_file.h"

namespace convgen::onnx_import {
namespace {

using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;

bool has_input(const NodeProto& node, int index) {
  return node.input_size() > index && !node.input(index).empty();
}

// An f32 tensor of the file that has just these dims.
bool is_constant(const TensorProto* tensor, const std::vector<int64_t>& dims) {
  return tensor != nullptr && tensor->data_type() == TensorProto::FLOAT && dims_of(*tensor) == dims;
}

class Importer {
 public:
  Importer(const ModelProto& model, const Graph& graph, const ExternalData& external,
           const ImportOptions& options)
      : model_(model), graph_(graph), external_(external), options_(options) {}

  Result<ImportedModel> run() {
    for (int i = 0; i < graph_.nodes(); ++i) {
      const NodeProto& node = graph_.node(i);
      if (!is_op(node, "Conv")) {
        look_inside(node);
        continue;
      }
      const Status status = import_conv(i);
      if (status.code() == StatusCode::kUnsupported) {
        imported_.skipped.push_back(located(node_label(node), status).message());
      } else if (!status.ok()) {
        return located(node_label(node), status);
      }
    }
    return finish();
  }

 private:
  Status import_conv(int index) {
    const NodeProto& node = graph_.node(index);
    Result<ir::ConvSpec> spec = describe_conv(graph_, node);
    if (!spec.ok()) return spec.status();
    const Result<ir::Conv> plain = ir::make_conv(*spec);
    if (!plain.ok()) return plain.status();
    if (Status s = check_output_shape(graph_, node, *plain); !s.ok()) return s;
    if (Status s = check_bias(node, plain->oc); !s.ok()) return s;

    ImportedConv found;
    const Fusion fusion = match_fusion(graph_, context(index, *plain, found));
    if (fusion.has_bias) spec->post.push_back({ir::PostOpKind::kBias, 0, 0});
    spec->post.insert(spec->post.end(), fusion.post.begin(), fusion.post.end());
    spec->name = names_.unique(node.name().empty() ? node.output(0) : node.name());
    Result<ir::Conv> conv = ir::make_conv(*spec);
    if (!conv.ok()) return conv.status();

    found.conv = std::move(*conv);
    found.node = node.name();
    found.src = node.input(0);
    found.residual = fusion.residual;
    found.dst = fusion.output;
    found.fused = fusion.ops;
    if (options_.read_weights) {
      if (Status s = read_parameters(node, fusion, found); !s.ok()) return s;
    }
    made_.insert(found.dst);
    imported_.convs.push_back(std::move(found));
    return Status();
  }

  Status check_bias(const NodeProto& node, int64_t oc) const {
    if (!has_input(node, 2)) return Status();
    const ValueType& type = graph_.type(node.input(2));
    const bool known = type.is_static() && type.element != 0;
    if (!known) return Status();
    if (type.element == TensorProto::FLOAT && type.extents() == std::vector<int64_t>{oc}) {
      return Status();
    }
    return invalid_argument(fmt::format("its bias {} is {}, expected {} numbers of f32",
                                        quote_name(node.input(2)), fmt::join(type.extents(), "x"),
                                        oc));
  }

  ConvContext context(int index, const ir::Conv& conv, ImportedConv& found) const {
    const NodeProto& node = graph_.node(index);
    const bool has_bias = has_input(node, 2);
    found.constant_weights = is_constant(graph_.constant(node.input(1)), conv.weights_dims());
    const bool constant_bias = !has_bias || is_constant(graph_.constant(node.input(2)), {conv.oc});
    return {index, conv.dst_dims(), found.constant_weights && constant_bias, has_bias, &made_};
  }

  Status read_parameters(const NodeProto& node, const Fusion& fusion, ImportedConv& found) const {
    Parameters parameters;
    const TensorProto* bias = has_input(node, 2) ? graph_.constant(node.input(2)) : nullptr;
    if (found.constant_weights) {
      Result<std::vector<float>> values = read_floats(*graph_.constant(node.input(1)), external_);
      if (!values.ok()) return values.status();
      parameters.weights = std::move(*values);
    }
    if (is_constant(bias, {found.conv.oc})) {
      Result<std::vector<float>> values = read_floats(*bias, external_);
      if (!values.ok()) return values.status();
      parameters.bias = std::move(*values);
    }
    Status status = fold_affine(graph_, fusion.affine, external_, found.conv, parameters);
    found.weights = std::move(parameters.weights);
    found.bias = std::move(parameters.bias);
    return status;
  }

  // Convolutions of other kinds, or in other places, are not listed, which must not go unsaid.
  void look_inside(const NodeProto& node) {
    for (const char* kin : {"ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv"}) {
      if (!is_op(node, kin)) continue;
      imported_.skipped.push_back(node_label(node) + ": unsupported, so far there is Conv");
    }
    bool has_conv = false;
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) has_conv |= holds_conv(attribute.g());
      for (const GraphProto& graph : attribute.graphs()) has_conv |= holds_conv(graph);
    }
    for (const onnx::FunctionProto& function : model_.functions()) {
      if (function.name() != node.op_type() || function.domain() != node.domain()) continue;
      for (const NodeProto& inner : function.node()) has_conv |= inner.op_type() == "Conv";
    }
    if (has_conv) {
      imported_.skipped.push_back(node_label(node) +
                                  ": has convolutions inside, only those of the main graph count");
    }
  }

  static bool holds_conv(const GraphProto& graph) {
    for (const NodeProto& node : graph.node()) {
      if (node.op_type() == "Conv") return true;
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        if (attribute.has_g() && holds_conv(attribute.g())) return true;
      }
    }
    return false;
  }

  Result<ImportedModel> finish() {
    if (!imported_.convs.empty()) return std::move(imported_);
    if (imported_.skipped.empty()) return invalid_argument("the model has no Conv");
    const size_t more = imported_.skipped.size() - 1;
    return unsupported(imported_.skipped.front() +
                       (more == 0 ? "" : fmt::format(", and {} more like it", more)));
  }

  const ModelProto& model_;
  const Graph& graph_;
  const ExternalData& external_;
  const ImportOptions& options_;
  Names names_;
  std::set<std::string> made_;
  ImportedModel imported_;
};

}  // namespace

Result<ImportedModel> import_bytes(std::string_view bytes, const std::string& directory,
                                   const ImportOptions& options) {
  const ExternalData external(options.external_data ? directory : "");
  Result<ModelProto> model = parse_model(bytes, external.allowed());
  if (!model.ok()) return model.status();
  Status status = set_open_dims(*model, options.dims, options.shapes);
  if (!status.ok()) return status;
  Result<ValueTypes> types = infer_types(*model);
  if (!types.ok()) return types.status();
  const Result<Graph> graph = Graph::create(*model, std::move(*types));
  if (!graph.ok()) return graph.status();
  return Importer(*model, *graph, external, options).run();
}

Result<ImportedModel> import_model(const std::string& path, const ImportOptions& options) {
  constexpr size_t kMaxBytes = std::numeric_limits<int>::max();  // protobuf's own limit
  const Result<std::string> bytes = tool::read_text(path, kMaxBytes);
  if (!bytes.ok()) return bytes.status();
  std::string directory = std::filesystem::path(path).parent_path().string();
  if (directory.empty()) directory = ".";
  Result<ImportedModel> imported = import_bytes(*bytes, path == "-" ? "" : directory, options);
  if (!imported.ok()) return located(tool::input_name(path), imported.status());
  return imported;
}

}  // namespace convgen::onnx_import
