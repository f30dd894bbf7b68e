// SPDX-License-Identifier: Apache-2.0
// A program on a terminal of its own, which a person could type on. What it prints comes back as
// one text, both of its streams, with "\r\n" for each line's end.
#pragma once

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace convgen::tool {

class PseudoTerminal {
 public:
  // Starts the program words[0] in `directory`, with `variables` ("NAME=value") as its environment.
  PseudoTerminal(const std::vector<std::string>& words, const std::vector<std::string>& variables,
                 const std::string& directory) {
    winsize size = {};
    size.ws_row = 24;
    size.ws_col = 200;
    const std::vector<char*> arguments = pointers(words), environment = pointers(variables);
    child_ = ::forkpty(&fd_, nullptr, nullptr, &size);
    if (child_ != 0) return;
    if (::chdir(directory.c_str()) == 0)
      ::execve(arguments[0], arguments.data(), environment.data());
    ::_exit(127);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;
  ~PseudoTerminal() {
    ::close(fd_);
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  void type(const std::string& keys) {
    if (::write(fd_, keys.data(), keys.size()) < 0) text_ += "(cannot type)";
  }

  // Everything up to the end of the program.
  std::string read_all() {
    while (read_some(60'000)) continue;
    return text_;
  }

  // Everything since `from`, up to `expected` in it; or up to half a minute of silence.
  std::string read_until(const std::string& expected, size_t from = 0) {
    while (text_.find(expected, from) == std::string::npos && read_some(30'000)) continue;
    return text_.substr(from);
  }

  size_t size() const { return text_.size(); }

 private:
  static std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
  }

  // False at the end, which a terminal tells by an error.
  bool read_some(int milliseconds) {
    pollfd ready = {fd_, POLLIN, 0};
    if (::poll(&ready, 1, milliseconds) <= 0) return false;
    char buffer[4096];
    const ssize_t bytes = ::read(fd_, buffer, sizeof buffer);
    if (bytes <= 0) return false;
    text_.append(buffer, static_cast<size_t>(bytes));
    return true;
  }

  int fd_ = -1;
  pid_t child_ = 0;
  std::string text_;
};

}  // namespace convgen::tool
