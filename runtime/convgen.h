// SPDX-License-Identifier: Apache-2.0
// convgen from C, and from every language that calls C. C11 and later, C++11 and later.
//
//   convgen_engine* engine = NULL;
//   convgen_kernel* kernel = NULL;
//   convgen_engine_create(CONVGEN_ABI_VERSION, NULL, &engine);
//   convgen_engine_compile_text(engine, "conv2d src=f32:nhwc:...", NULL, &kernel);
//
//   convgen_run_args args = CONVGEN_RUN_ARGS_INIT;
//   args.src = src;
//   args.weights = weights;
//   args.dst = dst;
//   if (convgen_kernel_run(kernel, &args) != CONVGEN_OK) puts(convgen_last_error());
//
// What holds for every function:
//
// Errors    A function that may fail returns a convgen_status; convgen_last_error() has the words.
//           No C++ exception leaves a function: memory that runs out is
//           CONVGEN_RESOURCE_EXHAUSTED (but inside LLVM, which then ends the process).
// Pointers  must be given unless "or NULL" is said; CONVGEN_INVALID_ARGUMENT names the missing one.
// Results   A handle asked for is NULL where the function fails. A struct to be filled keeps what
//           it held.
// Handles   belong to the caller, who ends each once by its convgen_*_free, in any order: kernels
//           outlive their engine. free(NULL) does nothing. What was freed must not be used.
// Strings   end with 0. Those given are read during the call; those returned live as long as the
//           handle they were asked of.
// Structs   start from CONVGEN_..._INIT, which sets `size` and the defaults. Later versions add
//           fields at the end and take shorter structs of programs compiled before.
// Booleans  are 0 or 1; other values count as 1.
// Threads   Functions may be called from any thread at any time, on one handle too, but for free,
//           and where a thread pool says otherwise.
#ifndef CONVGEN_RUNTIME_CONVGEN_H_
#define CONVGEN_RUNTIME_CONVGEN_H_

#include <stddef.h>
#include <stdint.h>

