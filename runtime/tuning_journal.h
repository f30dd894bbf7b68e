// SPDX-License-Identifier: Apache-2.0
// The journal of tuning runs, beside the tuning file: what each candidate was measured at, written
// as it is known, so that an interrupted run loses nothing. It only saves time: what cannot be
// read of it is measured again.
#pragma once

#include <map>
#include <string>

#include "ir/status.h"
#include "runtime/tuning_file.h"

namespace convgen {

class TuningJournal {
 public:
  // The journal of a tuning file, made with its directories where missing. Errors: io_error;
  // invalid_argument where something else lies under its name.
  static Result<TuningJournal> open(const std::string& tuning_file);

  // The time of each schedule that was measured for key, over the default's in the same rounds.
  Result<std::map<std::string, double>> ratios(const TuningKey& key) const;
  Status add(const TuningKey& key, const std::string& schedule, double ratio) const;
  // Drops the lines of key, and the file with the last of them.
  Status finish(const TuningKey& key) const;

  const std::string& path() const { return path_; }

 private:
  explicit TuningJournal(const std::string& tuning_file)
      : tuning_file_(tuning_file), path_(tuning_file + ".journal") {}
  Status create_if_missing() const;

  std::string tuning_file_;  // whose lock is the journal's as well
  std::string path_;
};

}  // namespace convgen
