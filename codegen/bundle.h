// SPDX-License-Identifier: Apache-2.0
// Bundles: many convolutions at several levels of instructions, compiled ahead of time into one
// static library that finds out at run time which level the CPU runs. docs/ahead_of_time.md.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "codegen/c_interface.h"
#include "ir/status.h"

namespace convgen::codegen {

struct BundleRequest {
  std::string name;  // of the library, a C identifier: NAME.h, NAME_level(), NAME_bundle
  std::vector<CFunction> functions;
  std::string triple;  // empty: the host's
  std::vector<std::string>
      mcpus;               // the levels; empty: isa_levels() on x86-64, else the generic one
  std::string attrs = {};  // "+v,-fma", of every level
  int threads = 1;         // to compile on
  // Called with how many of all are done, by one thread at a time.
  std::function<void(size_t done, size_t all)> progress = {};
};

struct Bundle {
  std::string archive;
  std::string header;
};

// Compiles every function at every level. At run time the first level that the CPU has all features
// of is used, of those with more features first. Same input, same bytes, however many threads.
// Errors: invalid_argument for names that clash, levels given twice and what make_target says;
// unsupported for several levels, or other objects than ELF's, where the target is not x86-64;
// those of compile().
Result<Bundle> make_bundle(const BundleRequest& request);

}  // namespace convgen::codegen
