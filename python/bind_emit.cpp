// SPDX-License-Identifier: Apache-2.0
// convgen.emit: any stage between a convolution and its machine code, for this machine or another.
#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "codegen/compile.h"
#include "codegen/schedule.h"
#include "codegen/select_schedule.h"
#include "codegen/target.h"
#include "ir/text.h"
#include "python/bindings.h"
#include "python/errors.h"

namespace convgen::python {
namespace {

struct StageName {
  std::string_view word;
  codegen::Stage stage;
};

constexpr std::array kStages = {
    StageName{"llvm", codegen::Stage::kLlvm},    StageName{"llvm-opt", codegen::Stage::kLlvmOpt},
    StageName{"asm", codegen::Stage::kAssembly}, StageName{"obj", codegen::Stage::kObject},
    StageName{"bc", codegen::Stage::kBitcode},
};

bool is_text(std::string_view stage) { return stage != "obj" && stage != "bc"; }

Status check_function_name(const std::string& name) {
  const auto is_word = [](unsigned char c) { return c == '_' || (c < 0x80 && std::isalnum(c)); };
  const bool digit_first = !name.empty() && name[0] >= '0' && name[0] <= '9';
  if (!name.empty() && !digit_first && std::ranges::all_of(name, is_word)) return Status();
  return invalid_argument(fmt::format("function: '{}' found, expected a c identifier", name));
}

struct EmitRequest {
  ir::Conv conv;
  std::string stage, mtriple, mcpu, mattr, function, schedule;
  std::optional<ConstantWeights> constants;

  const ConstantWeights* weights() const { return constants ? &*constants : nullptr; }
};

Result<codegen::Schedule> choose_schedule(const EmitRequest& request,
                                          const codegen::Target& target) {
  const codegen::Schedule selected =
      codegen::select_schedule(request.conv, target, /*threads=*/1, request.weights()).schedule;
  return codegen::refine_schedule(selected, request.schedule, request.conv, target,
                                  request.weights());
}

Result<std::string> emit_stage(const EmitRequest& request) {
  if (Status status = check_function_name(request.function); !status.ok()) return status;
  if (request.stage == "conv") return ir::print_conv(request.conv);
  const auto target =
      codegen::make_target(request.mtriple, resolve_mcpu(request.mcpu), request.mattr);
  if (!target.ok()) return target.status();
  const auto schedule = choose_schedule(request, *target);
  if (!schedule.ok()) return schedule.status();
  if (request.stage == "schedule") return codegen::print_schedule(*schedule);
  const auto* stage = std::ranges::find(kStages, request.stage, &StageName::word);
  if (stage == kStages.end())
    return invalid_argument(
        fmt::format("stage: '{}' found, expected conv, schedule, llvm, llvm-opt, asm, obj or bc",
                    request.stage));
  return codegen::compile(stage->stage, request.conv, *schedule, *target,
                          {.function_name = request.function, .constants = request.weights()});
}

nb::object emit(nb::handle conv, const std::string& stage, const std::string& mtriple,
                const std::string& mcpu, const std::string& mattr, const std::string& function,
                const std::string& schedule, nb::handle constant_weights, bool assume_finite) {
  EmitRequest request{read_conv(conv), stage, mtriple, mcpu, mattr, function, schedule, {}};
  request.constants = read_constant_weights(constant_weights, request.conv, assume_finite);
  const std::string content = unwrap(without_gil([&] { return emit_stage(request); }));
  if (is_text(stage)) return nb::str(content.data(), content.size());
  return nb::bytes(content.data(), content.size());
}

}  // namespace

void bind_emit(nb::module_& m) {
  m.def(
      "emit", emit, nb::arg("conv"), nb::arg("stage") = "llvm", nb::kw_only(),
      nb::arg("mtriple") = "", nb::arg("mcpu") = "", nb::arg("mattr") = "",
      nb::arg("function") = codegen::kDefaultFunctionName, nb::arg("schedule") = "",
      nb::arg("constant_weights") = nb::none(), nb::arg("assume_finite") = false,
      nb::sig("def emit(conv: Conv | str, stage: str = 'llvm', *, mtriple: str = '', mcpu: str = "
              "'', mattr: str = '', function: str = 'convgen_kernel', schedule: str = '', "
              "constant_weights: Array | None = None, assume_finite: bool = False) -> str | bytes"),
      "Any stage of the compilation, for this machine or another: conv, schedule, llvm, llvm-opt, "
      "asm as str, obj and bc as bytes.");
  m.def("llvm_version", codegen::llvm_version);
}

}  // namespace convgen::python
