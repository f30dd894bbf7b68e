// SPDX-License-Identifier: Apache-2.0
// A C11 program that calls every function of convgen.h (tests/runtime/check_c_symbols.cmake counts)
// and checks what it gets. c_api_program TUNING_FILE: a file that it may write.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/convgen.h"

// Leaves with the line and convgen's message where the condition does not hold.
#define CHECK(condition)                                                                         \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, convgen_last_error()); \
      exit(1);                                                                                   \
    }                                                                                            \
  } while (0)
#define CHECK_OK(call) CHECK((call) == CONVGEN_OK)

enum { kSrc = 6 * 7 * 2, kWeights = 3 * 3 * 2 * 4, kDst = 6 * 7 * 4, kChannels = 4 };

static const char* const kText =
    "conv2d src=f32:nhwc:1x6x7x2 weights=f32:hwio:3x3x2x4 pads=1x1 post=bias,add,scale,relu";

typedef struct {
  float src[kSrc], weights[kWeights], bias[kChannels], add[kDst], scale[kChannels];
} tensors;

static tensors make_tensors(void) {
  tensors t;
  for (int i = 0; i < kSrc; ++i) t.src[i] = (float)(i % 7) - 3;
  for (int i = 0; i < kWeights; ++i) t.weights[i] = (float)(i % 5) - 1;
  for (int i = 0; i < kDst; ++i) t.add[i] = (float)(i % 3);
  for (int i = 0; i < kChannels; ++i) t.bias[i] = (float)i, t.scale[i] = (float)(i % 2) + 1;
  return t;
}

static convgen_run_args args_of(const tensors* t, float* dst) {
  convgen_run_args args = CONVGEN_RUN_ARGS_INIT;
  args.src = t->src;
  args.weights = t->weights;
  args.bias = t->bias;
  args.add = t->add;
  args.scale = t->scale;
  args.dst = dst;
  return args;
}

// The definition, in C. All numbers are small integers: every bit is known.
static void compute(const tensors* t, float* dst) {
  for (int oh = 0; oh < 6; ++oh)
    for (int ow = 0; ow < 7; ++ow)
      for (int oc = 0; oc < kChannels; ++oc) {
        float sum = 0;
        for (int kh = 0; kh < 3; ++kh)
          for (int kw = 0; kw < 3; ++kw)
            for (int ic = 0; ic < 2; ++ic) {
              const int ih = oh + kh - 1, iw = ow + kw - 1;
              if (ih < 0 || ih >= 6 || iw < 0 || iw >= 7) continue;
              sum += t->src[(ih * 7 + iw) * 2 + ic] *
                     t->weights[((kh * 3 + kw) * 2 + ic) * kChannels + oc];
            }
        const int i = (oh * 7 + ow) * kChannels + oc;
        dst[i] = fmaxf((sum + t->bias[oc] + t->add[i]) * t->scale[oc], 0);
      }
}

static void check_library(void) {
  CHECK(convgen_abi_version() == CONVGEN_ABI_VERSION);
  CHECK(strlen(convgen_version()) > 0);
  CHECK(strcmp(convgen_status_name(CONVGEN_IO_ERROR), "io_error") == 0);
  CHECK(strcmp(convgen_status_name(99), "unknown") == 0);
  CHECK(strcmp(convgen_last_error(), "") == 0);
}

static void check_conv(void) {
  convgen_conv *parsed = NULL, *made = NULL;
  CHECK_OK(convgen_conv_parse(kText, &parsed));
  convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
  const int64_t src[] = {1, 6, 7, 2}, weights[] = {3, 3, 2, 4};
  memcpy(spec.src_dims, src, sizeof src);
  memcpy(spec.weights_dims, weights, sizeof weights);
  spec.src_layout = "nhwc";
  spec.weights_layout = "hwio";
  spec.pads = CONVGEN_PADS_SAME;
  spec.post = "bias,add,scale,relu";
  CHECK_OK(convgen_conv_create(&spec, &made));
  convgen_conv_info a = CONVGEN_CONV_INFO_INIT, b = CONVGEN_CONV_INFO_INIT;
  CHECK_OK(convgen_conv_get_info(parsed, &a));
  CHECK_OK(convgen_conv_get_info(made, &b));
  CHECK(strcmp(a.text, kText) == 0 && strcmp(a.text, b.text) == 0);
  CHECK(a.dst_elements == kDst && a.dst_dims[3] == kChannels && a.pads_begin[1] == 1);
  CHECK(a.uses_bias && a.uses_add && a.uses_scale && !a.strict);
  convgen_conv_free(parsed);
  convgen_conv_free(made);
}

