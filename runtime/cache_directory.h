// SPDX-License-Identifier: Apache-2.0
// Where convgen keeps what it remembers between processes.
#pragma once

#include <string>

namespace convgen {

// $CONVGEN_CACHE_DIR, else $XDG_CACHE_HOME/convgen, else ~/.cache/convgen. Empty where
// CONVGEN_CACHE_DIR is set and empty, or there is no home: nothing is remembered.
std::string default_cache_directory();

}  // namespace convgen