#ifndef CONVGEN_C_API
#define CONVGEN_C_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
#define CONVGEN_NOEXCEPT noexcept
extern "C" {
#else
#define CONVGEN_NOEXCEPT
#endif

// ---------------------------------------------------------------------------------------------
// The library and its errors
// ---------------------------------------------------------------------------------------------

// Raised where something that existed changes its meaning; additions leave it alone.
#define CONVGEN_ABI_VERSION 1

typedef int32_t convgen_status;
enum {
  CONVGEN_OK = 0,
  CONVGEN_INVALID_ARGUMENT = 1,    // the request breaks a rule; asking again cannot help
  CONVGEN_UNSUPPORTED = 2,         // a legal request that this version does not serve
  CONVGEN_COMPILE_FAILED = 3,      // the code generator refused or LLVM reported an error
  CONVGEN_RESOURCE_EXHAUSTED = 4,  // memory, executable memory or a budget ran out
  CONVGEN_IO_ERROR = 5,            // a file could not be read or written
  CONVGEN_INTERNAL = 6             // a bug in convgen
};

// The CONVGEN_ABI_VERSION that the library was compiled with. Never fails.
CONVGEN_C_API uint32_t convgen_abi_version(void) CONVGEN_NOEXCEPT;

// The library's version, "0.1.0". Static; never fails.
CONVGEN_C_API const char* convgen_version(void) CONVGEN_NOEXCEPT;

// A status as a word, "invalid_argument"; "unknown" for a number that is none. Static; never fails.
CONVGEN_C_API const char* convgen_status_name(convgen_status status) CONVGEN_NOEXCEPT;

// What the last call of this thread that failed has to say: field, value found, rule. "" before
// there was one. Calls that succeed leave it alone; it is valid until this thread's next failure.
CONVGEN_C_API const char* convgen_last_error(void) CONVGEN_NOEXCEPT;

// ---------------------------------------------------------------------------------------------
// Convolutions
// ---------------------------------------------------------------------------------------------

// A convolution, checked and canonical. Immutable.
typedef struct convgen_conv convgen_conv;

enum { CONVGEN_PADS_EXPLICIT = 0, CONVGEN_PADS_SAME = 1, CONVGEN_PADS_SAME_LOWER = 2 };

// A convolution in fields. Spatial numbers stand in the order d h w, without what the rank lacks:
// strides[0] is along h in 2D, along w in 1D. Fields beyond the rank are not looked at.
typedef struct convgen_conv_spec {
  size_t size;
  const char* src_layout;      // "nwc" "ncw", "nhwc" "nchw", "ndhwc" "ncdhw"
  const char* weights_layout;  // "wio" "oiw", "hwio" "oihw", "dhwio" "oidhw"
  const char* dst_layout;      // or NULL: src's
  const char* post;            // post-ops in order, as in the conv text: "bias,relu"; or NULL: none
  const char* name;            // a label for reports; or NULL
  int64_t src_dims[5];         // spatial_rank + 2 numbers, in the order of src_layout
  int64_t weights_dims[5];     // the same of weights_layout; i counts channels per group
  int64_t strides[3];          // 1
  int64_t dilations[3];        // 1: dense
  int64_t pads_begin[3];       // CONVGEN_PADS_EXPLICIT: 0
  int64_t pads_end[3];
  int64_t groups;        // 1
  int32_t spatial_rank;  // 1, 2 or 3
  int32_t pads;          // CONVGEN_PADS_...
  float pad_value;       // the value outside the image, 0
  int32_t strict;        // boolean: one fixed order of summation
} convgen_conv_spec;
#define CONVGEN_CONV_SPEC_INIT                                                                 \
  {                                                                                            \
    sizeof(convgen_conv_spec), NULL, NULL, NULL, NULL, NULL, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, \
        {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, 1, 2, CONVGEN_PADS_EXPLICIT, 0.0f, 0       \
  }

// What a convolution is. Arrays as in convgen_conv_spec; numbers beyond the rank are 0.
typedef struct convgen_conv_info {
  size_t size;
  const char* text;  // canonical: equal convolutions have equal texts
  const char* name;  // the label, ""
  const char* src_layout;
  const char* weights_layout;
  const char* dst_layout;
  int64_t src_dims[5];  // in the order of src_layout
  int64_t weights_dims[5];
  int64_t dst_dims[5];
  int64_t src_elements;
  int64_t weights_elements;
  int64_t dst_elements;
  int64_t input_channels;
  int64_t output_channels;  // the floats of bias and of scale
  int64_t groups;
  int64_t strides[3];
  int64_t dilations[3];
  int64_t pads_begin[3];
  int64_t pads_end[3];
  double multiply_adds;  // padding taps counted
  float pad_value;
  int32_t spatial_rank;
  int32_t strict;
  int32_t uses_bias;  // whether a run needs the tensor
  int32_t uses_add;
  int32_t uses_scale;
} convgen_conv_info;
#define CONVGEN_CONV_INFO_INIT                                                                    \
  {                                                                                               \
    sizeof(convgen_conv_info), NULL, NULL, NULL, NULL, NULL, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0},    \
        {0, 0, 0, 0, 0}, 0, 0, 0, 0, 0, 0, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}, 0.0, 0.0f, \
        0, 0, 0, 0, 0                                                                             \
  }

// Reads conv text (docs/conv-ir.md) or benchdnn's problem text. Errors: invalid_argument for a
// broken rule, unsupported for a reserved word.
CONVGEN_C_API convgen_status convgen_conv_parse(const char* text,
                                                convgen_conv** conv) CONVGEN_NOEXCEPT;

// The same from fields. Errors: as convgen_conv_parse.
CONVGEN_C_API convgen_status convgen_conv_create(const convgen_conv_spec* spec,
                                                 convgen_conv** conv) CONVGEN_NOEXCEPT;

CONVGEN_C_API convgen_status convgen_conv_get_info(const convgen_conv* conv,
                                                   convgen_conv_info* info) CONVGEN_NOEXCEPT;

CONVGEN_C_API void convgen_conv_free(convgen_conv* conv) CONVGEN_NOEXCEPT;

// ---------------------------------------------------------------------------------------------
// Threads
// ---------------------------------------------------------------------------------------------

// One piece of work: tasks [begin, end).
typedef void (*convgen_task_function)(void* context, int64_t begin, int64_t end);

