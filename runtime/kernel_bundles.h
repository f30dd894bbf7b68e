// SPDX-License-Identifier: Apache-2.0
// Kernels that were compiled ahead of time, found by what they compute: the tables at the end of
// bundles (codegen/bundle_abi.h). Needs no LLVM.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "codegen/bundle_abi.h"
#include "ir/conv.h"
#include "ir/status.h"
#include "runtime/kernel_maker.h"
#include "runtime/kernel_state.h"

namespace convgen {

class KernelBundles {
 public:
  // Errors: invalid_argument for null and for a table of another version.
  static Result<KernelBundles> create(std::span<const convgen_bundle* const> bundles);

  // The kernel of the level that this CPU runs, in the first bundle that has one; null where none
  // does. constants: null for none. Thread-safe.
  const convgen_bundle_entry* find(const ir::Conv& conv, const ConstantWeights* constants) const;

 private:
  // By canonical text: those of one text differ in their constant weights.
  std::multimap<std::string, const convgen_bundle_entry*, std::less<>> entries_;
};

// How to make the kernel of an entry that was found for conv and constants.
KernelRecipe bundle_recipe(const convgen_bundle_entry& entry, const ir::Conv& conv,
                           const SharedConstants& constants, bool verbose);

}  // namespace convgen
