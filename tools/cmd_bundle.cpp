// SPDX-License-Identifier: Apache-2.0
// convgen bundle: convolutions compiled ahead of time, at several levels of instructions, into one
// static library and its C header. Both files are written, or neither.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "codegen/bundle.h"
#include "codegen/c_interface.h"
#include "ir/text.h"
#include "tools/command.h"
#include "tools/constant_weights_args.h"
#include "tools/conv_args.h"
#include "tools/option_values.h"
#include "tools/output_file.h"

namespace convgen::tool {
namespace {

struct BundleOptions {
  std::vector<std::string> convs;
  std::string output;
  std::string header;
  std::string mtriple, mattr;
  std::vector<std::string> mcpus;
  int threads = 0;
  ConstantWeightsArgs constants;
};

// "dir/libNAME.a" -> "NAME", with _ for what no identifier holds.
Result<std::string> library_name(const std::string& output) {
  const std::filesystem::path path(output);
  std::string stem = path.stem().string();
  if (path.extension() != ".a" || !stem.starts_with("lib") || stem.size() == 3)
    return invalid_argument(fmt::format("-o {}: expected libNAME.a", output));
  stem.erase(0, 3);
  const std::string name = codegen::c_identifier_of(stem);
  if (Status status = codegen::check_c_identifier("-o libNAME.a: NAME", name); !status.ok())
    return status;
  return name;
}

std::string header_path(const BundleOptions& options, const std::string& name) {
  if (!options.header.empty()) return options.header;
  return std::filesystem::path(options.output).replace_filename(name + ".h").string();
}

Result<std::vector<codegen::CFunction>> make_functions(const BundleOptions& options) {
  const Result<std::vector<ConvText>> texts = read_conv_args(options.convs);
  if (!texts.ok()) return texts.status();
  if (!options.constants.file.empty() && texts->size() != 1)
    return invalid_argument(
        fmt::format("--constant-weights: {} convolutions found, expected one", texts->size()));
  std::vector<codegen::CFunction> functions;
  for (const ConvText& text : *texts) {
    const Result<ir::Conv> conv = ir::parse_conv(text.text);
    if (!conv.ok()) return located(text, conv.status());
    Result<std::optional<ConstantWeights>> constants =
        read_constant_weights(options.constants, *conv);
    if (!constants.ok()) return constants.status();
    functions.push_back({codegen::c_name_of(*conv), *conv, *std::move(constants)});
    const Status status = codegen::check_c_identifier("name", functions.back().name);
    if (!status.ok()) return located(text, status);
  }
  return functions;
}

Status write_both(const std::string& archive_path, const std::string& header_file,
                  const codegen::Bundle& bundle) {
  Result<OutputFile> archive = OutputFile::create(archive_path);
  if (!archive.ok()) return archive.status();
  Result<OutputFile> header = OutputFile::create(header_file);
  if (!header.ok()) return header.status();
  Status status = archive->write(bundle.archive);
  if (status.ok()) status = header->write(bundle.header);
  if (status.ok()) status = archive->commit();
  return status.ok() ? header->commit() : status;
}

Outcome bundle(const BundleOptions& options) {
  const Result<std::string> name = library_name(options.output);
  if (!name.ok()) return name.status();
  const Result<int> threads = resolve_threads(options.threads);
  if (!threads.ok()) return threads.status();
  Result<std::vector<codegen::CFunction>> functions = make_functions(options);
  if (!functions.ok()) return functions.status();
  Progress progress("compiled");
  const auto show = [&progress](size_t done, size_t all) { progress.show(done, all); };
  const Result<codegen::Bundle> made =
      codegen::make_bundle({*name, *std::move(functions), options.mtriple, options.mcpus,
                            options.mattr, *threads, show});
  progress.clear();
  if (!made.ok()) return made.status();
  const Status status = write_both(options.output, header_path(options, *name), *made);
  if (!status.ok()) return status;
  return kDone;
}

}  // namespace

void add_bundle(CLI::App& app, Outcome& outcome) {
  auto options = std::make_shared<BundleOptions>();
  CLI::App* command =
      app.add_subcommand("bundle", "compile ahead of time into a static library with a C header");
  command->group(kCodeGroup);
  command->add_option("CONV", options->convs, kConvHelp)->required();
  command->add_option("-o", options->output, "libNAME.a; the header NAME.h is put beside it")
      ->required()
      ->type_name("FILE");
  command->add_option("--header", options->header, "the header, where not beside the library")
      ->type_name("FILE");
  command
      ->add_option("--mcpu", options->mcpus,
                   "levels, with commas; default x86-64-v2,x86-64-v3,x86-64-v4 on x86-64")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("CPUS");
  command->add_option("--mtriple", options->mtriple, "target triple; default the host's");
  command->add_option("--mattr", options->mattr, "features of every level: +v,-fma");
  command
      ->add_option("--threads", options->threads,
                   "threads to compile on; else CONVGEN_NUM_THREADS, else 1")
      ->check(whole_number(1, 1024))
      ->type_name("N");
  add_constant_weights(*command, options->constants);
  set_examples(*command,
               {"convgen bundle @net.conv -o libnet.a --mcpu=x86-64-v2,x86-64-v3,x86-64-v4"});
  command->callback([options, &outcome] { outcome = bundle(*options); });
}

}  // namespace convgen::tool