// A caller's own threads. run calls body(body_context, begin, end) with disjoint ranges that cover
// [0, tasks), on any threads, and returns when all is done. It must not throw, and pool is its own.
typedef struct convgen_parallel_for {
  void* pool;
  void (*run)(void* pool, int64_t tasks, convgen_task_function body, void* body_context);
} convgen_parallel_for;

// convgen's own threads. A pool serves one run at a time: not from several threads at once, and
// never from within one of its own tasks. Different pools do not disturb each other.
typedef struct convgen_thread_pool convgen_thread_pool;

// A pool of `threads` >= 1 threads, the calling one among them: 1 starts none.
CONVGEN_C_API convgen_status convgen_thread_pool_create(int32_t threads, convgen_thread_pool** pool)
    CONVGEN_NOEXCEPT;

// The threads there are: fewer than asked for where the system starts no more.
CONVGEN_C_API convgen_status convgen_thread_pool_threads(const convgen_thread_pool* pool,
                                                         int32_t* threads) CONVGEN_NOEXCEPT;

// Not while a run uses the pool.
CONVGEN_C_API void convgen_thread_pool_free(convgen_thread_pool* pool) CONVGEN_NOEXCEPT;

// ---------------------------------------------------------------------------------------------
// Engines: from a convolution to a kernel, with caches in between
// ---------------------------------------------------------------------------------------------

// A JIT session with its caches; several may live in one process and share nothing.
typedef struct convgen_engine convgen_engine;
// Machine code, or the generic path, for one convolution. Immutable but for what
// CONVGEN_MODE_GENERIC_FIRST says.
typedef struct convgen_kernel convgen_kernel;

enum { CONVGEN_VERIFY_NEVER = 0, CONVGEN_VERIFY_FIRST_USE = 1 };

typedef struct convgen_engine_options {
  size_t size;
  const char* mcpu;  // the CPU to compile for ("x86-64-v3"); NULL, "": $CONVGEN_MCPU, the host
  const char* tuning_file;  // NULL, "": the default file where there is one
  const char* cache_dir;    // where objects are kept between processes; NULL: the default, "": none
  const char*
      jit_profile;  // "perf-map", "jitdump", "gdb", with commas; NULL, "": the environment's
  int64_t cache_max_bytes;   // of cache_dir; -1: $CONVGEN_CACHE_MAX_BYTES, 256 MiB
  int64_t memory_max_bytes;  // of the kernels that the engine remembers; -1: 256 MiB
  int32_t verify;      // CONVGEN_VERIFY_FIRST_USE: each new kernel is checked by the interpreter
  int32_t use_tuning;  // boolean, 1; 0: every schedule is the selected one
} convgen_engine_options;
#define CONVGEN_ENGINE_OPTIONS_INIT \
  { sizeof(convgen_engine_options), NULL, NULL, NULL, NULL, -1, -1, CONVGEN_VERIFY_NEVER, 1 }

enum { CONVGEN_ENGINE_JIT = 0, CONVGEN_ENGINE_GENERIC = 1 };

// What a compile that finds no kernel does.
enum {
  CONVGEN_MODE_BLOCKING = 0,  // compiles
  // Returns at once a kernel that runs the generic path, and turns into machine code when a
  // compilation in the background ends.
  CONVGEN_MODE_GENERIC_FIRST = 1,
  CONVGEN_MODE_NEVER = 2  // returns the generic path
};

typedef struct convgen_compile_options {
  size_t size;
  const char* schedule;  // words that outrank the tuned or selected ones, "tile=7x2"; NULL: none
  int32_t engine;        // CONVGEN_ENGINE_...
  int32_t mode;          // CONVGEN_MODE_...
  int32_t threads;       // >= 1, 1: those a run will use; a hint for how work is cut into tasks
  int32_t deadline_ms;   // >= 0, 0: how long CONVGEN_MODE_GENERIC_FIRST waits for machine code
} convgen_compile_options;
#define CONVGEN_COMPILE_OPTIONS_INIT \
  { sizeof(convgen_compile_options), NULL, CONVGEN_ENGINE_JIT, CONVGEN_MODE_BLOCKING, 1, 0 }

