// SPDX-License-Identifier: Apache-2.0
// What a build under a sanitizer does to kernels, which its compiler does not see: the code
// generator instruments them too. Such code is good for such processes alone, so what is kept on
// disk names it.
#pragma once

#include <string_view>

#include "codegen/compile.h"

namespace convgen {

#ifdef CONVGEN_SANITIZE_ADDRESS
inline constexpr codegen::Instrument kKernelInstrument = codegen::Instrument::kAddresses;
inline constexpr std::string_view kKernelInstrumentName = ", AddressSanitizer";
#else
inline constexpr codegen::Instrument kKernelInstrument = codegen::Instrument::kNothing;
inline constexpr std::string_view kKernelInstrumentName = "";
#endif

}  // namespace convgen
