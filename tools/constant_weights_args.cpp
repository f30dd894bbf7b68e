// SPDX-License-Identifier: Apache-2.0
#include "tools/constant_weights_args.h"

#include <fmt/format.h>

#include <utility>

#include "tools/command.h"
#include "tools/npy.h"

namespace convgen::tool {

void add_constant_weights(CLI::App& command, ConstantWeightsArgs& args) {
  command
      .add_option("--constant-weights", args.file,
                  "weights to make the kernel for, of the conv's shape")
      ->type_name("F.npy");
  command.add_flag(
      "--assume-finite", args.assume_finite,
      "promise, beside --constant-weights, that src holds neither NaN nor Inf, so zero "
      "weights need no look at it");
}

Status check_constant_weights(const ConstantWeightsArgs& args) {
  if (!args.assume_finite || !args.file.empty()) return Status();
  return invalid_argument("--assume-finite: is given, but --constant-weights is not");
}

Result<std::optional<ConstantWeights>> read_constant_weights(const ConstantWeightsArgs& args,
                                                             const ir::Conv& conv) {
  if (Status status = check_constant_weights(args); !status.ok()) return status;
  if (args.file.empty()) return std::optional<ConstantWeights>();
  Result<NpyArray> array = read_npy(args.file);
  if (!array.ok()) return array.status();
  if (array->shape != conv.weights_dims())
    return invalid_argument(fmt::format("constant-weights: {} holds {}, expected {}", args.file,
                                        print_dims(array->shape), print_dims(conv.weights_dims())));
  return std::optional(ConstantWeights{std::move(array->data), args.assume_finite});
}

}  // namespace convgen::tool
