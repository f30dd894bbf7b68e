// SPDX-License-Identifier: Apache-2.0
// Short ways to say what codegen's tests work on. A text that does not parse ends the test with an
// exception that quotes it: the test itself is wrong then.
#pragma once

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "codegen/schedule.h"
#include "codegen/select_schedule.h"
#include "codegen/target.h"
#include "ir/text.h"

namespace convgen::codegen::testing {

inline constexpr const char* kAArch64 = "aarch64-linux-gnu";

inline ir::Conv conv_of(const std::string& text) {
  Result<ir::Conv> conv = ir::parse_conv(text);
  if (!conv.ok()) throw std::runtime_error(text + ": " + conv.status().message());
  return *conv;
}

// A target by the name of its CPU, or by its triple where the name is kAArch64.
inline Target target_of(const std::string& name) {
  const bool cross = name == kAArch64;
  Result<Target> target = make_target(cross ? name : "x86_64-linux-gnu", cross ? "" : name, "");
  if (!target.ok()) throw std::runtime_error(name + ": " + target.status().message());
  return *target;
}

inline std::vector<std::string> all_target_names() {
  std::vector<std::string> names = isa_levels();
  names.push_back(kAArch64);
  return names;
}

inline Schedule schedule_of(const std::string& text, const Schedule& base = {}) {
  Result<Schedule> schedule = parse_schedule(text, base);
  if (!schedule.ok()) throw std::runtime_error(text + ": " + schedule.status().message());
  return *schedule;
}

// The convolutions of a file in tests/data.
inline std::vector<std::string> texts_of(const std::string& file) {
  std::ifstream in(std::string(CONVGEN_TEST_DATA_DIR) + "/" + file);
  std::vector<std::string> texts;
  for (std::string line; std::getline(in, line);)
    if (!line.empty() && line[0] != '#') texts.push_back(line);
  if (texts.empty()) throw std::runtime_error("tests/data/" + file + " holds no convolution");
  return texts;
}

inline std::vector<std::string> layer_texts() { return texts_of("layers.conv"); }

// "x86-64-v3" as a part of a test's name.
inline std::string test_name_of(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return text;
}

}  // namespace convgen::codegen::testing
