// SPDX-License-Identifier: Apache-2.0
#include "runtime/compile_queue.h"

#include <unistd.h>

#include <system_error>
#include <utility>

namespace convgen {

CompileQueue::~CompileQueue() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (worker_.joinable()) {
    if (worker_process_ == getpid())
      worker_.join();
    else
      worker_.detach();
  }
  for (const Job& job : jobs_) job.cancel();
}

void CompileQueue::add(Job job) {
  std::unique_lock lock(mutex_);
  if (worker_process_ != getpid()) {
    if (worker_.joinable()) worker_.detach();
    try {
      worker_ = std::thread([this] { work(); });
    } catch (const std::system_error&) {  // no thread to be had
      lock.unlock();
      job.cancel();
      return;
    }
    worker_process_ = getpid();
  }
  jobs_.push_back(std::move(job));
  changed_.notify_one();
}

void CompileQueue::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.run();
    lock.lock();
  }
}

}  // namespace convgen
