// SPDX-License-Identifier: Apache-2.0
// convgen cache: the compiled kernels that are kept on disk. Looks and clears; what is kept, and
// for how long, is runtime/object_store's.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "runtime/cache_directory.h"
#include "runtime/object_store.h"
#include "tools/command.h"
#include "tools/option_values.h"

namespace convgen::tool {
namespace {

using Entries = std::vector<ObjectStore::Entry>;

struct CacheOptions {
  std::string action;
  bool json = false;
};

std::string print_time(int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

uint64_t total_bytes(const Entries& entries) {
  uint64_t bytes = 0;
  for (const ObjectStore::Entry& entry : entries) bytes += entry.bytes;
  return bytes;
}

// What is said where nothing is kept, beside an empty answer.
void note_if_off(const ObjectStore& store) {
  if (store.directory().empty())
    print_note("the cache is off: CONVGEN_CACHE_DIR is empty, or there is no home directory");
}

Outcome stats(const ObjectStore& store, const CacheOptions& options) {
  const Result<Entries> entries = store.list();
  if (!entries.ok()) return entries.status();
  const uint64_t bytes = total_bytes(*entries);
  if (options.json) {
    print(json_line({{"directory", store.directory()},
                     {"entries", entries->size()},
                     {"bytes", bytes},
                     {"max_bytes", store.max_bytes()}}));
    return kDone;
  }
  note_if_off(store);
  print(fmt::format("directory:  {}\nentries:    {}\nbytes:      {}\nmax bytes:  {}\n",
                    store.directory().empty() ? "none" : store.directory(), entries->size(), bytes,
                    store.max_bytes()));
  return kDone;
}

Outcome list(const ObjectStore& store, const CacheOptions& options) {
  const Result<Entries> entries = store.list();
  if (!entries.ok()) return entries.status();
  if (!options.json) note_if_off(store);
  for (const ObjectStore::Entry& entry : *entries) {
    const std::string conv = entry.conv.empty() ? "damaged" : entry.conv;
    if (options.json)
      print(json_line({{"file", entry.name},
                       {"bytes", entry.bytes},
                       {"last_use", print_time(entry.last_use)},
                       {"llvm", entry.llvm},
                       {"conv", conv}}));
    else
      print(fmt::format("{:>8}  {}  {:<7}  {}\n", entry.bytes, print_time(entry.last_use),
                        entry.llvm, conv));
  }
  return kDone;
}

Outcome clear(const ObjectStore& store) {
  const Result<int64_t> removed = store.clear();
  if (!removed.ok()) return removed.status();
  note_if_off(store);
  print(fmt::format("removed {} {}\n", *removed, *removed == 1 ? "kernel" : "kernels"));
  return kDone;
}

Outcome path(const ObjectStore& store) {
  note_if_off(store);
  if (!store.directory().empty()) print(store.directory() + "\n");
  return kDone;
}

Outcome run(const CacheOptions& options) {
  const Result<uint64_t> bytes = default_store_bytes();
  if (!bytes.ok()) return bytes.status();
  const ObjectStore store(default_cache_directory(), *bytes, /*verbose=*/false);
  const Outcome outcome = options.action == "stats"   ? stats(store, options)
                          : options.action == "list"  ? list(store, options)
                          : options.action == "clear" ? clear(store)
                                                      : path(store);
  if (!outcome.ok()) return outcome;
  if (Status status = check_output(); !status.ok()) return status;
  return outcome;
}

}  // namespace

void add_cache(CLI::App& app, Outcome& outcome) {
  CLI::App* command = app.add_subcommand("cache", "show or clear the kernels kept on disk");
  command->group(kMachineGroup);
  const auto options = std::make_shared<CacheOptions>();
  command
      ->add_option("ACTION", options->action,
                   "stats: how many, and how large; list: each, the last used first: bytes, last "
                   "use, LLVM, conv; clear: remove them, and nothing else; path: their directory")
      ->required()
      ->check(one_of({"stats", "list", "clear", "path"}));
  command->add_flag("--json", options->json, "print stats and list as json, one object a line");
  set_examples(*command,
               {"convgen cache stats --json", "CONVGEN_CACHE_DIR=kernels convgen cache list"});
  command->callback([&outcome, options] { outcome = run(*options); });
}

}  // namespace convgen::tool