typedef struct convgen_prepare_options {
  size_t size;
  const convgen_compile_options* compile;  // or NULL: the defaults
  // Or NULL. Called with how many of all are done, by one thread at a time, if not by the same.
  void (*progress)(void* context, size_t done, size_t all);
  void* context;     // progress's own
  int32_t threads;   // to compile on; 0: as many as the machine has
  int32_t reserved;  // 0
} convgen_prepare_options;
#define CONVGEN_PREPARE_OPTIONS_INIT \
  { sizeof(convgen_prepare_options), NULL, NULL, NULL, 0, 0 }

typedef struct convgen_engine_stats {
  size_t size;
  int64_t hits;
  int64_t misses;
  int64_t evictions;   // kernels forgotten for memory_max_bytes
  int64_t kernels;     // remembered now
  int64_t bytes;       // memory_bytes of those
  int64_t store_hits;  // linked from objects that another compilation left on disk
  int64_t compiles;    // finished, failed ones among them
  double compile_seconds;
} convgen_engine_stats;
#define CONVGEN_ENGINE_STATS_INIT \
  { sizeof(convgen_engine_stats), 0, 0, 0, 0, 0, 0, 0, 0.0 }

// Makes an engine. abi_version: CONVGEN_ABI_VERSION, so that a program that was compiled for
// another library hears of it here. options, or NULL: the defaults.
// Errors: unsupported for another ABI version; invalid_argument for an unknown CPU or one whose
// features this machine lacks, or an unknown word; io_error or invalid_argument for files.
CONVGEN_C_API convgen_status convgen_engine_create(uint32_t abi_version,
                                                   const convgen_engine_options* options,
                                                   convgen_engine** engine) CONVGEN_NOEXCEPT;

// Another handle to the same engine, which lives until the last one is freed.
CONVGEN_C_API convgen_status convgen_engine_copy(const convgen_engine* engine,
                                                 convgen_engine** copy) CONVGEN_NOEXCEPT;

CONVGEN_C_API void convgen_engine_free(convgen_engine* engine) CONVGEN_NOEXCEPT;

// The kernel of conv, from the cache or compiled now. However many threads ask for one
// convolution, one compiles and the others wait. options, or NULL: the defaults. Where the system
// refuses executable memory the kernel runs the generic path, and its info says so.
// Errors: invalid_argument or unsupported (schedule), compile_failed, resource_exhausted.
CONVGEN_C_API convgen_status convgen_engine_compile(const convgen_engine* engine,
                                                    const convgen_conv* conv,
                                                    const convgen_compile_options* options,
                                                    convgen_kernel** kernel) CONVGEN_NOEXCEPT;

// The same for a convolution's text, which is read once and then recognised.
// Errors besides: those of convgen_conv_parse.
CONVGEN_C_API convgen_status convgen_engine_compile_text(const convgen_engine* engine,
                                                         const char* text,
                                                         const convgen_compile_options* options,
                                                         convgen_kernel** kernel) CONVGEN_NOEXCEPT;

// The same for weights that are known now [count floats, conv's weights layout], which the kernel
// holds: zero taps cost nothing, and none are packed or passed to a run. assume_finite, a boolean:
// the caller's word that src holds neither NaN nor Inf. The values are part of the cache's key.
// Errors besides: invalid_argument where count is not the conv's weights_elements.
CONVGEN_C_API convgen_status convgen_engine_compile_constant(
    const convgen_engine* engine, const convgen_conv* conv, const float* weights, size_t count,
    int32_t assume_finite, const convgen_compile_options* options,
    convgen_kernel** kernel) CONVGEN_NOEXCEPT;

// Compiles convs[0] ... convs[count - 1] on several threads. kernels [count] gets a handle for
// each, NULL where there is none; statuses [count], or NULL, says why. convs and kernels may be
// NULL where count is 0. options, or NULL: the defaults.
// Errors: that of the first conv without a kernel, named convs[i]; the others have theirs.
CONVGEN_C_API convgen_status convgen_engine_prepare(const convgen_engine* engine,
                                                    const convgen_conv* const* convs, size_t count,
                                                    const convgen_prepare_options* options,
                                                    convgen_kernel** kernels,
                                                    convgen_status* statuses) CONVGEN_NOEXCEPT;

