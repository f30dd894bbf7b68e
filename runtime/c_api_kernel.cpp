// SPDX-License-Identifier: Apache-2.0
// Kernels of the C interface: what they are, packing, running, checking; thread pools.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "runtime/c_api_support.h"
#include "runtime/verify.h"

namespace convgen::c_api {
namespace {

constexpr uintptr_t kScratchAlignment = 64;

const std::string& signature_of(const convgen_kernel& handle) {
  std::call_once(handle.once, [&] { handle.signature = handle.kernel.signature(); });
  return handle.signature;
}

void fill_stats(const CompileStats& stats, convgen_kernel_info& info) {
  info.code_bytes = stats.code_bytes;
  info.select_ms = stats.select_ms;
  info.emit_ms = stats.emit_ms;
  info.passes_ms = stats.passes_ms;
  info.codegen_ms = stats.codegen_ms;
  info.link_ms = stats.link_ms;
  info.total_ms = stats.total_ms;
  info.from_store = stats.from_store;
}

convgen_kernel_info info_once(const convgen_kernel& handle) {
  const Kernel& kernel = handle.kernel;
  convgen_kernel_info info = CONVGEN_KERNEL_INFO_INIT;
  info.pending = kernel.is_pending();
  info.engine_name = kernel.engine_name().c_str();
  info.schedule = kernel.schedule().c_str();
  info.signature = signature_of(handle).c_str();
  info.packed_tag = kernel.packed_tag().c_str();
  info.tasks = kernel.tasks();
  info.scratch_bytes = kernel.scratch_bytes();
  info.memory_bytes = kernel.memory_bytes();
  info.constant = kernel.constant_weights() != nullptr;
  info.winograd_tile = kernel.summation().winograd_tile;
  fill_stats(kernel.compile_stats(), info);
  return info;
}

// A kernel may turn into machine code between two of the questions, once.
convgen_kernel_info info_of(const convgen_kernel& handle) {
  const convgen_kernel_info info = info_once(handle);
  return info.engine_name == handle.kernel.engine_name().c_str() ? info : info_once(handle);
}

convgen_packed_weights_info info_of(const PackedWeights& packed) {
  convgen_packed_weights_info info = CONVGEN_PACKED_WEIGHTS_INFO_INIT;
  info.tag = packed.tag().c_str();
  info.data = packed.data();
  info.size_bytes = packed.size_bytes();
  return info;
}

// `run` of chosen stays null where the calling thread works alone.
Status choose_threads(const convgen_parallel_for* own, convgen_thread_pool* pool,
                      ParallelFor& chosen) {
  if (own == nullptr && pool == nullptr) return Status();
  if (own != nullptr && pool != nullptr)
    return invalid_argument("pool: give either parallel_for or pool");
  if (own != nullptr && own->run == nullptr) return missing("parallel_for.run");
  chosen = own != nullptr ? ParallelFor{own->pool, own->run} : pool->pool.parallel_for();
  return Status();
}

const ParallelFor* null_if_none(const ParallelFor& threads) {
  return threads.run == nullptr ? nullptr : &threads;
}

Status run_whole(const Kernel& kernel, const convgen_run_args& args) {
  if (reinterpret_cast<uintptr_t>(args.scratch) % kScratchAlignment != 0)
    return invalid_argument(
        fmt::format("scratch: {} found, must be aligned to 64 bytes", args.scratch));
  ParallelFor threads;
  if (Status status = choose_threads(args.parallel_for, args.pool, threads); !status.ok())
    return status;
  return kernel.run({.src = args.src,
                     .weights = args.weights,
                     .packed = args.packed == nullptr ? nullptr : &args.packed->packed,
                     .bias = args.bias,
                     .add = args.add,
                     .scale = args.scale,
                     .dst = args.dst,
                     .scratch = args.scratch},
                    null_if_none(threads));
}

Status run(const Kernel& kernel, const convgen_run_args& given) {
  if (given.size == sizeof(given)) return run_whole(kernel, given);  // nanoseconds count
  convgen_run_args args = CONVGEN_RUN_ARGS_INIT;
  if (Status status = read_struct(&given, "args", args); !status.ok()) return status;
  return run_whole(kernel, args);
}

Result<VerifyReport> verify(const Kernel& kernel, const convgen_verify_options* options) {
  convgen_verify_options said = CONVGEN_VERIFY_OPTIONS_INIT;
  Status status = read_struct(options, "options", said);
  if (status.ok()) status = check_choice("options.data", said.data, 3);
  ParallelFor threads;
  if (status.ok()) status = choose_threads(said.parallel_for, said.pool, threads);
  if (!status.ok()) return status;
  constexpr VerifyData kData[] = {VerifyData::kAuto, VerifyData::kIntegers, VerifyData::kReals};
  return verify_kernel(kernel, {.seed = said.seed,
                                .data = kData[said.data],
                                .max_multiply_adds = said.max_multiply_adds,
                                .parallel_for = null_if_none(threads)});
}

convgen_verify_report to_c(const VerifyReport& report) {
  convgen_verify_report c = CONVGEN_VERIFY_REPORT_INIT;
  c.max_error = report.max_error;
  c.bound = report.bound;
  c.worst_ratio = report.worst_ratio;
  c.nonzero_share = report.nonzero_share;
  c.checked_outputs = report.checked_outputs;
  c.pass = report.pass;
  c.bit_exact = report.bit_exact;
  report.failure.copy(c.failure, sizeof(c.failure) - 1);
  return c;
}

}  // namespace
}  // namespace convgen::c_api