static convgen_engine* make_engine(const char* tuning_file) {
  convgen_engine_options options = CONVGEN_ENGINE_OPTIONS_INIT;
  options.cache_dir = "";
  options.use_tuning = tuning_file != NULL;
  options.tuning_file = tuning_file;
  convgen_engine* engine = NULL;
  CHECK_OK(convgen_engine_create(CONVGEN_ABI_VERSION, &options, &engine));
  return engine;
}

static convgen_kernel* compile(const convgen_engine* engine, const char* text) {
  convgen_kernel* kernel = NULL;
  CHECK_OK(convgen_engine_compile_text(engine, text, NULL, &kernel));
  return kernel;
}

// An application's own way to share work out: here, one range after the other.
static void run_in_halves(void* pool, int64_t tasks, convgen_task_function body, void* context) {
  *(int*)pool += 1;
  body(context, tasks / 2, tasks);
  if (tasks / 2 > 0) body(context, 0, tasks / 2);
}

static void check_run(const convgen_kernel* kernel) {
  const tensors t = make_tensors();
  float expected[kDst], dst[kDst];
  compute(&t, expected);
  convgen_run_args args = args_of(&t, dst);
  CHECK_OK(convgen_kernel_run(kernel, &args));
  CHECK(memcmp(dst, expected, sizeof dst) == 0);

  convgen_packed_weights* packed = NULL;
  CHECK_OK(convgen_kernel_pack(kernel, t.weights, &packed));
  convgen_packed_weights_info info = CONVGEN_PACKED_WEIGHTS_INFO_INIT;
  CHECK_OK(convgen_packed_weights_get_info(packed, &info));
  CHECK(info.size_bytes >= sizeof t.weights && (uintptr_t)info.data % 64 == 0);
  args.weights = NULL;
  args.packed = packed;

  convgen_thread_pool* pool = NULL;
  int32_t threads = 0;
  CHECK_OK(convgen_thread_pool_create(2, &pool));
  CHECK_OK(convgen_thread_pool_threads(pool, &threads));
  CHECK(threads == 2);
  args.pool = pool;
  memset(dst, 0, sizeof dst);
  CHECK_OK(convgen_kernel_run(kernel, &args));
  CHECK(memcmp(dst, expected, sizeof dst) == 0);
  args.pool = NULL;
  convgen_thread_pool_free(pool);

  int calls = 0;
  const convgen_parallel_for own = {&calls, run_in_halves};
  args.parallel_for = &own;
  memset(dst, 0, sizeof dst);
  CHECK_OK(convgen_kernel_run(kernel, &args));
  CHECK(memcmp(dst, expected, sizeof dst) == 0);
  convgen_packed_weights_free(packed);
}

static void check_kernel(const convgen_kernel* kernel) {
  convgen_kernel_info info = CONVGEN_KERNEL_INFO_INIT;
  CHECK_OK(convgen_kernel_get_info(kernel, &info));
  CHECK(strcmp(info.signature, kText) == 0 && !info.pending && info.tasks > 0);
  CHECK_OK(convgen_kernel_compile_status(kernel));
  int32_t decided = 0;
  CHECK_OK(convgen_kernel_wait(kernel, 0, &decided));
  CHECK(decided == 1);
  convgen_conv* conv = NULL;
  convgen_conv_info conv_info = CONVGEN_CONV_INFO_INIT;
  CHECK_OK(convgen_kernel_conv(kernel, &conv));
  CHECK_OK(convgen_conv_get_info(conv, &conv_info));
  CHECK(strcmp(conv_info.text, kText) == 0);
  convgen_conv_free(conv);
  convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
  CHECK_OK(convgen_kernel_verify(kernel, NULL, &report));
  CHECK(report.pass && report.checked_outputs == kDst);
}

