// SPDX-License-Identifier: Apache-2.0
// The generic path as a kernel.
#pragma once

#include <memory>

#include "ir/conv.h"
#include "ir/export.h"
#include "ir/status.h"
#include "runtime/kernel_maker.h"
#include "runtime/kernel_state.h"

namespace convgen {

// A state whose function runs the generic path.
std::shared_ptr<KernelState> make_generic_state(const ir::Conv& conv);

// The same with its weights, packed once, and the time that took. constants: null for none.
// Errors: resource_exhausted.
Result<std::shared_ptr<KernelState>> make_generic_state(const ir::Conv& conv,
                                                        const SharedConstants& constants,
                                                        bool verbose);

// The same as a kernel that passed check. why: what Kernel::compile_status says.
CONVGEN_SHARED Result<Kernel> make_generic_kernel(const ir::Conv& conv,
                                                  const SharedConstants& constants, bool verbose,
                                                  const Status& why, const KernelCheck& check);

}  // namespace convgen
