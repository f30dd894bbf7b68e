// SPDX-License-Identifier: Apache-2.0
// A program that links a bundle and convgen's runtime, and no LLVM: one line a convolution of the
// file named, "ENGINE CHECKSUM TEXT".
#include <cstdio>
#include <fstream>

#include "ir/text.h"
#include "testnet.h"
#include "tests/support/bundle_tensors.h"

int main(int, char** words) {
  using namespace convgen;
  const auto engine = Engine::create_without_compiler({.bundles = {&testnet_bundle}});
  if (!engine.ok()) return 1;
  std::ifstream file(words[1]);
  for (const std::string& text : testing::bundle_texts(file)) {
    const auto conv = ir::parse_conv(text);
    if (!conv.ok()) return 2;
    const auto kernel = engine->compile(*conv);
    if (!kernel.ok()) return 3;
    testing::BundleTensors tensors(*conv);
    testing::compute(*kernel, tensors, tensors.weights.data());
    std::printf("%s %016llx %s\n", kernel->engine_name().c_str(),
                static_cast<unsigned long long>(testing::checksum_of(tensors.dst)), text.c_str());
  }
}
