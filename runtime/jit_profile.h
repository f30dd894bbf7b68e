// SPDX-License-Identifier: Apache-2.0
// JitProfile: tells perf and gdb which kernel lies where (docs/profiling.md). What was not asked
// for is not opened and not written.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/status.h"

namespace convgen {

struct ProfileKinds {
  bool perf_map = false;  // /tmp/perf-PID.map
  bool jitdump = false;   // jit-PID.dump in $JITDUMPDIR, else in the current directory
  bool gdb = false;       // the JIT interface of GDB and LLDB

  bool operator==(const ProfileKinds&) const = default;
};

// Reads "perf-map,gdb"; "all" and "1" are all kinds, "" and "none" are no kind.
// Errors: invalid_argument, which starts with the setting's name and lists what there is.
Result<ProfileKinds> parse_profile_kinds(std::string_view words, std::string_view setting);

class CodeListener;

// Thread-safe.
class JitProfile {
 public:
  // Null for no kinds. Errors: io_error, a file that cannot be made.
  static Result<std::shared_ptr<JitProfile>> create(const ProfileKinds& kinds);
  ~JitProfile();

 private:
  friend class ProfiledCode;
  JitProfile();
  std::vector<std::unique_ptr<CodeListener>> listeners_;
};

// Code that profilers and debuggers know of for as long as this lives.
class ProfiledCode {
 public:
  // profile: null for none.
  ProfiledCode(std::shared_ptr<JitProfile> profile, const std::string& symbol,
               std::span<const char> code);
  ProfiledCode(ProfiledCode&& other) noexcept = default;
  ~ProfiledCode();

 private:
  std::shared_ptr<JitProfile> profile_;
  std::span<const char> code_;
};

}  // namespace convgen
