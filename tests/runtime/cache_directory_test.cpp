// SPDX-License-Identifier: Apache-2.0
// Where the cache lies, whatever the environment says of it.
#include "runtime/cache_directory.h"

#include <gtest/gtest.h>

#include "tests/support/environment.h"

namespace convgen {
namespace {

using testing::ScopedVariable;

TEST(CacheDirectoryTest, FollowsTheEnvironment) {
  const ScopedVariable home("HOME", "/home/me"), xdg("XDG_CACHE_HOME", "/var/me");
  const ScopedVariable own("CONVGEN_CACHE_DIR", "here");
  EXPECT_EQ(default_cache_directory(), "here");
  setenv("CONVGEN_CACHE_DIR", "", 1);
  EXPECT_EQ(default_cache_directory(), "") << "empty is off";
  unsetenv("CONVGEN_CACHE_DIR");
  EXPECT_EQ(default_cache_directory(), "/var/me/convgen");
  for (const char* ignored : {"", "relative", "./x"}) {
    setenv("XDG_CACHE_HOME", ignored, 1);
    EXPECT_EQ(default_cache_directory(), "/home/me/.cache/convgen") << ignored;
  }
  setenv("HOME", "", 1);
  EXPECT_EQ(default_cache_directory(), "");
  unsetenv("HOME");
  EXPECT_EQ(default_cache_directory(), "") << "no home: nothing is kept";
}

}  // namespace
}  // namespace convgen
