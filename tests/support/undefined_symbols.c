// SPDX-License-Identifier: Apache-2.0
// An object that no kernel may be: it needs a symbol that nobody has, and one that libc has.
void convgen_test_nobody_defines_this(void);
void* memset(void* to, int value, unsigned long bytes);

void needs_nobody(const void* args, long begin, long end) {
  (void)args, (void)begin, (void)end;
  convgen_test_nobody_defines_this();
}

void needs_libc(void* args, long begin, long end) { memset(args, 0, (unsigned long)(end - begin)); }