// Forgets all kernels; those in use live on through their handles.
CONVGEN_C_API convgen_status convgen_engine_clear_cache(const convgen_engine* engine)
    CONVGEN_NOEXCEPT;

CONVGEN_C_API convgen_status convgen_engine_get_stats(const convgen_engine* engine,
                                                      convgen_engine_stats* stats) CONVGEN_NOEXCEPT;

// The first trouble with cache_dir, which costs compilations and nothing else: it is not to be
// trusted, or nothing can be written. CONVGEN_OK where there was none.
CONVGEN_C_API convgen_status convgen_engine_store_status(const convgen_engine* engine)
    CONVGEN_NOEXCEPT;

// The target as text: triple, cpu and features in use.
CONVGEN_C_API convgen_status convgen_engine_target(const convgen_engine* engine,
                                                   const char** target) CONVGEN_NOEXCEPT;

// ---------------------------------------------------------------------------------------------
// Kernels
// ---------------------------------------------------------------------------------------------

// Weights in the order a kernel reads them. The tag names that order: a kernel takes those with
// its own tag, so kernels that differ only in image size share them. Immutable; they depend on no
// other handle.
typedef struct convgen_packed_weights convgen_packed_weights;

typedef struct convgen_packed_weights_info {
  size_t size;
  const char* tag;
  const float* data;  // 64-byte aligned
  size_t size_bytes;
} convgen_packed_weights_info;
#define CONVGEN_PACKED_WEIGHTS_INFO_INIT \
  { sizeof(convgen_packed_weights_info), NULL, NULL, 0 }

// What a kernel is. While `pending`, it describes the generic path; ask again afterwards.
typedef struct convgen_kernel_info {
  size_t size;
  const char* engine_name;  // what computes: "jit" or "generic"
  const char* schedule;     // as text; "" for the generic path
  const char* signature;    // the canonical text, and a hash of constant weights
  const char* packed_tag;   // of the packed weights it takes
  int64_t tasks;            // pieces of work in a run: more threads than this cannot help
  size_t scratch_bytes;     // what a call on one thread needs besides its tensors; 0 for most
  size_t memory_bytes;      // of code, constants and bookkeeping
  size_t code_bytes;        // of the relocatable object
  double select_ms;         // CPU time of the compiling thread: the schedule,
  double emit_ms;           // the module,
  double passes_ms;         // LLVM's passes ahead of instruction selection,
  double codegen_ms;        // from there to bytes,
  double link_ms;           // to an address,
  double total_ms;          // and all of it
  int32_t from_store;       // boolean: found on disk, nothing was compiled
  int32_t pending;          // boolean: runs the generic path until its machine code is there
  int32_t constant;         // boolean: the kernel holds its weights
  int32_t winograd_tile;    // outputs of a tile along an axis; 0: sums of the products themselves
} convgen_kernel_info;
#define CONVGEN_KERNEL_INFO_INIT                                                                   \
  {                                                                                                \
    sizeof(convgen_kernel_info), NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, \
        0, 0, 0, 0                                                                                 \
  }

// The tensors of one call: f32, dense, in the layouts of the conv, aligned as float is. add may be
// dst itself; nothing else may overlap dst. Give weights or packed, not both, and neither to a
// kernel of constant weights. Give parallel_for or pool, or neither: the calling thread alone. A
// dst aligned to 64 bytes is filled faster where it takes most of L3.
typedef struct convgen_run_args {
  size_t size;
  const float* src;
  const float* weights;                  // packed in each call
  const convgen_packed_weights* packed;  // from convgen_kernel_pack
  const float* bias;                     // [output_channels], where the post-ops use it
  const float* add;                      // dst's shape, likewise
  const float* scale;                    // [output_channels], likewise
  float* dst;
  // scratch_bytes, 64-byte aligned, which the call may overwrite. NULL, or a call on several
  // threads, or a kernel that was compiled in the background: each thread keeps what the largest
  // kernel it ran needs.
  void* scratch;
  const convgen_parallel_for* parallel_for;
  convgen_thread_pool* pool;
} convgen_run_args;
#define CONVGEN_RUN_ARGS_INIT \
  { sizeof(convgen_run_args), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }

