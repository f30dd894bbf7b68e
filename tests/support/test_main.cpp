// SPDX-License-Identifier: Apache-2.0
// main of every test binary: what is measured on this machine and kept in the user's cache must not
// decide a test.
#include <gtest/gtest.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  setenv("CONVGEN_CACHE_DIR", "", 1);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
