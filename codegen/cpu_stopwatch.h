// SPDX-License-Identifier: Apache-2.0
// CpuStopwatch: CPU time of the thread that asks. On an idle machine that is the time which passes;
// on a busy one it leaves out what others ran meanwhile.
#pragma once

#include <ctime>

namespace convgen::codegen {

class CpuStopwatch {
 public:
  // Since the start.
  double ms() const { return now_ms() - start_; }

  // Since the last lap, or the start.
  double lap_ms() {
    const double now = now_ms();
    const double ms = now - lap_;
    lap_ = now;
    return ms;
  }

 private:
  static double now_ms() {
    std::timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
  }

  double start_ = now_ms();
  double lap_ = start_;
};

}  // namespace convgen::codegen
