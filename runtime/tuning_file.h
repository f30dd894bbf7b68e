// SPDX-License-Identifier: Apache-2.0
// The tuning file: which schedule was measured to be the fastest for a convolution, a number of
// threads and a target. Text, one line a key; docs/tuning.md describes it. Knows nothing of how
// schedules are measured.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/schedule.h"
#include "codegen/target.h"
#include "ir/conv.h"
#include "ir/status.h"

namespace convgen {

inline constexpr int kTuningFileVersion = 1;
inline constexpr size_t kMaxTuningFileBytes = 16 << 20;
inline constexpr size_t kMaxTuningLineBytes = 64 << 10;

// What a measurement holds for.
struct TuningKey {
  std::string signature;  // the conv's canonical text
  int threads = 1;
  std::string target;  // codegen::Target::key(), LLVM's version and the code generator's

  auto operator<=>(const TuningKey&) const = default;
};

// "TARGET;llvm VERSION;generator VERSION": an entry made for anything else is stale.
std::string tuning_target(const codegen::Target& target);
TuningKey tuning_key(const ir::Conv& conv, int threads, const codegen::Target& target);

struct TuningEntry {
  TuningKey key;
  std::string schedule;
  double us = 0;               // a run of it
  double default_us = 0;       // of the selected schedule, measured beside it
  std::string runner_up = {};  // empty where there was none
  double runner_up_us = 0;

  bool operator==(const TuningEntry&) const = default;
};

// The entries of one file.
class TuningTable {
 public:
  // Every line is checked. `name` is the file's, for messages: "NAME:LINE: FIELD=VALUE: RULE".
  // Errors: invalid_argument.
  static Result<TuningTable> parse(std::string_view text, const std::string& name);
  // A missing file is an empty table, or io_error with must_exist.
  static Result<TuningTable> read(const std::string& path, bool must_exist);

  // The table of default_tuning_file(), empty where there is none.
  static Result<TuningTable> read_default();

  const TuningEntry* find(const TuningKey& key) const;
  // The schedule of conv on target, where there is one, in whole, that check_schedule lets pass.
  std::optional<codegen::Schedule> find_schedule(const ir::Conv& conv, int threads,
                                                 const codegen::Target& target) const;
  size_t size() const { return entries_.size(); }
  // Entries whose target and versions are these.
  size_t count_for(const codegen::Target& target) const;

 private:
  friend Status keep_tuning_entry(const std::string& path, const TuningEntry& entry);
  Status add_line(std::string_view text, size_t line);

  struct Placed {
    TuningEntry entry;
    size_t line = 0;
  };
  std::map<TuningKey, Placed> entries_;
};

// The entry as a line, without its end.
std::string print_tuning_entry(const TuningEntry& entry);

// Puts entry into the file, in the place of one with its key, and leaves all else as it is: the
// comments of people and the entries of other processes. Makes file and directories where missing.
// Errors: io_error; invalid_argument for a file that parse() refuses, which stays as it is, or for
// an entry that does not fit.
Status keep_tuning_entry(const std::string& path, const TuningEntry& entry);

// $CONVGEN_CACHE_DIR/tuning, else $XDG_CACHE_HOME/convgen/tuning, else ~/.cache/convgen/tuning.
// Empty, for none, where CONVGEN_CACHE_DIR is set and empty or nobody has a home.
std::string default_tuning_file();

// --- What the journal of a tuning run shares with the file ---

// The fields of a line, between tabs. Errors name the count.
Result<std::vector<std::string_view>> split_fields(std::string_view line, size_t count);
// The first three fields of a line, checked.
Result<TuningKey> parse_tuning_key(const std::vector<std::string_view>& fields);
std::string print_tuning_key(const TuningKey& key);
// A number above 0 and below 1e15.
Result<double> parse_positive(std::string_view field, std::string_view value);

}  // namespace convgen
