// SPDX-License-Identifier: Apache-2.0
#include "runtime/jit_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ir/message.h"
#include "ir/nearest_word.h"
#include "runtime/code_listener.h"

namespace convgen {
namespace {

constexpr std::string_view kWords[] = {"perf-map", "jitdump", "gdb", "all", "none"};

// False for a word that is none.
bool add_kind(std::string_view word, ProfileKinds& kinds) {
  const bool all = word == "all" || word == "1";
  if (!all && word != "perf-map" && word != "jitdump" && word != "gdb") return false;
  kinds.perf_map |= all || word == "perf-map";
  kinds.jitdump |= all || word == "jitdump";
  kinds.gdb |= all || word == "gdb";
  return true;
}

}  // namespace

Result<ProfileKinds> parse_profile_kinds(std::string_view words, std::string_view setting) {
  ProfileKinds kinds;
  if (words.empty() || words == "none") return kinds;
  for (size_t at = 0; at <= words.size();) {
    const size_t comma = std::min(words.find(',', at), words.size());
    const std::string_view word = words.substr(at, comma - at);
    if (!add_kind(word, kinds))
      return invalid_argument(fmt::format(
          "{}={}: \"{}\" is not known, expected perf-map, jitdump, gdb, several of "
          "them with commas between, all or none{}",
          setting, ir::printable(words), ir::printable(word), ir::did_you_mean(kWords, word)));
    at = comma + 1;
  }
  return kinds;
}

JitProfile::JitProfile() = default;
JitProfile::~JitProfile() = default;

Result<std::shared_ptr<JitProfile>> JitProfile::create(const ProfileKinds& kinds) {
  if (kinds == ProfileKinds()) return std::shared_ptr<JitProfile>();
  std::shared_ptr<JitProfile> profile(new JitProfile);
  for (const auto& [wanted, open] :
       {std::pair(kinds.perf_map, &open_perf_map), std::pair(kinds.jitdump, &open_jitdump)}) {
    if (!wanted) continue;
    auto listener = open();
    if (!listener) return listener.status();
    profile->listeners_.push_back(*std::move(listener));
  }
  if (kinds.gdb) profile->listeners_.push_back(make_gdb_listener());
  return profile;
}

ProfiledCode::ProfiledCode(std::shared_ptr<JitProfile> profile, const std::string& symbol,
                           std::span<const char> code)
    : profile_(std::move(profile)), code_(code) {
  if (profile_ == nullptr) return;
  for (const auto& listener : profile_->listeners_) listener->add(symbol, code_);
}

ProfiledCode::~ProfiledCode() {
  if (profile_ == nullptr) return;
  for (const auto& listener : profile_->listeners_) listener->remove(code_);
}

}  // namespace convgen
