// SPDX-License-Identifier: Apache-2.0
#include "runtime/tuning_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "codegen/compile.h"
#include "ir/text.h"
#include "runtime/cache_directory.h"
#include "runtime/shared_file.h"

namespace convgen {
namespace {

constexpr int kMaxThreads = 1024;
constexpr size_t kFields = 8;
constexpr std::string_view kNothing = "-";

std::string header() { return fmt::format("convgen-tuning {}", kTuningFileVersion); }

// Text of a file as it may stand in a message.
std::string printable(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string clean;
  for (const char c : text.substr(0, kMost)) clean += c >= ' ' && c <= '~' ? c : '?';
  return clean + (text.size() > kMost ? "..." : "");
}

Status broken(std::string_view field, std::string_view value, std::string_view rule) {
  return invalid_argument(fmt::format("{}={}: {}", field, printable(value), rule));
}

Status check_text(std::string_view field, std::string_view value) {
  const auto plain = [](char c) { return c >= ' ' && c <= '~'; };
  if (!value.empty() && std::ranges::all_of(value, plain)) return Status();
  return broken(field, value, "expected printable ascii text");
}

Result<TuningEntry> parse_entry(std::string_view line) {
  const auto fields = split_fields(line, kFields);
  if (!fields.ok()) return fields.status();
  auto key = parse_tuning_key(*fields);
  if (!key.ok()) return key.status();
  TuningEntry entry{.key = std::move(*key), .schedule = std::string((*fields)[3])};
  if (Status status = check_text("schedule", entry.schedule); !status.ok()) return status;
  const auto us = parse_positive("us", (*fields)[4]);
  if (!us.ok()) return us.status();
  const auto default_us = parse_positive("default_us", (*fields)[5]);
  if (!default_us.ok()) return default_us.status();
  entry.us = *us;
  entry.default_us = *default_us;
  if ((*fields)[6] == kNothing && (*fields)[7] == kNothing) return entry;
  entry.runner_up = (*fields)[6];
  if (Status status = check_text("runner_up", entry.runner_up); !status.ok()) return status;
  const auto runner_up_us = parse_positive("runner_up_us", (*fields)[7]);
  if (!runner_up_us.ok()) return runner_up_us.status();
  entry.runner_up_us = *runner_up_us;
  return entry;
}

// The lines of a text, each without its end. What follows the last end is a line too.
std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

// --- Fields ---

Result<std::vector<std::string_view>> split_fields(std::string_view line, size_t count) {
  std::vector<std::string_view> fields;
  for (size_t at = 0; at <= line.size();) {
    const size_t end = std::min(line.find('\t', at), line.size());
    fields.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  if (fields.size() == count) return fields;
  return invalid_argument(
      fmt::format("line={}: {} fields found, expected {} with tabs between them", printable(line),
                  fields.size(), count));
}

Result<TuningKey> parse_tuning_key(const std::vector<std::string_view>& fields) {
  TuningKey key{.signature = std::string(fields[0]), .target = std::string(fields[2])};
  if (Status status = check_text("signature", key.signature); !status.ok()) return status;
  if (!key.signature.starts_with("conv"))
    return broken("signature", key.signature, "expected the canonical text of a convolution");
  const std::string_view threads = fields[1];
  const char* end = threads.data() + threads.size();
  const auto [stop, failure] = std::from_chars(threads.data(), end, key.threads);
  if (failure != std::errc() || stop != end || key.threads < 1 || key.threads > kMaxThreads)
    return broken("threads", threads, fmt::format("expected a number from 1 to {}", kMaxThreads));
  if (Status status = check_text("target", key.target); !status.ok()) return status;
  return key;
}

std::string print_tuning_key(const TuningKey& key) {
  return fmt::format("{}\t{}\t{}", key.signature, key.threads, key.target);
}

Result<double> parse_positive(std::string_view field, std::string_view value) {
  double number = 0;
  const char* end = value.data() + value.size();
  const auto [stop, failure] = std::from_chars(value.data(), end, number);
  // Written so that NaN fails.
  if (failure == std::errc() && stop == end && number > 0 && number < 1e15) return number;
  return broken(field, value, "expected a number above 0 and below 1e15");
}

// --- Keys ---

std::string tuning_target(const codegen::Target& target) {
  return fmt::format("{};llvm {};generator {}", target.key(), codegen::llvm_version(),
                     codegen::kCodeGeneratorVersion);
}

TuningKey tuning_key(const ir::Conv& conv, int threads, const codegen::Target& target) {
  return {ir::print_conv(conv), threads, tuning_target(target)};
}

// --- TuningTable ---

Status TuningTable::add_line(std::string_view text, size_t line) {
  if (text.size() > kMaxTuningLineBytes)
    return broken("line", text, fmt::format("longer than {} bytes", kMaxTuningLineBytes));
  auto entry = parse_entry(text);
  if (!entry.ok()) return entry.status();
  const TuningKey key = entry->key;
  const auto [place, is_new] = entries_.try_emplace(key, Placed{std::move(*entry), line});
  if (is_new) return Status();
  return broken(
      "signature", key.signature,
      fmt::format("line {} has the same signature, threads and target", place->second.line + 1));
}

Result<TuningTable> TuningTable::parse(std::string_view text, const std::string& name) {
  const auto at_line = [&](size_t line, const Status& status) {
    return Status(status.code(), fmt::format("{}:{}: {}", name, line + 1, status.message()));
  };
  const std::vector<std::string_view> lines = split_lines(text);
  if (lines.empty() || lines[0] != header())
    return at_line(0, broken("version", lines.empty() ? "" : lines[0],
                             fmt::format("expected the line '{}'", header())));
  // A number that lost its last digits would still be a number.
  if (text.back() != '\n')
    return at_line(lines.size() - 1, broken("line", lines.back(), "cut off, has no end"));
  TuningTable table;
  for (size_t line = 1; line < lines.size(); ++line) {
    if (lines[line].empty() || lines[line][0] == '#') continue;
    if (Status status = table.add_line(lines[line], line); !status.ok())
      return at_line(line, status);
  }
  return table;
}

Result<TuningTable> TuningTable::read(const std::string& path, bool must_exist) {
  const auto text = read_if_present(path, kMaxTuningFileBytes);
  if (!text.ok()) return text.status();
  if (text->has_value()) return parse(**text, path);
  if (must_exist) return io_error(fmt::format("cannot read {}: no such file", path));
  return TuningTable();
}

Result<TuningTable> TuningTable::read_default() {
  const std::string path = default_tuning_file();
  return path.empty() ? TuningTable() : read(path, false);
}

const TuningEntry* TuningTable::find(const TuningKey& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second.entry;
}

std::optional<codegen::Schedule> TuningTable::find_schedule(const ir::Conv& conv, int threads,
                                                            const codegen::Target& target) const {
  if (entries_.empty()) return std::nullopt;
  const TuningEntry* entry = find(tuning_key(conv, threads, target));
  if (entry == nullptr) return std::nullopt;
  const auto schedule = codegen::parse_schedule(entry->schedule, {});
  const bool whole = schedule.ok() && codegen::print_schedule(*schedule) == entry->schedule;
  if (!whole || !codegen::check_schedule(*schedule, conv, target).ok()) return std::nullopt;
  return *schedule;
}

size_t TuningTable::count_for(const codegen::Target& target) const {
  const std::string wanted = tuning_target(target);
  return static_cast<size_t>(std::ranges::count_if(
      entries_, [&](const auto& entry) { return entry.first.target == wanted; }));
}

// --- Writing ---

std::string print_tuning_entry(const TuningEntry& entry) {
  const std::string runner_up = entry.runner_up.empty()
                                    ? fmt::format("{0}\t{0}", kNothing)
                                    : fmt::format("{}\t{}", entry.runner_up, entry.runner_up_us);
  return fmt::format("{}\t{}\t{}\t{}\t{}", print_tuning_key(entry.key), entry.schedule, entry.us,
                     entry.default_us, runner_up);
}

Status keep_tuning_entry(const std::string& path, const TuningEntry& entry) {
  const std::string added = print_tuning_entry(entry);
  TuningTable check;
  if (Status status = check.add_line(added, 0); !status.ok()) return status;

  if (Status status = make_directories_for(path); !status.ok()) return status;
  const auto lock = FileLock::take(path);
  if (!lock.ok()) return lock.status();
  const auto present = read_if_present(path, kMaxTuningFileBytes);
  if (!present.ok()) return present.status();
  const std::string before = present->value_or(header() + "\n");
  const auto table = TuningTable::parse(before, path);
  if (!table.ok()) return table.status();

  std::vector<std::string_view> lines = split_lines(before);
  const auto found = table->entries_.find(entry.key);
  if (found == table->entries_.end())
    lines.push_back(added);
  else
    lines[found->second.line] = added;
  std::string after;
  for (const std::string_view line : lines) after.append(line).append("\n");
  if (after.size() > kMaxTuningFileBytes)
    return invalid_argument(fmt::format("{}: would pass {} bytes", path, kMaxTuningFileBytes));
  return replace_file(path, after);
}

std::string default_tuning_file() {
  const std::string directory = default_cache_directory();
  return directory.empty() ? "" : directory + "/tuning";
}

}  // namespace convgen