enum {
  CONVGEN_DATA_AUTO = 0,      // integers for even seeds, reals for odd ones
  CONVGEN_DATA_INTEGERS = 1,  // small ones: bit equality is demanded where post-ops are exact
  CONVGEN_DATA_REALS = 2      // in [-1, 1): the rounding bound is demanded
};

typedef struct convgen_verify_options {
  size_t size;
  uint64_t seed;             // 1
  double max_multiply_adds;  // 3e8: beyond it only a sample of the outputs is checked
  const convgen_parallel_for* parallel_for;  // as in convgen_run_args
  convgen_thread_pool* pool;
  int32_t data;      // CONVGEN_DATA_...
  int32_t reserved;  // 0
} convgen_verify_options;
#define CONVGEN_VERIFY_OPTIONS_INIT \
  { sizeof(convgen_verify_options), 1, 3e8, NULL, NULL, CONVGEN_DATA_AUTO, 0 }

typedef struct convgen_verify_report {
  size_t size;
  double max_error;  // of the output whose error is largest relative to its bound
  double bound;      // of that output
  double worst_ratio;
  double nonzero_share;  // of the checked sums before post-ops
  int64_t checked_outputs;
  int32_t pass;       // boolean
  int32_t bit_exact;  // boolean: bit equality was demanded
  char failure[256];  // where and what, cut to this length; "" on pass
} convgen_verify_report;
#define CONVGEN_VERIFY_REPORT_INIT                                    \
  {                                                                   \
    sizeof(convgen_verify_report), 0.0, 0.0, 0.0, 0.0, 0, 0, 0, { 0 } \
  }

// Another handle to the same code, which lives until the last one is freed.
CONVGEN_C_API convgen_status convgen_kernel_copy(const convgen_kernel* kernel,
                                                 convgen_kernel** copy) CONVGEN_NOEXCEPT;

CONVGEN_C_API void convgen_kernel_free(convgen_kernel* kernel) CONVGEN_NOEXCEPT;

// The kernel's convolution, as a handle of its own.
CONVGEN_C_API convgen_status convgen_kernel_conv(const convgen_kernel* kernel,
                                                 convgen_conv** conv) CONVGEN_NOEXCEPT;

CONVGEN_C_API convgen_status convgen_kernel_get_info(const convgen_kernel* kernel,
                                                     convgen_kernel_info* info) CONVGEN_NOEXCEPT;

// CONVGEN_MODE_GENERIC_FIRST: waits until the machine code is there or will never be, at most
// timeout_ns nanoseconds. decided, a boolean: whether that is known. 1 at once for other kernels.
CONVGEN_C_API convgen_status convgen_kernel_wait(const convgen_kernel* kernel, int64_t timeout_ns,
                                                 int32_t* decided) CONVGEN_NOEXCEPT;

// CONVGEN_OK where what was asked for runs or may still come; else why the generic path runs in
// its place.
CONVGEN_C_API convgen_status convgen_kernel_compile_status(const convgen_kernel* kernel)
    CONVGEN_NOEXCEPT;

// Puts weights (the conv's weights layout) into the kernel's order, once for many runs.
// Errors: resource_exhausted.
CONVGEN_C_API convgen_status convgen_kernel_pack(const convgen_kernel* kernel, const float* weights,
                                                 convgen_packed_weights** packed) CONVGEN_NOEXCEPT;

CONVGEN_C_API convgen_status convgen_packed_weights_get_info(
    const convgen_packed_weights* packed, convgen_packed_weights_info* info) CONVGEN_NOEXCEPT;

CONVGEN_C_API void convgen_packed_weights_free(convgen_packed_weights* packed) CONVGEN_NOEXCEPT;

// dst = conv(src, weights) and post-ops. Reentrant; allocates nothing but scratch, once a thread,
// given packed weights. The bits do not depend on the number of threads. A convolution without
// outputs reads and writes nothing.
// Errors: invalid_argument for a missing tensor or foreign packed weights; resource_exhausted
// where a thread gets no scratch, which leaves its part of dst unwritten.
CONVGEN_C_API convgen_status convgen_kernel_run(const convgen_kernel* kernel,
                                                const convgen_run_args* args) CONVGEN_NOEXCEPT;

