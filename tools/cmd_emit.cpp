// SPDX-License-Identifier: Apache-2.0
// convgen emit: any stage between the convolution and its machine code, to a file or standard
// output. Needs no Engine and runs nothing, so it serves every target LLVM knows.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "codegen/ahead_of_time.h"
#include "codegen/c_interface.h"
#include "codegen/compile.h"
#include "codegen/schedule.h"
#include "codegen/select_schedule.h"
#include "codegen/target.h"
#include "ir/text.h"
#include "tools/command.h"
#include "tools/constant_weights_args.h"
#include "tools/conv_args.h"
#include "tools/option_values.h"
#include "tools/output_file.h"

namespace convgen::tool {
namespace {

struct EmitOptions {
  std::string conv;
  std::vector<std::string> stages = {"llvm"};
  std::string output;
  std::string mtriple, mcpu, mattr;
  std::string function = codegen::kDefaultFunctionName;
  std::string schedule;
  ConstantWeightsArgs constants;
};

enum class Source { kConv, kSchedule, kCompile, kHeader };

struct StageInfo {
  std::string_view name;
  std::string_view suffix;
  bool is_text;
  Source source;
  codegen::Stage stage = codegen::Stage::kLlvm;  // for kCompile
};

constexpr std::array kStages = {
    StageInfo{"conv", ".conv", true, Source::kConv},
    StageInfo{"schedule", ".schedule", true, Source::kSchedule},
    StageInfo{"llvm", ".ll", true, Source::kCompile, codegen::Stage::kLlvm},
    StageInfo{"llvm-opt", ".opt.ll", true, Source::kCompile, codegen::Stage::kLlvmOpt},
    StageInfo{"asm", ".s", true, Source::kCompile, codegen::Stage::kAssembly},
    StageInfo{"obj", ".o", false, Source::kCompile, codegen::Stage::kObject},
    StageInfo{"bc", ".bc", false, Source::kCompile, codegen::Stage::kBitcode},
    StageInfo{"header", ".h", true, Source::kHeader},
};

std::vector<std::string> stage_names() {
  std::vector<std::string> names;
  for (const StageInfo& stage : kStages) names.emplace_back(stage.name);
  return names;
}

Result<const StageInfo*> find_stage(const std::string& name) {
  for (const StageInfo& stage : kStages) {
    if (stage.name == name) return &stage;
  }
  return invalid_argument(fmt::format("--emit={}: expected stages out of {}", name,
                                      expected_one_of(stage_names(), name)));
}

// The stages asked for, each once, in the order asked for.
Result<std::vector<const StageInfo*>> find_stages(const std::vector<std::string>& names) {
  std::vector<const StageInfo*> stages;
  for (const std::string& name : names) {
    const Result<const StageInfo*> stage = find_stage(name);
    if (!stage.ok()) return stage.status();
    if (std::ranges::find(stages, *stage) == stages.end()) stages.push_back(*stage);
  }
  return stages;
}

// Bytes of machine code belong neither on a terminal nor after text in one stream.
Status check_output_choice(const EmitOptions& options,
                           const std::vector<const StageInfo*>& stages) {
  if (options.output == "-" && stages.size() > 1) {
    return invalid_argument("-o -: several stages need a prefix, -o PREFIX");
  }
  if (!options.output.empty() && options.output != "-") return Status();
  for (const StageInfo* stage : stages) {
    if (stage->is_text || (stages.size() == 1 && !is_terminal(stdout))) continue;
    return invalid_argument(fmt::format("--emit={}: is no text, use -o FILE", stage->name));
  }
  return Status();
}

Result<codegen::Schedule> make_schedule(const EmitOptions& options, const ir::Conv& conv,
                                        const codegen::Target& target,
                                        const ConstantWeights* constants) {
  const codegen::Schedule selected =
      codegen::select_schedule(conv, target, /*threads=*/1, constants).schedule;
  return codegen::refine_schedule(selected, options.schedule, conv, target, constants);
}

// All that stages are made of.
struct Request {
  codegen::CFunction function;
  codegen::Target target;
  codegen::Schedule schedule;
  bool c_interface = false;  // code comes with the functions that a header declares
};

Result<Request> make_request(const EmitOptions& options,
                             const std::vector<const StageInfo*>& stages) {
  const Result<ir::Conv> conv = parse_conv_arg(options.conv);
  if (!conv.ok()) return conv.status();
  Result<codegen::Target> target =
      codegen::make_target(options.mtriple, resolve_mcpu(options.mcpu), options.mattr);
  if (!target.ok()) return target.status();
  Result<std::optional<ConstantWeights>> constants =
      read_constant_weights(options.constants, *conv);
  if (!constants.ok()) return constants.status();
  Request request{{options.function, *conv, *std::move(constants)}, *std::move(target), {}, false};
  Result<codegen::Schedule> schedule =
      make_schedule(options, *conv, request.target, request.function.constant_weights());
  if (!schedule.ok()) return schedule.status();
  request.schedule = *schedule;
  request.c_interface = std::ranges::any_of(
      stages, [](const StageInfo* stage) { return stage->source == Source::kHeader; });
  return request;
}

Result<std::string> make_code(const Request& request, codegen::Stage stage) {
  const codegen::CFunction& function = request.function;
  if (request.c_interface)
    return codegen::compile_c_functions(stage, function, request.schedule, request.target);
  return codegen::compile(
      stage, function.conv, request.schedule, request.target,
      {.function_name = function.name, .constants = function.constant_weights()});
}

// The header is named after the function, wherever it is written.
std::string make_header(const Request& request) {
  const codegen::KernelSizes sizes = codegen::kernel_sizes(request.function, request.schedule);
  const codegen::Target& target = request.target;
  return codegen::print_c_header({request.function.name, /*library=*/"",
                                  fmt::format("{}: {}", target.triple, target.tune_cpu),
                                  std::span(&request.function, 1), std::span(&sizes, 1)});
}

Result<std::string> make_content(const Request& request, const StageInfo& stage) {
  switch (stage.source) {
    case Source::kConv:
      return ir::print_conv(request.function.conv) + "\n";
    case Source::kSchedule:
      return codegen::print_schedule(request.schedule) + "\n";
    case Source::kHeader:
      return make_header(request);
    case Source::kCompile:
      break;
  }
  return make_code(request, stage.stage);
}

// The contents of every stage: all made before anything is written.
Result<std::vector<std::string>> make_contents(const EmitOptions& options,
                                               const std::vector<const StageInfo*>& stages) {
  const Result<Request> request = make_request(options, stages);
  if (!request.ok()) return request.status();
  std::vector<std::string> contents;
  for (const StageInfo* stage : stages) {
    Result<std::string> content = make_content(*request, *stage);
    if (!content.ok()) return content.status();
    contents.push_back(std::move(*content));
  }
  return contents;
}

// PREFIX.ll, PREFIX.s, ...: all written before the first one gets its name.
Status write_stages(const std::string& output, const std::vector<const StageInfo*>& stages,
                    const std::vector<std::string>& contents) {
  std::vector<OutputFile> files;
  for (size_t i = 0; i < stages.size(); ++i) {
    const std::string suffix(stages.size() > 1 ? stages[i]->suffix : "");
    Result<OutputFile> file = OutputFile::create(output + suffix);
    if (!file.ok()) return file.status();
    if (Status status = file->write(contents[i]); !status.ok()) return status;
    files.push_back(std::move(*file));
  }
  for (OutputFile& file : files) {
    if (Status status = file.commit(); !status.ok()) return status;
  }
  return Status();
}

Outcome emit(const EmitOptions& options) {
  const Result<std::vector<const StageInfo*>> stages = find_stages(options.stages);
  if (!stages.ok()) return stages.status();
  if (Status status = codegen::check_c_identifier("--function", options.function); !status.ok())
    return status;
  if (Status status = check_output_choice(options, *stages); !status.ok()) return status;
  const Result<std::vector<std::string>> contents = make_contents(options, *stages);
  if (!contents.ok()) return contents.status();
  if (options.output.empty()) {
    for (const std::string& content : *contents) print(content);
    return kDone;
  }
  if (Status s = write_stages(options.output, *stages, *contents); !s.ok()) return s;
  return kDone;
}

}  // namespace

void add_emit(CLI::App& app, Outcome& outcome) {
  auto options = std::make_shared<EmitOptions>();
  CLI::App* command = app.add_subcommand("emit", "dump any stage of the compilation");
  command->group(kCodeGroup);
  command->add_option("CONV", options->conv, kConvHelp)->required();
  command->add_option("--emit", options->stages, "stages to dump, several with commas")
      ->check(known_words(stage_names()))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("STAGES")
      ->capture_default_str();
  command
      ->add_option("-o", options->output,
                   "file to write, or for several stages the PREFIX of PREFIX.ll, PREFIX.s ...")
      ->type_name("FILE");
  command->add_option("--mtriple", options->mtriple, "target triple, else the host's")
      ->type_name("TRIPLE");
  add_mcpu(*command, options->mcpu);
  command->add_option("--mattr", options->mattr, "CPU features to add and leave out: +avx2,-fma")
      ->type_name("FEATURES");
  command->add_option("--function", options->function, "name of the emitted function")
      ->type_name("NAME")
      ->capture_default_str();
  add_schedule(*command, options->schedule);
  add_constant_weights(*command, options->constants);
  set_examples(*command,
               {"convgen emit 'conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 "
                "pads=same' --emit=asm --mcpu=haswell",
                "convgen emit mb1ic3ih224oc64kh7sh2ph3 --emit=schedule,llvm,obj -o kernel",
                "convgen emit @one.conv --emit=obj,header --function conv1 -o conv1",
                "convgen emit @one.conv --emit=asm --schedule='unroll=full tile=7x2'"});
  command->callback([options, &outcome] { outcome = emit(*options); });
}

}  // namespace convgen::tool
