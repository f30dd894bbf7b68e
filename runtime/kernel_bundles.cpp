// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_bundles.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>

#include "ir/text.h"
#include "runtime/request_key.h"

namespace convgen {
namespace {

// By value: what is alike may not be the same.
bool holds(const convgen_bundle_entry& entry, const ConstantWeights* constants) {
  if (entry.constants == nullptr || constants == nullptr)
    return entry.constants == nullptr && constants == nullptr;
  const size_t bytes = constants->values.size() * sizeof(float);
  return (entry.assume_finite != 0) == constants->assume_finite &&
         std::memcmp(entry.constants, constants->values.data(), bytes) == 0;
}

Result<Kernel> make_kernel(const convgen_bundle_entry& entry, const ir::Conv& conv,
                           const SharedConstants& constants, bool verbose,
                           const KernelCheck& check) {
  auto state = std::make_shared<KernelState>();
  state->conv = conv;
  state->engine_name = "bundle";
  state->schedule = entry.schedule;
  state->verbose = verbose;
  state->function = entry.function;
  state->tasks = entry.tasks;
  state->scratch_bytes = static_cast<size_t>(entry.scratch_bytes);
  state->summation.winograd_tile = static_cast<int>(entry.winograd_tile);
  state->packed_tag = entry.packed_tag;
  state->packed_elements = static_cast<size_t>(entry.packed_elements);
  state->pack = entry.pack;
  if (constants != nullptr) hold_constants(*state, constants);
  Kernel kernel(std::move(state));
  if (Status status = check(kernel); !status.ok()) return status;
  return kernel;
}

}  // namespace

Result<KernelBundles> KernelBundles::create(std::span<const convgen_bundle* const> bundles) {
  KernelBundles result;
  for (const convgen_bundle* bundle : bundles) {
    if (bundle == nullptr) return invalid_argument("bundles: null, expected the table of a bundle");
    if (bundle->abi_version != kConvgenBundleAbi)
      return invalid_argument(fmt::format("bundles: a table of version {} found, expected {}",
                                          bundle->abi_version, kConvgenBundleAbi));
    const int32_t level = bundle->level();
    if (level < 0) continue;
    for (int64_t conv = 0; conv < bundle->convs; ++conv) {
      const convgen_bundle_entry& entry = bundle->entries[conv * bundle->levels + level];
      result.entries_.emplace(entry.conv, &entry);
    }
  }
  return result;
}

const convgen_bundle_entry* KernelBundles::find(const ir::Conv& conv,
                                                const ConstantWeights* constants) const {
  if (entries_.empty()) return nullptr;
  const auto [first, last] = entries_.equal_range(ir::print_conv(conv));
  for (auto at = first; at != last; ++at)
    if (holds(*at->second, constants)) return at->second;
  return nullptr;
}

KernelRecipe bundle_recipe(const convgen_bundle_entry& entry, const ir::Conv& conv,
                           const SharedConstants& constants, bool verbose) {
  std::string key = fmt::format("{}|bundle {} {}", entry.conv, entry.schedule, entry.target);
  const auto make = [&entry, conv, constants, verbose](const KernelCheck& check) {
    return make_kernel(entry, conv, constants, verbose, check);
  };
  return {key.append(key_of(constants.get())), make};
}

}  // namespace convgen
