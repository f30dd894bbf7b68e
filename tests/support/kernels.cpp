// SPDX-License-Identifier: Apache-2.0
#include "tests/support/kernels.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "ir/text.h"
#include "tests/support/isa_levels.h"

namespace convgen::testing {
namespace {

[[noreturn]] void fail(const std::string& what, const Status& status) {
  throw std::runtime_error(
      fmt::format("{}: {}: {}", what, status_code_name(status.code()), status.message()));
}

std::vector<float> draw(int64_t elements, uint64_t seed, Data data) {
  constexpr int kLimit = 4;
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(elements));
  for (float& value : values)
    value = data == Data::kIntegers ? random.nonzero_integer(kLimit) : random.real();
  return values;
}

// What the signal handler prints: it may neither allocate nor lock.
char announced[4096];

void print_announced(int signal_number) {
  if (write(STDERR_FILENO, announced, strlen(announced)) < 0) _exit(1);
  raise(signal_number);  // SA_RESETHAND: ends the process now
}

GuardedBuffer allocate(size_t elements, Flush flush) {
  Result<GuardedBuffer> buffer = GuardedBuffer::create(elements * sizeof(float), flush);
  if (!buffer.ok()) fail("guarded buffer", buffer.status());
  return *std::move(buffer);
}

GuardedBuffer read_only_copy(const std::vector<float>& values, Flush flush) {
  GuardedBuffer buffer = allocate(values.size(), flush);
  std::copy(values.begin(), values.end(), buffer.floats());
  if (!buffer.make_read_only()) throw std::runtime_error("no page may be protected");
  return buffer;
}

}  // namespace

ir::Conv conv_of(const std::string& text) {
  Result<ir::Conv> conv = ir::parse_conv(text);
  if (!conv.ok()) fail(text, conv.status());
  return *std::move(conv);
}

Kernel compile_kernel(const Engine& engine, const ir::Conv& conv, const CompileOptions& options) {
  Result<Kernel> kernel = engine.compile(conv, options);
  if (!kernel.ok()) fail(ir::print_conv(conv) + " | " + options.schedule, kernel.status());
  return *std::move(kernel);
}

Engine make_engine(const std::string& mcpu) {
  Result<Engine> engine = Engine::create({.mcpu = mcpu});
  if (!engine.ok()) fail("engine for '" + mcpu + "'", engine.status());
  return *std::move(engine);
}

std::vector<std::pair<std::string, Engine>> make_engines() {
  std::vector<std::pair<std::string, Engine>> engines;
  for (const IsaLevel& level : kIsaLevels) {
    Result<Engine> engine = Engine::create({.mcpu = level.mcpu});
    if (engine.ok()) engines.emplace_back(level.mcpu, *engine);
  }
  if (engines.empty()) throw std::runtime_error("no engine for any instruction set");
  return engines;
}

ir::TensorInputs HostTensors::inputs() const {
  return {src.data(), weights.data(), bias.data(), add.data(), scale.data()};
}

HostTensors random_tensors(const ir::Conv& conv, uint64_t seed, Data data) {
  HostTensors tensors;
  tensors.src = draw(conv.src_elements(), mix(seed, 0), data);
  tensors.weights = draw(conv.weights_elements(), mix(seed, 1), data);
  if (conv.uses(ir::PostOpKind::kBias)) tensors.bias = draw(conv.oc, mix(seed, 2), data);
  if (conv.uses(ir::PostOpKind::kAdd)) tensors.add = draw(conv.dst_elements(), mix(seed, 3), data);
  if (conv.uses(ir::PostOpKind::kScale)) tensors.scale = draw(conv.oc, mix(seed, 4), data);
  return tensors;
}

