// SPDX-License-Identifier: Apache-2.0
#include "codegen/bundle.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "codegen/archive.h"
#include "codegen/compile_module.h"
#include "codegen/emit_bundle_table.h"
#include "codegen/emit_c_interface.h"
#include "codegen/emit_cpu_check.h"
#include "codegen/emit_function.h"
#include "codegen/select_schedule.h"
#include "codegen/target_machines.h"
#include "codegen/x86_features.h"

namespace convgen::codegen {
namespace {

bool is_x86(const Target& target) { return llvm::Triple(target.triple).isX86(); }

// --- Levels ---

struct Level {
  std::string name;
  Target target;
  std::string symbol() const {
    std::string text = name;
    std::ranges::replace_if(
        text, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    return text;
  }
};

int64_t count_instruction_sets(const Target& target) {
  return std::ranges::count_if(x86_features(), [&](const X86Feature& feature) {
    return std::ranges::binary_search(target.features, "+" + std::string(feature.name));
  });
}

Status check_levels(const std::vector<Level>& levels) {
  std::set<std::string> symbols;
  for (const Level& level : levels) {
    if (!symbols.insert(level.symbol()).second)
      return invalid_argument(
          fmt::format("mcpu={}: given twice, expected each level once", level.name));
  }
  const Target& target = levels[0].target;
  if (!llvm::Triple(target.triple).isOSBinFormatELF())
    return unsupported(fmt::format("mtriple={}: bundles are made of elf objects", target.triple));
  if (levels.size() == 1 || is_x86(target)) return Status();
  return unsupported(
      fmt::format("mcpu={}: {} levels found, only those of x86-64 can be told apart "
                  "at run time, expected one",
                  levels[1].name, levels.size()));
}

// Named, since an empty name would mean all that this machine has. triple: empty for the host's.
std::vector<std::string> default_cpus(const std::string& triple) {
  const llvm::Triple wanted(triple.empty() ? llvm::sys::getProcessTriple()
                                           : llvm::Triple::normalize(triple));
  if (wanted.isX86()) return isa_levels();
  return {wanted.isRISCV() ? "generic-rv64" : "generic"};
}

// The best one first.
Result<std::vector<Level>> make_levels(const BundleRequest& request) {
  const std::vector<std::string> cpus =
      request.mcpus.empty() ? default_cpus(request.triple) : request.mcpus;
  std::vector<Level> levels;
  for (const std::string& cpu : cpus) {
    auto target = make_target(request.triple, cpu, request.attrs);
    if (!target) return target.status();
    levels.push_back({cpu, *std::move(target)});
  }
  if (Status status = check_levels(levels); !status.ok()) return status;
  std::ranges::stable_sort(levels, std::ranges::greater(),
                           [](const Level& level) { return count_instruction_sets(level.target); });
  return levels;
}

// What the code runs on that asks which level to run.
Result<Target> baseline_of(const std::vector<Level>& levels) {
  const Target& target = levels[0].target;
  if (!is_x86(target)) return target;
  return make_target(target.triple, "x86-64", "");
}

// --- Jobs ---

// Objects by number, each made by one of several threads.
Result<std::vector<std::string>> run_jobs(const BundleRequest& request, size_t count,
                                          const std::function<Result<std::string>(size_t)>& job) {
  std::vector<Result<std::string>> results(count, internal_error("bundle: not reached"));
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  size_t done = 0;
  const auto work = [&] {
    for (size_t i = next++; i < count && !failed; i = next++) {
      results[i] = job(i);
      if (!results[i].ok()) failed = true;
      const std::lock_guard lock(mutex);
      ++done;
      if (request.progress) request.progress(done, count);
    }
  };
  std::vector<std::thread> threads;
  try {
    while (threads.size() + 1 < std::min(static_cast<size_t>(request.threads), count))
      threads.emplace_back(work);
  } catch (const std::system_error&) {  // fewer threads do it too
  }
  work();
  for (std::thread& thread : threads) thread.join();
  // Jobs begin in order, so all before the first that failed are done.
  std::vector<std::string> objects;
  for (Result<std::string>& result : results) {
    if (!result.ok()) return result.status();
    objects.push_back(*std::move(result));
  }
  return objects;
}

// --- The bundle ---

class Bundler {
 public:
  Bundler(const BundleRequest& request, std::vector<Level> levels, Target baseline)
      : request_(request),
        levels_(std::move(levels)),
        baseline_(std::move(baseline)),
        schedules_(request.functions.size(), std::vector<Schedule>(levels_.size())) {}

  Result<Bundle> make() {
    const size_t kernels = request_.functions.size() * levels_.size();
    auto objects = run_jobs(request_, kernels, [&](size_t i) {
      return compile_kernel(i / levels_.size(), i % levels_.size());
    });
    if (!objects) return objects.status();
    for (size_t i = 0; i < kernels; ++i)
      add_member(fmt::format("{}.{}", request_.functions[i / levels_.size()].name,
                             levels_[i % levels_.size()].name),
                 std::move((*objects)[i]));
    Status status = add_interfaces();
    if (status.ok()) status = add_cpu_check();
    if (status.ok()) status = add_table();
    if (!status.ok()) return status;
    auto archive = write_archive(members_);
    if (!archive) return archive.status();
    return Bundle{*std::move(archive), print_header()};
  }

