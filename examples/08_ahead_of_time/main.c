/* SPDX-License-Identifier: Apache-2.0 */
/* Two layers that convgen compiled when this program was built (net.conv), for three levels of
 * x86-64. At run time there is neither LLVM nor convgen: libc is all that is needed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "net.h"

/* Numbers in [-1, 1), the same on every machine. */
static void fill(float* values, size_t count) {
  static uint32_t state = 1;
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values[i] = (float)(state >> 8) * 0x1p-23f - 1.0f;
  }
}

/* FNV-1a over the bits. */
static uint64_t checksum(const float* values, size_t count) {
  const unsigned char* bytes = (const unsigned char*)values;
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < count * sizeof(float); ++i) hash = (hash ^ bytes[i]) * 1099511628211u;
  return hash;
}

static float weights1[CONV1_WEIGHTS_ELEMENTS], weights2[CONV2_WEIGHTS_ELEMENTS];
static float src[CONV1_SRC_ELEMENTS], middle[CONV1_DST_ELEMENTS], dst[CONV2_DST_ELEMENTS];
static float bias1[24], bias2[24];

/* Sizes differ from level to level; the macros of net.h are enough for each. */
static _Alignas(CONVGEN_ALIGNMENT) unsigned char packed1[CONV1_PACKED_WEIGHTS_BYTES];
static _Alignas(CONVGEN_ALIGNMENT) unsigned char packed2[CONV2_PACKED_WEIGHTS_BYTES];
static _Alignas(
    CONVGEN_ALIGNMENT) unsigned char scratch[1 + CONV1_SCRATCH_BYTES + CONV2_SCRATCH_BYTES];

int main(void) {
  fill(src, CONV1_SRC_ELEMENTS);
  fill(weights1, CONV1_WEIGHTS_ELEMENTS);
  fill(bias1, 24);
  fill(weights2, CONV2_WEIGHTS_ELEMENTS);
  fill(bias2, 24);

  /* Once: weights in the order that the kernels read. CONVGEN_NO_LEVEL comes from here, or never.
   */
  if (conv1_pack_weights(weights1, (float*)packed1) != CONVGEN_DONE ||
      conv2_pack_weights(weights2, (float*)packed2) != CONVGEN_DONE) {
    fprintf(stderr, "08_ahead_of_time: this CPU runs none of the levels\n");
    return EXIT_FAILURE;
  }
  conv1(src, (const float*)packed1, bias1, middle, scratch);
  conv2(middle, (const float*)packed2, bias2, dst, scratch);
  printf("level %s checksum %016" PRIx64 "\n", net_level(), checksum(dst, CONV2_DST_ELEMENTS));
  return EXIT_SUCCESS;
}
