// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/conv_rules.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "ir/text.h"

namespace convgen::testing {
namespace {

// One line: control characters and backslashes as \xNN.
std::string escaped(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '\\')
      line += fmt::format("\\x{:02x}", byte);
    else
      line += c;
  }
  return line + "\n";
}

std::string read_line(FILE* file) {
  std::string line;
  for (int c = std::fgetc(file); c != EOF && c != '\n'; c = std::fgetc(file))
    line += static_cast<char>(c);
  return line;
}

}  // namespace

ConvRules::ConvRules(const std::string& script) {
  int to_child[2], from_child[2];
  if (pipe2(to_child, O_CLOEXEC) != 0) return;
  if (pipe2(from_child, O_CLOEXEC) != 0) return;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to_child[0], 0);
  posix_spawn_file_actions_adddup2(&actions, from_child[1], 1);
  std::string words[] = {"python3", script};
  char* arguments[] = {words[0].data(), words[1].data(), nullptr};
  const int failed = posix_spawnp(&child_, "python3", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(to_child[0]);
  close(from_child[1]);
  questions_ = fdopen(to_child[1], "w");
  if (failed == 0) answers_ = fdopen(from_child[0], "r");
  signal(SIGPIPE, SIG_IGN);
}

ConvRules::~ConvRules() {
  if (questions_ != nullptr) std::fclose(questions_);
  if (answers_ != nullptr) std::fclose(answers_);
  if (child_ > 0) waitpid(child_, nullptr, 0);
}

std::optional<std::string> ConvRules::predict(const std::string& text) {
  if (!is_running()) return std::nullopt;
  std::fputs(escaped(text).c_str(), questions_);
  std::fflush(questions_);
  std::string answer = read_line(answers_);
  invalid_ += answer.starts_with("ok ") ? 0 : 1;
  return answer;
}

std::string ConvRules::verdict(const std::string& text) {
  const Result<ir::Conv> conv = ir::parse_conv(text);
  if (!conv.ok()) return std::string(status_code_name(conv.status().code()));
  return fmt::format("ok {} {}", fmt::join(conv->dst_dims(), "x"), ir::print_conv(*conv));
}

}  // namespace convgen::testing