using namespace convgen;
using namespace convgen::c_api;

convgen_status convgen_kernel_copy(const convgen_kernel* kernel, convgen_kernel** copy) noexcept {
  clear(copy);
  return guarded({{kernel, "kernel"}, {copy, "copy"}}, [&] {
    *copy = new convgen_kernel{kernel->kernel};
    return Status();
  });
}

void convgen_kernel_free(convgen_kernel* kernel) noexcept { delete kernel; }

convgen_status convgen_kernel_conv(const convgen_kernel* kernel, convgen_conv** conv) noexcept {
  clear(conv);
  return guarded({{kernel, "kernel"}, {conv, "conv"}}, [&] {
    *conv = new_conv(kernel->kernel.conv());
    return Status();
  });
}

convgen_status convgen_kernel_get_info(const convgen_kernel* kernel,
                                       convgen_kernel_info* info) noexcept {
  return guarded({{kernel, "kernel"}, {info, "info"}},
                 [&] { return write_struct(info_of(*kernel), "info", info); });
}

convgen_status convgen_kernel_wait(const convgen_kernel* kernel, int64_t timeout_ns,
                                   int32_t* decided) noexcept {
  return guarded({{kernel, "kernel"}, {decided, "decided"}}, [&] {
    if (Status status = check_at_least("timeout_ns", timeout_ns, 0); !status.ok()) return status;
    *decided = kernel->kernel.wait_for(std::chrono::nanoseconds(timeout_ns));
    return Status();
  });
}

convgen_status convgen_kernel_compile_status(const convgen_kernel* kernel) noexcept {
  return guarded({{kernel, "kernel"}}, [&] { return kernel->kernel.compile_status(); });
}

convgen_status convgen_kernel_pack(const convgen_kernel* kernel, const float* weights,
                                   convgen_packed_weights** packed) noexcept {
  clear(packed);
  return guarded({{kernel, "kernel"}, {weights, "weights"}, {packed, "packed"}},
                 [&] { return hand_out(kernel->kernel.pack(weights), packed); });
}

convgen_status convgen_packed_weights_get_info(const convgen_packed_weights* packed,
                                               convgen_packed_weights_info* info) noexcept {
  return guarded({{packed, "packed"}, {info, "info"}},
                 [&] { return write_struct(info_of(packed->packed), "info", info); });
}

void convgen_packed_weights_free(convgen_packed_weights* packed) noexcept { delete packed; }

convgen_status convgen_kernel_run(const convgen_kernel* kernel,
                                  const convgen_run_args* args) noexcept {
  return guarded({{kernel, "kernel"}, {args, "args"}}, [&] { return run(kernel->kernel, *args); });
}

convgen_status convgen_kernel_verify(const convgen_kernel* kernel,
                                     const convgen_verify_options* options,
                                     convgen_verify_report* report) noexcept {
  return guarded({{kernel, "kernel"}, {report, "report"}}, [&] {
    // Before the work, not after it.
    if (Status status = write_struct(*report, "report", report); !status.ok()) return status;
    const auto verdict = verify(kernel->kernel, options);
    if (!verdict.ok()) return verdict.status();
    return write_struct(to_c(*verdict), "report", report);
  });
}

convgen_status convgen_thread_pool_create(int32_t threads, convgen_thread_pool** pool) noexcept {
  clear(pool);
  return guarded({{pool, "pool"}}, [&] {
    if (Status status = check_at_least("threads", threads, 1); !status.ok()) return status;
    *pool = new convgen_thread_pool{ThreadPool(threads)};
    return Status();
  });
}

convgen_status convgen_thread_pool_threads(const convgen_thread_pool* pool,
                                           int32_t* threads) noexcept {
  return guarded({{pool, "pool"}, {threads, "threads"}}, [&] {
    *threads = pool->pool.threads();
    return Status();
  });
}

void convgen_thread_pool_free(convgen_thread_pool* pool) noexcept { delete pool; }
