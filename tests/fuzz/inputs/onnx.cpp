// SPDX-License-Identifier: Apache-2.0
// ONNX models, as bytes or in protobuf's text format, where a change hits a name or a number
// instead of a length. Comments before a text are options: "#dim N=2", "#shape x=1x2x3",
// "#external". What is imported is valid convolutions, with weights of their sizes.
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <onnx/onnx_pb.h>

#include <charconv>
#include <set>
#include <string>

#include "ir/text.h"
#include "tests/fuzz/inputs/conv_rules.h"
#include "tests/fuzz/inputs/expect.h"
#include "tests/fuzz/inputs/scratch_directory.h"
#include "tools/onnx_import/import.h"

namespace convgen::fuzz_inputs {
namespace {

using onnx_import::ImportedConv;
using onnx_import::ImportedModel;
using onnx_import::ImportOptions;

// Beneath it lies "data", 256 bytes, and "link", which leads out of it.
const std::string& model_directory() {
  static const ScratchDirectory directory;
  static const std::string path = [] {
    write_whole(directory.path() + "/data", std::string(256, '\x3f'));
    std::filesystem::create_symlink("/etc/passwd", directory.path() + "/link");
    return directory.path();
  }();
  return path;
}

int64_t number_of(std::string_view text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

void read_option(std::string_view line, ImportOptions& options) {
  const std::string_view word = take_until(line, ' ');
  const std::string name(take_until(line, '='));
  if (word == "#external") options.external_data = true;
  if (word == "#dim") options.dims.emplace_back(name, number_of(line));
  if (word != "#shape") return;
  options.shapes.emplace_back(name, std::vector<int64_t>());
  while (!line.empty()) options.shapes.back().second.push_back(number_of(take_until(line, 'x')));
}

ImportOptions options_of(std::string_view text) {
  ImportOptions options;
  options.read_weights = true;
  while (text.starts_with('#')) read_option(take_until(text, '\n'), options);
  return options;
}

class Silence : public google::protobuf::io::ErrorCollector {
  void AddError(int, google::protobuf::io::ColumnNumber, const std::string&) override {}
};

// The model that the text describes; the bytes as they are where it describes none.
std::string model_of(std::string_view input) {
  Silence silence;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&silence);
  parser.SetRecursionLimit(100);  // that of bytes
  onnx::ModelProto model;
  if (!parser.ParseFromString(std::string(input), &model)) return std::string(input);
  return model.SerializePartialAsString();
}

void expect_imported(const ImportedConv& found) {
  const std::string text = ir::print_conv(found.conv);
  expect_conv_rules(found.conv);
  expect_round_trip(found.conv);
  const auto weights = static_cast<size_t>(found.conv.weights_elements());
  expect(found.weights.size() == (found.constant_weights ? weights : 0),
         "weights are as many as the convolution has", text);
  expect(found.bias.empty() || found.bias.size() == static_cast<size_t>(found.conv.oc),
         "a bias is as long as there are output channels", text);
  expect(found.residual.empty() != found.conv.uses(ir::PostOpKind::kAdd),
         "a residual is named where there is one", text);
}

void expect_model(const ImportedModel& model) {
  expect(!model.convs.empty(), "a model without convolutions is refused");
  constexpr const char* kSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  std::set<std::string> names;
  for (const ImportedConv& found : model.convs) {
    expect_imported(found);
    const std::string& name = found.conv.name;
    expect(names.insert(name).second, "names are unique", name);
    expect(!name.empty() && name[0] != '.' && name.find_first_not_of(kSafe) == name.npos,
           "names are safe as file names", name);
  }
  for (const std::string& line : model.skipped) expect_message(line);
}

}  // namespace
}  // namespace convgen::fuzz_inputs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace convgen;               // NOLINT: it is all about them
  using namespace convgen::fuzz_inputs;  // NOLINT
  const std::string_view input = text_of(data, size);
  const auto model =
      onnx_import::import_bytes(model_of(input), model_directory(), options_of(input));
  if (model.ok())
    expect_model(*model);
  else
    expect_message(model.status());
  return 0;
}
