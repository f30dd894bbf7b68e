// SPDX-License-Identifier: Apache-2.0
// convgen import: the convolutions of an ONNX model as conv texts, one a line, and on request their
// weights as .npy files. What the model means is onnx_import's business.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <memory>
#include <system_error>

#include "ir/text.h"
#include "tools/command.h"
#include "tools/npy.h"
#include "tools/onnx_import/import.h"
#include "tools/output_file.h"

namespace convgen::tool {
namespace {

using onnx_import::ImportedConv;
using onnx_import::ImportedModel;

struct ImportCommandOptions {
  std::string model;
  std::string weights;  // a directory
  bool external_data = false;
  std::vector<std::string> dims;    // NAME=N
  std::vector<std::string> shapes;  // INPUT=1x3x224x224
};

// --- Options ---

// The numbers of "1x3x224x224"; none where it is no such list.
std::vector<int64_t> parse_dims(std::string_view text) {
  std::vector<int64_t> dims;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    int64_t dim = -1;
    const auto [stop, failure] = std::from_chars(at, end, dim);
    if (failure != std::errc() || dim < 0) return {};
    dims.push_back(dim);
    if (stop == end) return dims;
    if (*stop != 'x') return {};
    at = stop + 1;
  }
}

// Names may hold '=', numbers do not.
Result<std::pair<std::string, std::vector<int64_t>>> parse_assignment(const std::string& option,
                                                                      const std::string& text,
                                                                      const char* form) {
  const size_t equals = text.rfind('=');
  if (equals != text.npos && equals > 0) {
    std::vector<int64_t> dims = parse_dims(std::string_view(text).substr(equals + 1));
    if (!dims.empty()) return std::pair(text.substr(0, equals), std::move(dims));
  }
  return invalid_argument(fmt::format("{} {}: expected {}", option, text, form));
}

Result<onnx_import::ImportOptions> import_options(const ImportCommandOptions& options) {
  onnx_import::ImportOptions import;
  import.read_weights = !options.weights.empty();
  import.external_data = options.external_data;
  for (const std::string& text : options.dims) {
    const auto dim = parse_assignment("--dim", text, "NAME=N");
    if (!dim.ok()) return dim.status();
    if (dim->second.size() != 1) {
      return invalid_argument(fmt::format("--dim {}: expected NAME=N", text));
    }
    import.dims.emplace_back(dim->first, dim->second[0]);
  }
  for (const std::string& text : options.shapes) {
    auto shape = parse_assignment("--shape", text, "INPUT=DIMS, as in input=1x3x224x224");
    if (!shape.ok()) return shape.status();
    import.shapes.push_back(std::move(*shape));
  }
  return import;
}

// --- Files ---

Status write_array(const std::filesystem::path& path, std::vector<int64_t> shape,
                   const std::vector<float>& data) {
  return write_npy(path.string(), NpyArray{std::move(shape), data});
}

// NAME.weights.npy in conv's layout, NAME.bias.npy: what `convgen run` takes.
Status write_weights(const std::string& directory, const ImportedModel& model) {
  std::error_code error;
  std::filesystem::create_directory(directory, error);
  if (error) return io_error(fmt::format("cannot make {}: {}", directory, error.message()));
  for (const ImportedConv& imported : model.convs) {
    const ir::Conv& conv = imported.conv;
    const std::string start = directory + "/" + conv.name;
    Status status;
    if (imported.constant_weights) {
      status = write_array(start + ".weights.npy", conv.weights_dims(), imported.weights);
    }
    if (status.ok() && !imported.bias.empty()) {
      status = write_array(start + ".bias.npy", {conv.oc}, imported.bias);
    }
    if (!status.ok()) return status;
  }
  return Status();
}

// --- Words ---

void tell(const ImportCommandOptions& options, const ImportedModel& model) {
  for (const std::string& skipped : model.skipped) {
    fmt::print(stderr, "convgen: warning: skipped {}\n", skipped);
  }
  if (options.weights.empty()) return;
  for (const ImportedConv& imported : model.convs) {
    if (imported.constant_weights) continue;
    print_note(
        fmt::format("{}: its weights come at run time, none are written", imported.conv.name));
  }
}

Outcome import(const ImportCommandOptions& options) {
  const Result<onnx_import::ImportOptions> how = import_options(options);
  if (!how.ok()) return how.status();
  const Result<ImportedModel> model = onnx_import::import_model(options.model, *how);
  if (!model.ok()) return model.status();
  if (!options.weights.empty()) {
    if (Status status = write_weights(options.weights, *model); !status.ok()) return status;
  }
  tell(options, *model);
  for (const ImportedConv& imported : model->convs) {
    print(fmt::format("{} name={}\n", ir::print_conv(imported.conv), imported.conv.name));
  }
  return kDone;
}

}  // namespace

void add_import(CLI::App& app, Outcome& outcome) {
  auto options = std::make_shared<ImportCommandOptions>();
  CLI::App* command = app.add_subcommand("import", "list the convolutions of an ONNX model");
  command->group(kCodeGroup);
  command->add_option("MODEL", options->model, "an .onnx file, or -")->required();
  command->add_option("--weights", options->weights, "write the weights as .npy files into DIR")
      ->type_name("DIR");
  command->add_option("--dim", options->dims, "a number for a dim that the model leaves open")
      ->type_name("NAME=N")
      ->allow_extra_args(false);
  command->add_option("--shape", options->shapes, "the dims of an input, as in input=1x3x224x224")
      ->type_name("INPUT=DIMS")
      ->allow_extra_args(false);
  command->add_flag("--external-data", options->external_data,
                    "read tensors from files beneath the model's directory");
  set_examples(*command, {"convgen import resnet18.onnx --dim N=1 | convgen bench @-"});
  command->callback([options, &outcome] { outcome = import(*options); });
}

}  // namespace convgen::tool
