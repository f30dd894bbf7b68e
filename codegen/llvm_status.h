// SPDX-License-Identifier: Apache-2.0
// The one door between llvm::Error and Status.
#pragma once

#include <llvm/Support/Error.h>

#include <string>

#include "ir/status.h"

namespace convgen::codegen {

// Ok for success; else a Status of `code` whose message starts with `what`.
Status to_status(llvm::Error error, StatusCode code, const std::string& what);

}  // namespace convgen::codegen
