// SPDX-License-Identifier: Apache-2.0
// CompileQueue: a thread of its own for compilations that nobody waits for, started by the first.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace convgen {

class CompileQueue {
 public:
  struct Job {
    std::function<void()> run;
    std::function<void()> cancel;  // in place of run, where the queue goes first
  };

  CompileQueue() = default;
  CompileQueue(const CompileQueue&) = delete;
  CompileQueue& operator=(const CompileQueue&) = delete;
  // Waits for the job at hand and cancels the rest.
  ~CompileQueue();

  // In the order they came. Neither function may throw. Thread-safe.
  void add(Job job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread worker_;
  pid_t worker_process_ = 0;  // a child made by fork has the object, but not the thread
};

}  // namespace convgen
