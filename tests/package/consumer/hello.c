#include <stdio.h>

#include "convgen.h"

int main(void) {
  const char* conv =
      "conv2d src=f32:nhwc:1x3x3x1 weights=f32:hwio:3x3x1x1 pads=same post=relu name=c";
  float src[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, weights[] = {0, -1, 0, -1, 5, -1, 0, -1, 0}, dst[9];
  convgen_engine* engine = NULL;
  convgen_kernel* kernel = NULL;
  convgen_kernel_info info = CONVGEN_KERNEL_INFO_INIT;
  convgen_run_args args = CONVGEN_RUN_ARGS_INIT;
  args.src = src, args.weights = weights, args.dst = dst;
  if (convgen_engine_create(CONVGEN_ABI_VERSION, NULL, &engine) != CONVGEN_OK ||
      convgen_engine_compile_text(engine, conv, NULL, &kernel) != CONVGEN_OK ||
      convgen_kernel_get_info(kernel, &info) != CONVGEN_OK ||
      convgen_kernel_run(kernel, &args) != CONVGEN_OK)
    return puts(convgen_last_error()), 1;
  printf("%s:", info.engine_name);
  for (int i = 0; i < 9; ++i) printf(" %g", dst[i]);
  convgen_kernel_free(kernel);
  convgen_engine_free(engine);
  return 0;
}