 private:
  std::string symbol(size_t function, size_t level) const {
    return fmt::format("{}__{}", request_.functions[function].name, levels_[level].symbol());
  }
  void add_member(const std::string& name, std::string object) {
    members_.push_back({name + ".o", std::move(object)});
  }

  Result<std::string> compile_kernel(size_t f, size_t l) {
    const CFunction& function = request_.functions[f];
    const Target& target = levels_[l].target;
    const ConstantWeights* constants = function.constant_weights();
    schedules_[f][l] = select_schedule(function.conv, target, /*threads=*/1, constants).schedule;
    const Status status = check_schedule(schedules_[f][l], function.conv, target, constants);
    if (!status.ok()) return Status(status.code(), function.name + ": " + status.message());
    llvm::LLVMContext context;
    context.setDiscardValueNames(true);
    auto module = make_module(context, target);
    emit_level(*module, function, schedules_[f][l], target, symbol(f, l));
    return compile_object(*module, target);
  }

  Result<std::string> compile_object(llvm::Module& module, const Target& target) {
    CpuStopwatch watch;
    CompileTimes times;
    return compile_module(Stage::kObject, module, target, &machines_, watch, times);
  }

  // One more object, for any CPU of the kind, filled by `emit`.
  Status add_object(const std::string& name, llvm::function_ref<void(llvm::Module&)> emit) {
    llvm::LLVMContext context;
    context.setDiscardValueNames(true);
    auto module = make_module(context, baseline_);
    emit(*module);
    auto object = compile_object(*module, baseline_);
    if (!object) return object.status();
    add_member(name, *std::move(object));
    return Status();
  }

  llvm::SmallVector<LevelCode, 4> declare_levels(llvm::Module& module, size_t f) {
    llvm::SmallVector<LevelCode, 4> levels;
    for (size_t l = 0; l < levels_.size(); ++l)
      levels.push_back(
          declare_level(module, request_.functions[f], schedules_[f][l], symbol(f, l)));
    return levels;
  }

  Status add_interfaces() {
    for (size_t f = 0; f < request_.functions.size(); ++f) {
      const CFunction& function = request_.functions[f];
      const Status status = add_object(function.name, [&](llvm::Module& module) {
        emit_c_interface(module, baseline_, function, declare_levels(module, f),
                         declare_cpu_check(module, request_.name));
      });
      if (!status.ok()) return status;
    }
    return Status();
  }

  Status add_cpu_check() {
    std::vector<Target> targets;
    std::vector<std::string> names;
    for (const Level& level : levels_) {
      targets.push_back(level.target);
      names.push_back(level.name);
    }
    return add_object(request_.name + ".level", [&](llvm::Module& module) {
      emit_cpu_check(module, baseline_, request_.name, targets, names);
    });
  }

  Status add_table() {
    return add_object(request_.name + ".bundle", [&](llvm::Module& module) {
      std::vector<BundleRow> rows;
      for (size_t f = 0; f < request_.functions.size(); ++f) {
        const auto codes = declare_levels(module, f);
        for (size_t l = 0; l < levels_.size(); ++l)
          rows.push_back({&request_.functions[f], &schedules_[f][l], levels_[l].name,
                          levels_[l].target.key(), codes[l]});
      }
      emit_bundle_table(module, request_.name, rows, levels_.size());
    });
  }

  std::string print_header() const {
    std::vector<KernelSizes> most;
    for (size_t f = 0; f < request_.functions.size(); ++f) {
      std::vector<KernelSizes> sizes;
      for (const Schedule& schedule : schedules_[f])
        sizes.push_back(kernel_sizes(request_.functions[f], schedule));
      most.push_back(largest(sizes));
    }
    std::vector<std::string> names;
    for (const Level& level : levels_) names.push_back(level.name);
    return print_c_header({request_.name, request_.name,
                           fmt::format("{}: {}", levels_[0].target.triple, fmt::join(names, ", ")),
                           request_.functions, most});
  }

  const BundleRequest& request_;
  const std::vector<Level> levels_;
  const Target baseline_;
  std::vector<std::vector<Schedule>> schedules_;  // [function][level]
  std::vector<ArchiveMember> members_;
  TargetMachines machines_;
};

}  // namespace

Result<Bundle> make_bundle(const BundleRequest& request) {
  if (request.functions.empty()) return invalid_argument("bundle: no convolution, expected some");
  if (Status status = check_c_identifier("name", request.name); !status.ok()) return status;
  for (const CFunction& function : request.functions)
    if (Status status = check_c_identifier("name", function.name); !status.ok()) return status;
  if (Status status = check_distinct(request.functions, request.name); !status.ok()) return status;
  auto levels = make_levels(request);
  if (!levels) return levels.status();
  auto baseline = baseline_of(*levels);
  if (!baseline) return baseline.status();
  return Bundler(request, *std::move(levels), *std::move(baseline)).make();
}

}  // namespace convgen::codegen