static void check_constant_weights(const convgen_engine* engine) {
  const tensors t = make_tensors();
  float expected[kDst], dst[kDst];
  compute(&t, expected);
  convgen_conv* conv = NULL;
  convgen_kernel* kernel = NULL;
  CHECK_OK(convgen_conv_parse(kText, &conv));
  CHECK_OK(convgen_engine_compile_constant(engine, conv, t.weights, kWeights, 1, NULL, &kernel));
  convgen_run_args args = args_of(&t, dst);
  args.weights = NULL;
  CHECK_OK(convgen_kernel_run(kernel, &args));
  CHECK(memcmp(dst, expected, sizeof dst) == 0);
  convgen_kernel_free(kernel);
  convgen_conv_free(conv);
}

static void count_progress(void* context, size_t done, size_t all) {
  *(size_t*)context += done <= all;
}

static void check_prepare(const convgen_engine* engine) {
  convgen_conv* convs[2] = {NULL, NULL};
  convgen_kernel *kernels[2], *compiled = NULL;
  convgen_status statuses[2];
  CHECK_OK(convgen_conv_parse("conv1d src=f32:nwc:1x9x3 weights=f32:wio:3x3x4", &convs[0]));
  CHECK_OK(convgen_conv_parse("mb1ic3ih8oc4oh6kh3", &convs[1]));
  convgen_prepare_options options = CONVGEN_PREPARE_OPTIONS_INIT;
  size_t calls = 0;
  options.progress = count_progress;
  options.context = &calls;
  CHECK_OK(convgen_engine_prepare(engine, (const convgen_conv* const*)convs, 2, &options, kernels,
                                  statuses));
  CHECK(calls == 2 && statuses[0] == CONVGEN_OK && statuses[1] == CONVGEN_OK);
  convgen_engine_stats before = CONVGEN_ENGINE_STATS_INIT, after = CONVGEN_ENGINE_STATS_INIT;
  CHECK_OK(convgen_engine_get_stats(engine, &before));
  CHECK_OK(convgen_engine_compile(engine, convs[1], NULL, &compiled));
  CHECK_OK(convgen_engine_get_stats(engine, &after));
  CHECK(after.hits == before.hits + 1 && after.compiles == before.compiles);
  CHECK_OK(convgen_engine_clear_cache(engine));
  CHECK_OK(convgen_engine_get_stats(engine, &after));
  CHECK(after.kernels == 0);
  for (int i = 0; i < 2; ++i) convgen_kernel_free(kernels[i]), convgen_conv_free(convs[i]);
  convgen_kernel_free(compiled);
}

static int32_t stop_at_once(void* context, int32_t phase, int32_t done, int32_t total,
                            double ratio) {
  *(int*)context += phase >= CONVGEN_TUNE_SCREENING && done <= total && ratio > 0;
  return 0;
}

// Stopped at its first question: what tuning finds is tested elsewhere.
static void check_tune(const convgen_engine* engine, const char* tuning_file) {
  convgen_conv* conv = NULL;
  CHECK_OK(convgen_conv_parse(kText, &conv));
  int calls = 0;
  convgen_tune_options options = CONVGEN_TUNE_OPTIONS_INIT;
  options.file = tuning_file;
  options.seconds = 0.01;
  options.candidates = 2;
  options.progress = stop_at_once;
  options.context = &calls;
  convgen_tune_result* result = NULL;
  CHECK_OK(convgen_engine_tune(engine, conv, &options, &result));
  convgen_tune_info info = CONVGEN_TUNE_INFO_INIT;
  CHECK_OK(convgen_tune_result_get_info(result, &info));
  CHECK(info.end == CONVGEN_TUNE_INTERRUPTED && calls > 0 && info.failure_count == 0);
  convgen_tune_result_free(result);
  convgen_conv_free(conv);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  check_library();
  check_conv();
  convgen_engine *engine = make_engine(NULL), *same = NULL;
  CHECK_OK(convgen_engine_copy(engine, &same));
  convgen_engine_free(engine);
  const char* target = NULL;
  CHECK_OK(convgen_engine_target(same, &target));
  CHECK(strlen(target) > 0);
  CHECK_OK(convgen_engine_store_status(same));
  convgen_kernel *kernel = compile(same, kText), *copy = NULL;
  check_constant_weights(same);
  check_prepare(same);
  check_tune(same, argv[1]);
  convgen_engine_free(same);  // the kernel lives on
  CHECK_OK(convgen_kernel_copy(kernel, &copy));
  convgen_kernel_free(kernel);
  check_kernel(copy);
  check_run(copy);
  convgen_kernel_free(copy);
  CHECK(strcmp(convgen_last_error(), "") == 0);
  puts("every function was called");
  return 0;
}
