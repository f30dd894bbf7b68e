// SPDX-License-Identifier: Apache-2.0
// convgen from C: a convolution is compiled, its weights are packed, and it runs on convgen's pool
// and on an application's own threads. The bits are the same; this program checks it.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/convgen.h"

// --- An application's own threads: here, one pthread for each half of the work ---

typedef struct {
  convgen_task_function body;
  void* context;
  int64_t begin, end;
} share;

static void* run_share(void* pointer) {
  const share* s = pointer;
  s->body(s->context, s->begin, s->end);
  return NULL;
}

static void run_in_halves(void* pool, int64_t tasks, convgen_task_function body, void* context) {
  (void)pool;
  share first = {body, context, 0, tasks / 2}, second = {body, context, tasks / 2, tasks};
  pthread_t thread;
  const int started = pthread_create(&thread, NULL, run_share, &first) == 0;
  run_share(&second);
  if (started)
    pthread_join(thread, NULL);
  else
    run_share(&first);
}

// --- The convolution ---

static float* ramp(int64_t elements, int64_t period, float shift) {
  float* values = malloc(sizeof(float) * (size_t)elements);
  for (int64_t i = 0; values != NULL && i < elements; ++i)
    values[i] = (float)(i % period) / (float)period + shift;
  return values;
}

// Runs the kernel on one thread, on convgen's pool and on run_in_halves.
static convgen_status run_three_ways(const convgen_kernel* kernel, convgen_run_args args,
                                     float* dst[3]) {
  convgen_thread_pool* pool = NULL;
  convgen_status status = convgen_thread_pool_create(2, &pool);
  args.dst = dst[0];
  if (status == CONVGEN_OK) status = convgen_kernel_run(kernel, &args);
  args.dst = dst[1];
  args.pool = pool;
  if (status == CONVGEN_OK) status = convgen_kernel_run(kernel, &args);
  const convgen_parallel_for own = {NULL, run_in_halves};
  args.dst = dst[2];
  args.pool = NULL;
  args.parallel_for = &own;
  if (status == CONVGEN_OK) status = convgen_kernel_run(kernel, &args);
  convgen_thread_pool_free(pool);
  return status;
}

int main(void) {
  convgen_engine* engine = NULL;
  convgen_conv* conv = NULL;
  convgen_kernel* kernel = NULL;
  convgen_packed_weights* packed = NULL;
  float *src = NULL, *weights = NULL, *bias = NULL, *dst[3] = {NULL, NULL, NULL};
  int result = 1;

  if (convgen_engine_create(CONVGEN_ABI_VERSION, NULL, &engine) != CONVGEN_OK ||
      convgen_conv_parse("conv2d src=f32:nhwc:1x28x28x32 weights=f32:hwio:3x3x32x48 pads=same "
                         "post=bias,relu",
                         &conv) != CONVGEN_OK)
    goto failed;
  convgen_conv_info shapes = CONVGEN_CONV_INFO_INIT;
  if (convgen_conv_get_info(conv, &shapes) != CONVGEN_OK) goto failed;
  convgen_compile_options options = CONVGEN_COMPILE_OPTIONS_INIT;
  options.threads = 2;  // a hint: work is cut into enough tasks to share
  if (convgen_engine_compile(engine, conv, &options, &kernel) != CONVGEN_OK) goto failed;

  src = ramp(shapes.src_elements, 13, 0);
  weights = ramp(shapes.weights_elements, 7, -0.4f);
  bias = ramp(shapes.output_channels, 5, 0);
  for (int i = 0; i < 3; ++i) dst[i] = ramp(shapes.dst_elements, 1, 0);
  if (!src || !weights || !bias || !dst[0] || !dst[1] || !dst[2]) goto end;
  // Weights are brought into the kernel's order once, not in every run.
  if (convgen_kernel_pack(kernel, weights, &packed) != CONVGEN_OK) goto failed;
  convgen_run_args args = CONVGEN_RUN_ARGS_INIT;
  args.src = src;
  args.packed = packed;
  args.bias = bias;
  if (run_three_ways(kernel, args, dst) != CONVGEN_OK) goto failed;

  convgen_kernel_info info = CONVGEN_KERNEL_INFO_INIT;
  if (convgen_kernel_get_info(kernel, &info) != CONVGEN_OK) goto failed;
  const size_t bytes = sizeof(float) * (size_t)shapes.dst_elements;
  result = memcmp(dst[0], dst[1], bytes) != 0 || memcmp(dst[0], dst[2], bytes) != 0;
  printf("convgen %s, %s: %s\n%lld tasks on 1, 2 and an application's threads: %s\n",
         convgen_version(), info.engine_name, info.signature, (long long)info.tasks,
         result == 0 ? "the same bits" : "DIFFERENT");
  goto end;

failed:
  fprintf(stderr, "07_c_api: %s\n", convgen_last_error());
end:
  for (int i = 0; i < 3; ++i) free(dst[i]);
  free(bias);
  free(weights);
  free(src);
  convgen_packed_weights_free(packed);
  convgen_kernel_free(kernel);
  convgen_conv_free(conv);
  convgen_engine_free(engine);
  return result;
}
