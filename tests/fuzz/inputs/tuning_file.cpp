// SPDX-License-Identifier: Apache-2.0
// Tuning files and their journals. "@TARGET" in the text stands for the key of a target, which
// holds versions. A file that is accepted has the entries of its lines and no others; putting one
// in leaves all other lines alone. A journal yields what stands in it, whatever else does.
#include "runtime/tuning_file.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/tuning_journal.h"
#include "tests/fuzz/inputs/expect.h"
#include "tests/fuzz/inputs/scratch_directory.h"

namespace convgen::fuzz_inputs {
namespace {

namespace fs = std::filesystem;

const codegen::Target& target() {
  static const auto made = codegen::make_target("x86_64-pc-linux-gnu", "x86-64-v3", "");
  return made.value();
}

const std::string& tuning_path() {
  static const ScratchDirectory directory;
  static const std::string path = directory.path() + "/tuning";
  return path;
}

std::string with_target_named(std::string text) {
  static const std::string key = tuning_target(target());
  for (size_t at; (at = text.find("@TARGET")) != text.npos;) text.replace(at, 7, key);
  return text;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) lines.emplace_back(take_until(text, '\n'));
  return lines;
}

bool is_entry(const std::string& line) { return !line.empty() && line[0] != '#'; }

// --- The file ---

void expect_entry_of(const TuningTable& table, const std::string& line) {
  const auto fields = split_fields(line, 8);
  expect(fields.ok(), "an entry has eight fields", line);
  const auto key = parse_tuning_key(*fields);
  expect(key.ok(), "an entry has a key", line);
  const TuningEntry* entry = table.find(*key);
  expect(entry != nullptr && entry->key == *key, "each line is an entry", line);
  expect(entry->schedule == (*fields)[3], "the schedule is that of the line", entry->schedule);

  const std::string printed = print_tuning_entry(*entry);
  const auto again = TuningTable::parse("convgen-tuning 1\n" + printed + "\n", "file");
  expect(again.ok(), "a printed entry is accepted", printed);
  expect(*again->find(*key) == *entry, "a printed entry reads back as the same", printed);

  const auto conv = ir::parse_conv(key->signature);
  if (!conv.ok()) return;
  const auto schedule = table.find_schedule(*conv, key->threads, target());
  if (!schedule.has_value()) return;
  const TuningEntry* used = table.find(tuning_key(*conv, key->threads, target()));
  expect(used != nullptr && codegen::print_schedule(*schedule) == used->schedule,
         "a schedule that is used is the line's, word for word", line);
  expect(codegen::check_schedule(*schedule, *conv, target()).ok(), "and legal", line);
}

void expect_entries_of(const TuningTable& table, const std::vector<std::string>& lines) {
  size_t entries = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (!is_entry(lines[i])) continue;
    expect_entry_of(table, lines[i]);
    ++entries;
  }
  expect(table.size() == entries, "there are as many entries as lines", std::to_string(entries));
  expect(table.count_for(target()) <= entries, "and no more for a target");
}

TuningEntry some_entry() {
  return {.key = {"conv2d src=f32:nhwc:1x8x8x8 weights=f32:hwio:3x3x8x8", 2, "target"},
          .schedule = "direct lanes=8",
          .us = 0.125,
          .default_us = 1e-9};
}

void expect_kept_beside(const TuningTable& table, const std::vector<std::string>& before) {
  const TuningEntry entry = some_entry();
  const bool is_new = table.find(entry.key) == nullptr;
  const Status status = keep_tuning_entry(tuning_path(), entry);
  expect(status.ok(), "a sound file takes an entry", status.message());
  const auto after = TuningTable::read(tuning_path(), true);
  expect(after.ok() && after->size() == table.size() + is_new && after->find(entry.key) != nullptr,
         "the entry is there once");
  expect(*after->find(entry.key) == entry, "and as it was given");
  const std::vector<std::string> lines = lines_of(read_whole(tuning_path()));
  size_t changed = 0;
  for (size_t i = 0; i < before.size(); ++i) changed += lines[i] != before[i];
  expect(lines.size() == before.size() + is_new && changed <= (is_new ? 0 : 1),
         "all other lines stay as they are", read_whole(tuning_path()));
}

void check_file(const std::string& text) {
  write_whole(tuning_path(), text);
  const auto table = TuningTable::parse(text, "file");
  if (!table.ok()) {
    expect_field_named(table.status());
    expect(table.status().message().starts_with("file:"), "the line is named",
           table.status().message());
    expect(
        !keep_tuning_entry(tuning_path(), some_entry()).ok() && read_whole(tuning_path()) == text,
        "a damaged file stays as it is", text);
    return;
  }
  const std::vector<std::string> lines = lines_of(text);
  expect_entries_of(*table, lines);
  expect_kept_beside(*table, lines);
}

// --- The journal ---

void check_journal(const std::string& text) {
  const std::string path = tuning_path() + ".journal";
  write_whole(path, text);
  const auto journal = TuningJournal::open(tuning_path());
  if (!journal.ok()) {
    expect_field_named(journal.status());
    expect(read_whole(path) == text, "what is no journal stays as it is", text);
    fs::remove(path);
    return;
  }
  const TuningKey key = some_entry().key;
  const auto before = journal->ratios(key);
  expect(before.ok(), "a journal is read");
  for (const auto& [schedule, ratio] : *before)
    expect(text.find("\t" + schedule + "\t") != text.npos && ratio > 0,
           "what a journal yields stands in it", schedule);
  expect(journal->add(key, "direct lanes=4", 0.5).ok(), "a journal takes a line");
  const auto after = journal->ratios(key);
  expect(after.ok() && after->count("direct lanes=4") == 1 && after->at("direct lanes=4") == 0.5,
         "a line that was added is there");
  expect(journal->finish(key).ok() && journal->ratios(key)->empty(),
         "a run that ended leaves none");
  fs::remove(path);
}

}  // namespace
}  // namespace convgen::fuzz_inputs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace convgen::fuzz_inputs;  // NOLINT: it is all about them
  const std::string text = with_target_named(std::string(text_of(data, size)));
  if (text.starts_with("convgen-tuning-journal"))
    check_journal(text);
  else
    check_file(text);
  return 0;
}
