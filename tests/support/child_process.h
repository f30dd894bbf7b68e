// SPDX-License-Identifier: Apache-2.0
// Other processes: started with a changed environment, their output read when they have ended.
#pragma once

#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace convgen::testing {

using Variables = std::map<std::string, std::string>;

class ChildProcess {
 public:
  struct Ended {
    int exit = -1;  // -1: by a signal
    int signal = 0;
    std::string out;  // both of its streams
  };

  // words[0] is the program. What begins with CONVGEN_ is not handed on, but for `variables`.
  ChildProcess(const std::vector<std::string>& words, const Variables& variables)
      : output_(memfd_create("output", MFD_CLOEXEC)) {
    std::vector<std::string> environment;
    for (char** variable = ::environ; *variable != nullptr; ++variable)
      if (!std::string_view(*variable).starts_with("CONVGEN_")) environment.emplace_back(*variable);
    for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output_, 1);
    posix_spawn_file_actions_adddup2(&actions, output_, 2);
    const int failed = posix_spawn(&pid_, words[0].c_str(), &actions, nullptr,
                                   pointers(words).data(), pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) throw std::runtime_error("posix_spawn: " + words[0]);
  }
  ChildProcess(ChildProcess&& other) noexcept : output_(other.output_), pid_(other.pid_) {
    other.output_ = -1;
    other.pid_ = 0;
  }
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess() {
    if (pid_ > 0) wait();
    if (output_ >= 0) close(output_);
  }

  // Once.
  Ended wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    Ended ended;
    if (WIFEXITED(status)) ended.exit = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
    ended.out.resize(static_cast<size_t>(lseek(output_, 0, SEEK_END)));
    if (pread(output_, ended.out.data(), ended.out.size(), 0) < 0) ended.out = "pread failed";
    return ended;
  }

 private:
  static std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
  }

  int output_;
  pid_t pid_ = 0;
};

inline ChildProcess::Ended run_child(const std::vector<std::string>& words,
                                     const Variables& variables) {
  return ChildProcess(words, variables).wait();
}

}  // namespace convgen::testing
