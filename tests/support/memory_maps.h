// SPDX-License-Identifier: Apache-2.0
// The mappings of this process, and two ways to lose the right to executable memory.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>

namespace convgen::testing {

// Sanitizers map memory as they go, for shadows and for what was freed: no leak of anybody's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitizerMaps = true;
#else
inline constexpr bool kSanitizerMaps = false;
#endif

// How many mappings have these permissions ("r-xp"). Where none are said: all, but under a
// sanitizer that maps memory those only that may be run.
inline int count_mappings(const std::string& permissions = "") {
  std::ifstream maps("/proc/self/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);) {
    const std::string found = line.substr(line.find(' ') + 1, 4);
    count += permissions.empty() ? !kSanitizerMaps || found[2] == 'x' : found == permissions;
  }
  return count;
}

// Memory that may be written and run at once, in this process.
inline int count_writable_code() {
  std::ifstream maps("/proc/self/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);) {
    const std::string permissions = line.substr(line.find(' ') + 1, 4);
    count += permissions[1] == 'w' && permissions[2] == 'x';
  }
  return count;
}

// How many mappings hold code of convgen's: executable, and of no file that has a path.
inline int count_code_mappings() {
  std::ifstream maps("/proc/self/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);) {
    const bool executable = line.substr(line.find(' ') + 1, 4).find('x') != std::string::npos;
    const bool named = line.find('/') != std::string::npos || line.find('[') != std::string::npos;
    count += executable && (!named || line.find("/memfd:convgen") != std::string::npos);
  }
  return count;
}

// From now on memory of this process cannot become executable, but what is so from the start is
// allowed: PR_SET_MDWE, Linux 6.3. False where the system has no such thing.
inline bool refuse_gain_of_execution() {
  constexpr int kSetMdwe = 65;              // PR_SET_MDWE
  constexpr unsigned long kRefuseGain = 1;  // PR_MDWE_REFUSE_EXEC_GAIN
  return prctl(kSetMdwe, kRefuseGain, 0, 0, 0) == 0;
}

// From now on this process gets no new executable memory at all, by a seccomp filter on mmap and
// mprotect. False where the system has no such filters.
inline bool refuse_executable_memory() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace convgen::testing
