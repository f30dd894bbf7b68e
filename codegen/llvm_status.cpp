// SPDX-License-Identifier: Apache-2.0
#include "codegen/llvm_status.h"

namespace convgen::codegen {

Status to_status(llvm::Error error, StatusCode code, const std::string& what) {
  if (!error) return Status();
  return Status(code, what + ": " + llvm::toString(std::move(error)));
}

}  // namespace convgen::codegen
