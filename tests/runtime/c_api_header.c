// SPDX-License-Identifier: Apache-2.0
// convgen.h alone, as C11, C++11 and C++20: compiled with every warning an error, never run.
#include "runtime/convgen.h"

// The initializers too.
void convgen_test_header(void);
void convgen_test_header(void) {
  const convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
  const convgen_conv_info conv_info = CONVGEN_CONV_INFO_INIT;
  const convgen_engine_options engine_options = CONVGEN_ENGINE_OPTIONS_INIT;
  const convgen_compile_options compile_options = CONVGEN_COMPILE_OPTIONS_INIT;
  const convgen_prepare_options prepare_options = CONVGEN_PREPARE_OPTIONS_INIT;
  const convgen_engine_stats stats = CONVGEN_ENGINE_STATS_INIT;
  const convgen_packed_weights_info packed_info = CONVGEN_PACKED_WEIGHTS_INFO_INIT;
  const convgen_kernel_info kernel_info = CONVGEN_KERNEL_INFO_INIT;
  const convgen_run_args args = CONVGEN_RUN_ARGS_INIT;
  const convgen_verify_options verify_options = CONVGEN_VERIFY_OPTIONS_INIT;
  const convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
  const convgen_tune_options tune_options = CONVGEN_TUNE_OPTIONS_INIT;
  const convgen_tune_info tune_info = CONVGEN_TUNE_INFO_INIT;
  (void)spec, (void)conv_info, (void)engine_options, (void)compile_options, (void)prepare_options;
  (void)stats, (void)packed_info, (void)kernel_info, (void)args, (void)verify_options;
  (void)report, (void)tune_options, (void)tune_info;
}
