// SPDX-License-Identifier: Apache-2.0
// A static library out of objects.
#pragma once

#include <span>
#include <string>

#include "ir/status.h"

namespace convgen::codegen {

struct ArchiveMember {
  std::string name;  // "conv1.x86-64-v3.o"
  std::string object;
};

// With a table of symbols, and neither times nor owners: same input, same bytes. Errors: internal.
Result<std::string> write_archive(std::span<const ArchiveMember> members);

}  // namespace convgen::codegen
