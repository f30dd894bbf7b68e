// SPDX-License-Identifier: Apache-2.0
#include "runtime/tuning_journal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/shared_file.h"

namespace convgen {
namespace {

constexpr std::string_view kHeader = "convgen-tuning-journal 1\n";
constexpr size_t kFields = 5;

struct Record {
  TuningKey key;
  std::string schedule;
  double ratio = 0;
};

// Nothing for a line that was cut off or is of no use otherwise.
std::optional<Record> parse_record(std::string_view line) {
  const auto fields = split_fields(line, kFields);
  if (!fields.ok()) return std::nullopt;
  auto key = parse_tuning_key(*fields);
  const auto ratio = parse_positive("ratio", (*fields)[4]);
  if (!key.ok() || !ratio.ok()) return std::nullopt;
  return Record{std::move(*key), std::string((*fields)[3]), *ratio};
}

// The lines behind the header that have an end.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t at = kHeader.size(); at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == text.npos) break;
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

Result<TuningJournal> TuningJournal::open(const std::string& tuning_file) {
  TuningJournal journal(tuning_file);
  if (Status status = make_directories_for(journal.path_); !status.ok()) return status;
  const auto lock = FileLock::take(tuning_file);
  if (!lock.ok()) return lock.status();
  if (Status status = journal.create_if_missing(); !status.ok()) return status;
  return journal;
}

// Also drops a line that was cut off: with an end it would pass for whole.
Status TuningJournal::create_if_missing() const {
  const auto text = read_if_present(path_, kMaxTuningFileBytes);
  if (!text.ok()) return text.status();
  if (!text->has_value() || kHeader.starts_with(**text)) return replace_file(path_, kHeader);
  if (!(*text)->starts_with(kHeader))
    return invalid_argument(
        fmt::format("{}:1: expected the line '{}'; remove the file if it is not needed", path_,
                    kHeader.substr(0, kHeader.size() - 1)));
  const size_t whole = (*text)->rfind('\n') + 1;
  return whole == (*text)->size() ? Status() : replace_file(path_, (*text)->substr(0, whole));
}

Result<std::map<std::string, double>> TuningJournal::ratios(const TuningKey& key) const {
  const auto text = read_if_present(path_, kMaxTuningFileBytes);
  if (!text.ok()) return text.status();
  std::map<std::string, double> ratios;
  if (!text->has_value()) return ratios;
  for (const std::string_view line : lines_of(**text))
    if (const auto record = parse_record(line); record && record->key == key)
      ratios[record->schedule] = record->ratio;
  return ratios;
}

// Under the lock, since another process may just be dropping lines, or the file.
Status TuningJournal::add(const TuningKey& key, const std::string& schedule, double ratio) const {
  const auto lock = FileLock::take(tuning_file_);
  if (!lock.ok()) return lock.status();
  if (Status status = create_if_missing(); !status.ok()) return status;
  return append_to_file(path_, fmt::format("{}\t{}\t{}\n", print_tuning_key(key), schedule, ratio));
}

Status TuningJournal::finish(const TuningKey& key) const {
  const auto lock = FileLock::take(tuning_file_);
  if (!lock.ok()) return lock.status();
  const auto text = read_if_present(path_, kMaxTuningFileBytes);
  if (!text.ok()) return text.status();
  if (!text->has_value()) return Status();
  std::string rest(kHeader);
  for (const std::string_view line : lines_of(**text))
    if (const auto record = parse_record(line); record && record->key != key)
      rest.append(line).append("\n");
  if (rest != kHeader) return replace_file(path_, rest);
  ::unlink(path_.c_str());
  return Status();
}

}  // namespace convgen
