// SPDX-License-Identifier: Apache-2.0
// The text of the header: what a C programmer reads instead of convgen's documentation.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>

#include "codegen/c_interface.h"
#include "codegen/compile.h"
#include "ir/text.h"

namespace convgen::codegen {
namespace {

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

constexpr std::string_view kRules = R"(
/* Tensors are dense, of float, in the layouts said below, and need the alignment of float. Packed
 * weights and scratch begin at a multiple of CONVGEN_ALIGNMENT bytes. add may be dst itself; nothing
 * else may overlap dst. Nothing is allocated, no state is kept: calls may run side by side, each
 * with a scratch of its own. The bits do not depend on how tasks are spread over threads. */
#ifndef CONVGEN_ALIGNMENT
#define CONVGEN_ALIGNMENT 64
#define CONVGEN_DONE {}
#define CONVGEN_NO_LEVEL {} /* this CPU has the instructions of no level; nothing was done */
#endif
)";

constexpr std::string_view kLibrary = R"(
/* The level that this CPU runs, the best of those above; NULL: none. */
const char* {0}_level(void);

/* Every kernel as a table: for EngineOptions::bundles of convgen's C++ library. */
extern const struct convgen_bundle {0}_bundle;
)";

std::string dims(const std::vector<int64_t>& sizes) {
  return fmt::format("[{}]", fmt::join(sizes, ", "));
}

// One line of the tensors: "src      1x9x9x4 nhwc".
std::string tensor_line(std::string_view name, const std::string& what) {
  return fmt::format(" *   {:<15} {}\n", name, what);
}

// The words of the canonical text name the layouts.
std::string layout_of(const ir::Conv& conv, bool dst) {
  constexpr std::string_view kLast[] = {"nwc", "nhwc", "ndhwc"},
                             kFirst[] = {"ncw", "nchw", "ncdhw"};
  const auto layout = dst ? conv.dst_layout : conv.src_layout;
  const auto rank = static_cast<size_t>(conv.spatial_rank - 1);
  return std::string(layout == ir::ActivationLayout::kChannelsLast ? kLast[rank] : kFirst[rank]);
}

std::string weights_layout_of(const ir::Conv& conv) {
  constexpr std::string_view kIo[] = {"wio", "hwio", "dhwio"}, kOi[] = {"oiw", "oihw", "oidhw"};
  const auto rank = static_cast<size_t>(conv.spatial_rank - 1);
  const bool io = conv.weights_layout == ir::WeightsLayout::kSpatialIO;
  return std::string(io ? kIo[rank] : kOi[rank]);
}

std::string describe(const CFunction& function, const KernelSizes& sizes) {
  const ir::Conv& conv = function.conv;
  std::string text = fmt::format("\n/* {}:\n *   {}\n *\n", function.name, ir::print_conv(conv));
  const std::string channels = dims({conv.oc});
  for (const CParameter& parameter : c_parameters(function)) {
    std::string what = channels;
    if (parameter.name == "src") what = dims(conv.src_dims()) + " " + layout_of(conv, false);
    if (parameter.name == "dst" || parameter.name == "add")
      what = dims(conv.dst_dims()) + " " + layout_of(conv, true);
    if (parameter.name == "weights_packed")
      what = fmt::format("from {}_pack_weights, out of {} {}", function.name,
                         dims(conv.weights_dims()), weights_layout_of(conv));
    if (parameter.name == "scratch")
      what = sizes.scratch_bytes == 0 ? "none is needed, NULL will do"
                                      : fmt::format("{}_scratch_bytes() bytes", function.name);
    text += tensor_line(parameter.name, what);
  }
  if (function.constants)
    text += fmt::format(" *   the weights are part of the code{}\n",
                        function.constants->assume_finite ? "; src holds neither NaN nor Inf" : "");
  return text + " */\n";
}

// note: behind sizes that hold for all levels of a bundle.
std::string print_function(const CFunction& function, const KernelSizes& sizes,
                           std::string_view note) {
  const std::string& name = function.name;
  const std::string macro = upper(name);
  const bool weights = !function.constants;
  std::vector<std::string> parameters;
  for (const CParameter& parameter : c_parameters(function))
    parameters.push_back(fmt::format("{} {}", parameter.type, parameter.name));
  const std::string tensors = fmt::format("{}", fmt::join(parameters, ", "));

  std::string text = describe(function, sizes);
  text += fmt::format("#define {}_SRC_ELEMENTS {}\n", macro, function.conv.src_elements());
  text += fmt::format("#define {}_DST_ELEMENTS {}\n", macro, function.conv.dst_elements());
  if (weights) {
    text +=
        fmt::format("#define {}_WEIGHTS_ELEMENTS {}\n", macro, function.conv.weights_elements());
    text += fmt::format("#define {}_PACKED_WEIGHTS_BYTES {}{}\n", macro,
                        sizes.packed_elements * static_cast<int64_t>(sizeof(float)), note);
  }
  text += fmt::format("#define {}_SCRATCH_BYTES {}{}\n", macro, sizes.scratch_bytes, note);
  text += fmt::format("\nint {}({});\n", name, tensors);
  text += fmt::format(
      "/* The same in pieces, on threads of the caller's: ranges that together are [0, tasks). */\n"
      "int64_t {0}_tasks(void);\nint {0}_run_tasks({1}, int64_t begin, int64_t end);\n",
      name, tensors);
  if (weights)
    text += fmt::format(
        "size_t {0}_packed_weights_bytes(void);\n"
        "/* weights in the convolution's layout. Once, for any number of calls. */\n"
        "int {0}_pack_weights(const float* weights, float* packed);\n",
        name);
  return text + fmt::format("size_t {}_scratch_bytes(void);\n", name);
}

}  // namespace

std::string print_c_header(const CHeader& header) {
  const std::string guard = fmt::format("CONVGEN_{}_H", upper(header.name));
  std::string text = fmt::format(
      "/* {}.h: made by convgen (code generator version {}, llvm {}), not to be edited.\n"
      " * For {}. */\n#ifndef {}\n#define {}\n\n#include <stddef.h>\n#include <stdint.h>\n\n"
      "#ifdef __cplusplus\nextern \"C\" {{\n#endif\n",
      header.name, kCodeGeneratorVersion, llvm_version(), header.made_for, guard, guard);
  text += fmt::format(kRules, kCDone, kCNoLevel);
  if (!header.library.empty()) text += fmt::format(kLibrary, header.library);
  const std::string_view note = header.library.empty() ? "" : " /* enough for every level */";
  for (size_t i = 0; i < header.functions.size(); ++i)
    text += print_function(header.functions[i], header.sizes[i], note);
  return text + "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
}

}  // namespace convgen::codegen