// Runs the kernel on random tensors between unreadable pages and compares with the interpreter.
// CONVGEN_OK where it could be checked; report.pass is the verdict. options, or NULL: the defaults.
// A fault inside the kernel is not caught. Errors: resource_exhausted, or what a run says.
CONVGEN_C_API convgen_status convgen_kernel_verify(const convgen_kernel* kernel,
                                                   const convgen_verify_options* options,
                                                   convgen_verify_report* report) CONVGEN_NOEXCEPT;

// ---------------------------------------------------------------------------------------------
// Tuning (docs/tuning.md)
// ---------------------------------------------------------------------------------------------

// What a tuning run found. Immutable.
typedef struct convgen_tune_result convgen_tune_result;

enum { CONVGEN_TUNE_SCREENING = 0, CONVGEN_TUNE_RACING = 1, CONVGEN_TUNE_FINAL = 2 };

enum {
  CONVGEN_TUNE_KEPT = 0,         // the tuning file has what was found
  CONVGEN_TUNE_BEFORE = 1,       // it had an entry, nothing was measured
  CONVGEN_TUNE_INTERRUPTED = 2,  // the same call goes on from there
  CONVGEN_TUNE_EMPTY = 3         // no outputs, nothing to tune
};

typedef struct convgen_tune_options {
  size_t size;
  double seconds;    // 5: for timing
  const char* file;  // NULL, "": the default tuning file
  uint64_t seed;     // 1: of candidates drawn at random
  // Or NULL. Called between measurements: the phase, CONVGEN_TUNE_..., how many candidates or
  // rounds of it are done, of how many, and the best candidate's time over the default's so far.
  // 0 ends the run.
  int32_t (*progress)(void* context, int32_t phase, int32_t done, int32_t total, double best_ratio);
  void* context;       // progress's own
  int32_t threads;     // >= 1, 1: the kernel is tuned for, and timed on
  int32_t candidates;  // 40
  int32_t again;       // boolean, 0: also where the file has an entry
  int32_t reserved;    // 0
} convgen_tune_options;
#define CONVGEN_TUNE_OPTIONS_INIT \
  { sizeof(convgen_tune_options), 5.0, NULL, 1, NULL, NULL, 1, 40, 0, 0 }

typedef struct convgen_tune_info {
  size_t size;
  const char* schedule;          // the fastest
  const char* default_schedule;  // the selected one; equal where nothing beats it
  const char* runner_up;         // "" where there was none
  const char* const* failures;   // [failure_count]: candidates that did not compile or were wrong
  double us;                     // microseconds of a run, of the three
  double default_us;
  double runner_up_us;
  int32_t failure_count;
  int32_t end;           // CONVGEN_TUNE_...
  int32_t candidates;    // how many there were,
  int32_t timed;         // were timed, besides the default,
  int32_t known_slower;  // were not, since the journal knows them
  int32_t reserved;      // 0
} convgen_tune_info;
#define CONVGEN_TUNE_INFO_INIT \
  { sizeof(convgen_tune_info), NULL, NULL, NULL, NULL, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, 0 }

// Times candidate schedules of conv and keeps the fastest, checked, in the tuning file, from which
// engines made later take it. options, or NULL: the defaults. Not while other work runs.
// Errors: invalid_argument where there is no tuning file or a damaged one; io_error; unsupported
// where executable memory is refused; what compiling says; resource_exhausted.
CONVGEN_C_API convgen_status convgen_engine_tune(const convgen_engine* engine,
                                                 const convgen_conv* conv,
                                                 const convgen_tune_options* options,
                                                 convgen_tune_result** result) CONVGEN_NOEXCEPT;

CONVGEN_C_API convgen_status convgen_tune_result_get_info(const convgen_tune_result* result,
                                                          convgen_tune_info* info) CONVGEN_NOEXCEPT;

CONVGEN_C_API void convgen_tune_result_free(convgen_tune_result* result) CONVGEN_NOEXCEPT;

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // CONVGEN_RUNTIME_CONVGEN_H_
