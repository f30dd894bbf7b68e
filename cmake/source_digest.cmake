# SPDX-License-Identifier: Apache-2.0
# cmake -DROOT=... -DOUTPUT=... -P: a header with a digest of all sources that decide emitted bytes.
file(GLOB sources ${ROOT}/ir/*.cpp ${ROOT}/ir/*.h ${ROOT}/codegen/*.cpp ${ROOT}/codegen/*.h)
list(SORT sources)
set(all "")
foreach(source ${sources})
  file(SHA256 ${source} digest)
  string(APPEND all ${digest})
endforeach()
string(SHA256 digest "${all}")
string(SUBSTRING ${digest} 0 16 digest)
file(WRITE ${OUTPUT} "#pragma once
#include <string_view>
namespace convgen {
inline constexpr std::string_view kSourceDigest = \"${digest}\";
}
")
