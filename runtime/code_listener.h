// SPDX-License-Identifier: Apache-2.0
// CodeListener: hears of each kernel that comes and goes. One kind a tool: perf's map, jitdump,
// GDB.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "ir/status.h"

namespace convgen {

// The host in ELF's numbers.
#if defined(__aarch64__)
inline constexpr uint16_t kHostMachine = 183;  // EM_AARCH64
#else
inline constexpr uint16_t kHostMachine = 62;  // EM_X86_64
#endif

// Thread-safe.
class CodeListener {
 public:
  virtual ~CodeListener() = default;
  // Faults are ignored: a profile must never fail a compile.
  virtual void add(const std::string& symbol, std::span<const char> code) = 0;
  virtual void remove(std::span<const char>) {}  // files cannot take back what they said
};

// Errors: io_error.
Result<std::unique_ptr<CodeListener>> open_perf_map();
Result<std::unique_ptr<CodeListener>> open_jitdump();
std::unique_ptr<CodeListener> make_gdb_listener();

}  // namespace convgen
