// SPDX-License-Identifier: Apache-2.0
// convgen.verify: a kernel against the interpreter.
#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include "python/bindings.h"
#include "python/errors.h"
#include "python/threads.h"
#include "runtime/verify.h"

namespace convgen::python {
namespace {

VerifyData read_data(const std::string& data) {
  if (data == "auto") return VerifyData::kAuto;
  if (data == "integers") return VerifyData::kIntegers;
  if (data == "reals") return VerifyData::kReals;
  raise(invalid_argument(
      fmt::format("data: '{}' found, expected 'auto', 'integers' or 'reals'", data)));
}

// A Kernel, or what the default engine makes of a convolution.
Result<Kernel> kernel_of(nb::handle kernel_or_conv) {
  if (const auto* made = find_instance<PythonKernel>(kernel_or_conv)) return made->kernel;
  const ir::Conv conv = read_conv(kernel_or_conv);
  const Engine& engine = default_engine().engine;
  return without_gil([&] { return engine.compile(conv); });
}

VerifyReport verify(nb::handle kernel_or_conv, uint64_t seed, const std::string& data,
                    double max_multiply_adds, nb::handle threads) {
  VerifyOptions options{
      .seed = seed, .data = read_data(data), .max_multiply_adds = max_multiply_adds};
  const PoolLease pool(read_threads(threads));
  options.parallel_for = pool.parallel_for();
  const Kernel kernel = unwrap(kernel_of(kernel_or_conv));
  return unwrap(without_gil([&] { return verify_kernel(kernel, options); }));
}

}  // namespace

void bind_verify(nb::module_& m) {
  nb::class_<VerifyReport>(m, "VerifyReport", "What a check found; true where it passed.")
      .def_ro("passed", &VerifyReport::pass)
      .def_ro("max_error", &VerifyReport::max_error)
      .def_ro("bound", &VerifyReport::bound)
      .def_ro("worst_ratio", &VerifyReport::worst_ratio)
      .def_ro("checked_outputs", &VerifyReport::checked_outputs)
      .def_ro("bit_exact", &VerifyReport::bit_exact)
      .def_ro("failure", &VerifyReport::failure)
      .def("__bool__", [](const VerifyReport& r) { return r.pass; })
      .def("__repr__", [](const VerifyReport& r) {
        return fmt::format(
            "VerifyReport(passed={}, max_error={:.3g}, bound={:.3g}, "
            "checked_outputs={}, failure='{}')",
            r.pass ? "True" : "False", r.max_error, r.bound, r.checked_outputs, r.failure);
      });
  m.def("verify", verify, nb::arg("kernel"), nb::kw_only(), nb::arg("seed") = 1,
        nb::arg("data") = "auto", nb::arg("max_multiply_adds") = 3e8, nb::arg("threads") = 1,
        nb::sig("def verify(kernel: Kernel | Conv | str, *, seed: int = 1, data: str = 'auto', "
                "max_multiply_adds: float = 3e8, threads: int = 1) -> VerifyReport"),
        "Checks a kernel against the interpreter on random tensors, between unreadable pages.");
}

}  // namespace convgen::python
