// SPDX-License-Identifier: Apache-2.0
// What must happen in a process of its own: it forbids itself something, or forks.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

namespace convgen::testing {

inline constexpr int kNoWay = 77;       // what a child returns where the system lacks what it needs
inline constexpr int kDiedOrHung = -1;  // by a signal, the alarm's among them

// body's result in a child, which has timeout_seconds for it.
inline int run_in_child(const std::function<int()>& body, unsigned timeout_seconds = 60) {
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(timeout_seconds);
    _exit(body());
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return kDiedOrHung;
  return WEXITSTATUS(status);
}

}  // namespace convgen::testing
