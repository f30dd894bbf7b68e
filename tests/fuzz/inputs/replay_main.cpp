// SPDX-License-Identifier: Apache-2.0
// replay_main FILE|FOLDER...: gives each file to the target, in the place of libFuzzer. Each path
// is printed before, so that the last line of a crash names its input.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "tests/fuzz/inputs/expect.h"

namespace {

namespace fs = std::filesystem;

// Files of folders in the order of their names, the same everywhere.
std::vector<fs::path> files_of(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

bool replay(const fs::path& path) {
  std::printf("input %s\n", path.c_str());
  std::fflush(stdout);
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    return false;
  }
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  // Of exactly this size, so that a sanitizer sees what is read beyond.
  const auto data = std::make_unique<uint8_t[]>(bytes.size());
  std::ranges::copy(bytes, data.get());
  LLVMFuzzerTestOneInput(data.get(), bytes.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  size_t inputs = 0;
  for (int i = 1; i < argc; ++i)
    for (const fs::path& path : files_of(argv[i])) {
      if (!replay(path)) return 1;
      ++inputs;
    }
  std::printf("%zu inputs\n", inputs);
  return inputs == 0 ? 1 : 0;  // an empty folder proves nothing
}
