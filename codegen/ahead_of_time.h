// SPDX-License-Identifier: Apache-2.0
// The C functions of one convolution (c_interface.h), compiled for one target: an object that needs
// nothing at run time. Of many convolutions and several levels: bundle.h.
#pragma once

#include <string>

#include "codegen/c_interface.h"
#include "codegen/compile.h"
#include "codegen/schedule.h"
#include "codegen/target.h"
#include "ir/status.h"

namespace convgen::codegen {

// As `stage`. The code does not ask whether the CPU has the target's features. Same input, same
// bytes. Errors: those of compile().
Result<std::string> compile_c_functions(Stage stage, const CFunction& function,
                                        const Schedule& schedule, const Target& target);

}  // namespace convgen::codegen
