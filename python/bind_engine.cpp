// SPDX-License-Identifier: Apache-2.0
// convgen.Engine: from convolutions to kernels. Compiles with the GIL released.
#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "python/bindings.h"
#include "python/errors.h"
#include "python/threads.h"

namespace convgen::python {
namespace {

// The value of the word that `found` is.
template <typename Enum>
Enum read_choice(const char* name, const std::string& found,
                 std::initializer_list<std::pair<std::string_view, Enum>> choices) {
  std::string expected;
  for (const auto& [word, value] : choices) {
    if (word == found) return value;
    expected += fmt::format("{}'{}'", expected.empty() ? "" : ", ", word);
  }
  raise(invalid_argument(fmt::format("{}: '{}' found, expected one of {}", name, found, expected)));
}

CompileOptions read_compile_options(const std::string& engine, const std::string& schedule,
                                    nb::handle threads, const std::string& mode, double deadline) {
  constexpr double kLongest = 1e9;
  CompileOptions options;
  options.engine = read_choice<EngineKind>(
      "engine", engine, {{"jit", EngineKind::kJit}, {"generic", EngineKind::kGeneric}});
  options.schedule = schedule;
  options.threads = read_threads(threads);
  options.mode = read_choice<CompileMode>("mode", mode,
                                          {{"blocking", CompileMode::kBlocking},
                                           {"generic_first", CompileMode::kGenericFirst},
                                           {"never", CompileMode::kNever}});
  if (!(deadline >= 0))
    raise(invalid_argument(fmt::format("deadline: {} found, expected seconds", deadline)));
  options.deadline =
      std::chrono::milliseconds(static_cast<int64_t>(std::min(deadline, kLongest) * 1e3));
  return options;
}

PythonKernel compile(const PythonEngine& self, nb::handle conv_or_text, nb::handle constant_weights,
                     bool assume_finite, const std::string& engine, const std::string& schedule,
                     nb::handle threads, const std::string& mode, double deadline) {
  const ir::Conv conv = read_conv(conv_or_text);
  const CompileOptions options = read_compile_options(engine, schedule, threads, mode, deadline);
  const auto constants = read_constant_weights(constant_weights, conv, assume_finite);
  auto kernel = without_gil([&] {
    return constants ? self.engine.compile(conv, *constants, options)
                     : self.engine.compile(conv, options);
  });
  return {unwrap(std::move(kernel)), options.threads};
}

nb::list prepare(const PythonEngine& self, nb::handle convs_or_texts, nb::handle threads,
                 int compile_threads) {
  std::vector<ir::Conv> convs;
  for (nb::handle conv : convs_or_texts) convs.push_back(read_conv(conv));
  PrepareOptions options;
  options.threads = std::min(compile_threads, available_threads());
  options.compile.threads = read_threads(threads);
  auto results = without_gil([&] { return self.engine.prepare(convs, options); });
  nb::list kernels;
  for (Result<Kernel>& result : results) {
    if (result.ok())
      kernels.append(nb::cast(PythonKernel(*std::move(result), options.compile.threads)));
    else
      kernels.append(make_error(result.status()));
  }
  return kernels;
}

PythonEngine create(const EngineOptions& options) {
  return {unwrap(without_gil([&] { return Engine::create(options); })), options.mcpu};
}

void bind_stats(nb::module_& m) {
  nb::class_<EngineStats>(m, "EngineStats", "What an engine's cache holds and did.")
      .def_ro("hits", &EngineStats::hits)
      .def_ro("misses", &EngineStats::misses)
      .def_ro("evictions", &EngineStats::evictions)
      .def_ro("kernels", &EngineStats::kernels)
      .def_ro("bytes", &EngineStats::bytes)
      .def_ro("store_hits", &EngineStats::store_hits)
      .def_ro("compiles", &EngineStats::compiles)
      .def_ro("compile_seconds", &EngineStats::compile_seconds)
      .def("__repr__", [](const EngineStats& s) {
        return fmt::format(
            "EngineStats(hits={}, misses={}, evictions={}, kernels={}, bytes={}, store_hits={}, "
            "compiles={}, compile_seconds={:.6f})",
            s.hits, s.misses, s.evictions, s.kernels, s.bytes, s.store_hits, s.compiles,
            s.compile_seconds);
      });
}

void bind_create(nb::class_<PythonEngine>& engine) {
  engine.def(
      "__init__",
      [](PythonEngine* self, const std::string& mcpu, bool verify, const std::string& tuning_file,
         bool use_tuning, std::optional<std::string> cache_dir,
         std::optional<uint64_t> cache_max_bytes, size_t memory_max_bytes,
         const std::string& jit_profile) {
        new (self)
            PythonEngine(create({.mcpu = mcpu,
                                 .verify = verify ? VerifyMode::kFirstUse : VerifyMode::kNever,
                                 .tuning_file = tuning_file,
                                 .use_tuning = use_tuning,
                                 .cache_dir = std::move(cache_dir),
                                 .cache_max_bytes = cache_max_bytes,
                                 .memory_max_bytes = memory_max_bytes,
                                 .jit_profile = jit_profile}));
      },
      nb::kw_only(), nb::arg("mcpu") = "", nb::arg("verify") = false, nb::arg("tuning_file") = "",
      nb::arg("use_tuning") = true, nb::arg("cache_dir") = nb::none(),
      nb::arg("cache_max_bytes") = nb::none(), nb::arg("memory_max_bytes") = size_t{256} << 20,
      nb::arg("jit_profile") = "",
      "cache_dir: where compiled objects are kept between processes; '' for nowhere, None for "
      "the default directory. The other words are those of EngineOptions in C++.");
}

void bind_compile(nb::class_<PythonEngine>& engine) {
  engine
      .def("compile", compile, nb::arg("conv"), nb::kw_only(),
           nb::arg("constant_weights") = nb::none(), nb::arg("assume_finite") = false,
           nb::arg("engine") = "jit", nb::arg("schedule") = "", nb::arg("threads") = 1,
           nb::arg("mode") = "blocking", nb::arg("deadline") = 0.0,
           nb::sig("def compile(self, conv: Conv | str, *, constant_weights: Array | None = None, "
                   "assume_finite: bool = False, engine: str = 'jit', schedule: str = '', threads: "
                   "int = 1, mode: str = 'blocking', deadline: float = 0.0) -> Kernel"),
           "The kernel of conv, from the cache or compiled now. mode='generic_first' returns after "
           "deadline seconds with a kernel that turns into machine code later, 'never' with one "
           "that does not.")
      .def("prepare", prepare, nb::arg("convs"), nb::kw_only(), nb::arg("threads") = 1,
           nb::arg("compile_threads") = 0,
           nb::sig("def prepare(self, convs: Iterable[Conv | str], *, threads: int = 1, "
                   "compile_threads: int = 0) -> list[Kernel | Error]"),
           "Compiles what is not there yet, on several threads. Each kernel, or the error that "
           "says why there is none, in the order of convs.");
}

}  // namespace

PythonEngine& default_engine() {
  static PythonEngine* engine = nullptr;  // the GIL guards it; two threads may both make one
  if (engine == nullptr) {
    auto made = std::make_unique<PythonEngine>(create({}));
    if (engine == nullptr) engine = made.release();
  }
  return *engine;
}

std::string resolve_mcpu(const std::string& mcpu) {
  const char* variable = std::getenv("CONVGEN_MCPU");
  return !mcpu.empty() || variable == nullptr ? mcpu : variable;
}

std::optional<ConstantWeights> read_constant_weights(nb::handle weights, const ir::Conv& conv,
                                                     bool assume_finite) {
  if (weights.is_none()) return std::nullopt;
  const Tensor tensor(weights, "constant_weights");
  expect_dense(tensor, conv.weights_dims(), layout_word(conv.weights_layout, conv.spatial_rank));
  ConstantWeights constants;
  constants.values.assign(tensor.data(), tensor.data() + conv.weights_elements());
  constants.assume_finite = assume_finite;
  return constants;
}

void bind_engine(nb::module_& m) {
  bind_stats(m);
  nb::class_<PythonEngine> engine(m, "Engine",
                                  "Compiles convolutions and remembers their kernels. Thread-safe; "
                                  "several live in one process and share nothing.");
  bind_create(engine);
  bind_compile(engine);
  engine
      .def(
          "clear_cache", [](const PythonEngine& e) { e.engine.clear_cache(); },
          "Forgets all kernels; those in use live on.")
      .def("stats", [](const PythonEngine& e) { return e.engine.stats(); })
      .def_prop_ro("target", [](const PythonEngine& e) { return e.engine.target_description(); })
      .def_prop_ro(
          "store_error",
          [](const PythonEngine& e) { return message_or_none(e.engine.store_status()); },
          nb::sig("def store_error(self) -> str | None"),
          "The first trouble with the cache directory, or None.");
  m.def("default_engine", default_engine, nb::rv_policy::reference,
        "The engine behind conv2d and its like; its options come from the environment.");
}

}  // namespace convgen::python
