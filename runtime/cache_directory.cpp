// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache_directory.h"

#include <cstdlib>

#include "runtime/environment.h"

namespace convgen {

std::string default_cache_directory() {
  if (const char* directory = std::getenv("CONVGEN_CACHE_DIR"); directory != nullptr)
    return directory;
  // The base directory specification: a relative path is to be ignored.
  if (const std::string cache = environment("XDG_CACHE_HOME"); cache.starts_with('/'))
    return cache + "/convgen";
  const std::string home = environment("HOME");
  return home.empty() ? "" : home + "/.cache/convgen";
}

}  // namespace convgen
