// SPDX-License-Identifier: Apache-2.0
// A directory of this process for files that a target needs, in memory where there is such a place.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "tests/fuzz/inputs/expect.h"

namespace convgen::fuzz_inputs {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    namespace fs = std::filesystem;
    const bool in_memory = fs::is_directory("/dev/shm");
    std::string name = (in_memory ? "/dev/shm" : fs::temp_directory_path().string());
    name += "/convgen_fuzz_XXXXXX";
    expect(::mkdtemp(name.data()) != nullptr, "the target can make a directory", name);
    path_ = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write_whole(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary).write(text.data(), static_cast<ptrdiff_t>(text.size()));
}

inline std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace convgen::fuzz_inputs
