// SPDX-License-Identifier: Apache-2.0
// The extension convgen._convgen: everything that `import convgen` gives.
#include <nanobind/nanobind.h>

#include "python/bindings.h"
#include "python/errors.h"

NB_MODULE(_convgen, m) {
  using namespace convgen::python;
  // Kernels and engines that are still referred to when the interpreter ends are no mistake.
  nb::set_leak_warnings(false);
  m.doc() = "Convolutions compiled at run time, one at a time.";
  m.attr("__version__") = CONVGEN_VERSION;
  bind_errors(m);
  bind_conv(m);
  bind_kernel(m);
  bind_engine(m);
  bind_functions(m);
  bind_emit(m);
  bind_verify(m);
  bind_explain(m);
}