std::vector<float> run_kernel(const Kernel& kernel, const HostTensors& tensors,
                              const RunSetup& setup) {
  const auto elements = static_cast<size_t>(kernel.conv().dst_elements());
  const GuardedBuffer src = read_only_copy(tensors.src, setup.flush);
  const GuardedBuffer weights = read_only_copy(tensors.weights, setup.flush);
  const GuardedBuffer bias = read_only_copy(tensors.bias, setup.flush);
  const GuardedBuffer add = read_only_copy(tensors.add, setup.flush);
  const GuardedBuffer scale = read_only_copy(tensors.scale, setup.flush);
  const GuardedBuffer dst_buffer = allocate(setup.dst_behind + elements, setup.flush);
  float* dst = dst_buffer.floats() + setup.dst_behind;
  std::fill_n(dst_buffer.floats(), setup.dst_behind + elements, std::bit_cast<float>(kUnwritten));
  // Scratch may hold anything, a NaN in every float too.
  const size_t scratch_floats = (kernel.scratch_bytes() + 63) / 64 * 16;
  const GuardedBuffer scratch = allocate(scratch_floats, setup.flush);
  std::fill_n(scratch.floats(), scratch_floats, std::bit_cast<float>(kUnwritten));
  if (setup.add_is_dst) std::copy(tensors.add.begin(), tensors.add.end(), dst);

  RunArgs args{.src = src.floats(),
               .bias = bias.floats(),
               .add = setup.add_is_dst ? dst : add.floats(),
               .scale = scale.floats(),
               .dst = dst,
               .scratch = setup.parallel_for == nullptr ? scratch.data() : nullptr};
  Result<PackedWeights> packed = kernel.pack(weights.floats());
  if (!packed.ok()) fail("pack", packed.status());
  args.weights = setup.plain_weights ? weights.floats() : nullptr;
  args.packed = setup.plain_weights ? nullptr : &*packed;
  if (Status status = kernel.run(args, setup.parallel_for); !status.ok()) fail("run", status);
  for (size_t i = kernel.scratch_bytes() / sizeof(float); i < scratch_floats; ++i)
    if (std::bit_cast<uint32_t>(scratch.floats()[i]) != kUnwritten)
      throw std::runtime_error("written behind scratch: " + ir::print_conv(kernel.conv()));
  for (size_t i = 0; i < setup.dst_behind; ++i)
    if (std::bit_cast<uint32_t>(dst_buffer.floats()[i]) != kUnwritten)
      throw std::runtime_error("written before dst: " + ir::print_conv(kernel.conv()));
  return {dst, dst + elements};
}

::testing::AssertionResult matches_interpreter(const ir::Conv& conv, const HostTensors& tensors,
                                               const std::vector<float>& dst, bool exact,
                                               const ir::Summation& summation) {
  const ir::Reference reference = ir::interpret(conv, tensors.inputs(), summation);
  std::string first;
  int64_t wrong = 0;
  for (size_t i = 0; i < dst.size(); ++i) {
    const ir::ReferenceOutput expected{reference.y[i], reference.s[i], reference.tolerance[i], 0};
    if (exact ? dst[i] == reference.y[i] : ir::within_tolerance(dst[i], expected)) continue;
    if (wrong++ == 0)
      first = fmt::format("dst[{}] is {}, expected {} within {}", i, dst[i], reference.y[i],
                          exact ? 0 : reference.tolerance[i]);
  }
  if (wrong == 0 && dst.size() == reference.y.size()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << fmt::format("{} of {} outputs wrong: {}: {}", wrong,
                                                      dst.size(), first, ir::print_conv(conv));
}

::testing::AssertionResult same_bits(const std::vector<float>& expected,
                                     const std::vector<float>& found) {
  if (expected.size() != found.size())
    return ::testing::AssertionFailure()
           << found.size() << " elements, expected " << expected.size();
  for (size_t i = 0; i < expected.size(); ++i)
    if (std::bit_cast<uint32_t>(expected[i]) != std::bit_cast<uint32_t>(found[i]))
      return ::testing::AssertionFailure()
             << fmt::format("element {} is {:a}, expected {:a}", i, found[i], expected[i]);
  return ::testing::AssertionSuccess();
}

std::string Reproducer::text(const ir::Conv& conv) const {
  std::string command = mcpu.empty() ? "" : fmt::format("CONVGEN_MCPU={} ", mcpu);
  command += fmt::format("convgen verify --seed {} --data={}", seed, data);
  if (!engine.empty()) command += " --engine=" + engine;
  if (!schedule.empty()) command += fmt::format(" --schedule='{}'", schedule);
  if (threads > 1) command += fmt::format(" --threads {}", threads);
  return fmt::format("{} '{}'", command, ir::print_conv(conv));
}

void announce_in_case_of_fault(const std::string& command) {
  const std::string line = "\nfaulted in\n  again: " + command + "\n";
  line.copy(announced, sizeof announced - 1);
  announced[std::min(line.size(), sizeof announced - 1)] = '\0';
  struct sigaction action = {};
  action.sa_handler = print_announced;
  action.sa_flags = SA_RESETHAND;
  for (const int signal_number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGPROF})
    sigaction(signal_number, &action, nullptr);
}

}  // namespace convgen::testing
