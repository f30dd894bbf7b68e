// SPDX-License-Identifier: Apache-2.0
// convgen_demo [--picture F.png] [--out DIR] [--seconds T]: the main job on a real picture.
// convgen_demo compare A.npy B.npy: whether two arrays hold the same floats.
// Exit codes: 0 done, 1 a check failed, 2 the request was wrong.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "examples/00_demo/demo.h"

namespace convgen::examples {
namespace {

constexpr const char* kUsage =
    "usage: convgen_demo [--picture F.png] [--out DIR] [--seconds T]\n"
    "       convgen_demo compare A.npy B.npy\n";

Result<bool> run(int argc, char** argv) {
  if (argc == 4 && argv[1] == std::string_view("compare")) return compare_arrays(argv[2], argv[3]);
  DemoOptions options{.picture = CONVGEN_DEMO_PICTURE};
  for (int i = 1; i < argc; i += 2) {
    const std::string_view key = argv[i];
    if (i + 1 == argc) return invalid_argument(std::string(key) + ": no value, or no option");
    if (key == "--picture") {
      options.picture = argv[i + 1];
    } else if (key == "--out") {
      options.directory = argv[i + 1];
    } else if (key == "--seconds") {
      options.seconds = std::atof(argv[i + 1]);
    } else {
      return invalid_argument(std::string(key) + ": no such option");
    }
  }
  return run_filter_demo(options);
}

}  // namespace
}  // namespace convgen::examples

int main(int argc, char** argv) {
  const auto passed = convgen::examples::run(argc, argv);
  if (passed.ok()) return *passed ? 0 : 1;
  const convgen::Status status = passed.status();
  std::fprintf(stderr, "convgen_demo: error: %s\n", status.message().c_str());
  if (status.code() == convgen::StatusCode::kInvalidArgument) {
    std::fputs(convgen::examples::kUsage, stderr);
  }
  return 2;
}
