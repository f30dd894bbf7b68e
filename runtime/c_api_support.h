// SPDX-License-Identifier: Apache-2.0
// What the C interface's functions are made of: the handles, the door that no exception passes,
// and structs that grow at their end. Included by c_api*.cpp and their tests alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "ir/conv.h"
#include "ir/status.h"
#include "runtime/convgen.h"
#include "runtime/engine.h"
#include "runtime/kernel.h"
#include "runtime/thread_pool.h"
#include "runtime/tune.h"

struct convgen_conv {
  convgen::ir::Conv conv;
  std::string text;
};

struct convgen_engine {
  convgen::Engine engine;
  std::string target;
};

struct convgen_kernel {
  convgen::Kernel kernel;
  // Printed when it is first asked for: a compile that finds its kernel takes less time than that.
  mutable std::once_flag once = {};
  mutable std::string signature = {};
};

struct convgen_packed_weights {
  convgen::PackedWeights packed;
};

struct convgen_thread_pool {
  convgen::ThreadPool pool;
};

struct convgen_tune_result {
  convgen::TuneResult result;
  std::vector<const char*> failures;
};

namespace convgen::c_api {

// The bytes of each struct in ABI version 1, on machines of 64 bits. They never change: a program
// of then is recognised by them.
static_assert(sizeof(void*) == 8);
template <typename T>
inline constexpr size_t kFirstSize = 0;
template <>
inline constexpr size_t kFirstSize<convgen_conv_spec> = 248;
template <>
inline constexpr size_t kFirstSize<convgen_conv_info> = 344;
template <>
inline constexpr size_t kFirstSize<convgen_engine_options> = 64;
template <>
inline constexpr size_t kFirstSize<convgen_compile_options> = 32;
template <>
inline constexpr size_t kFirstSize<convgen_prepare_options> = 40;
template <>
inline constexpr size_t kFirstSize<convgen_engine_stats> = 72;
template <>
inline constexpr size_t kFirstSize<convgen_packed_weights_info> = 32;
template <>
inline constexpr size_t kFirstSize<convgen_kernel_info> = 136;
template <>
inline constexpr size_t kFirstSize<convgen_run_args> = 88;
template <>
inline constexpr size_t kFirstSize<convgen_verify_options> = 48;
template <>
inline constexpr size_t kFirstSize<convgen_verify_report> = 312;
template <>
inline constexpr size_t kFirstSize<convgen_tune_options> = 64;
template <>
inline constexpr size_t kFirstSize<convgen_tune_info> = 88;

// Keeps the message for convgen_last_error() and returns the code.
convgen_status fail(StatusCode code, const char* message) noexcept;
convgen_status fail_out_of_memory() noexcept;

struct Argument {
  const void* pointer;
  const char* name;
};

Status missing(const char* name);  // "name: null"
Status wrong_size(const char* name, size_t found, size_t first, size_t known);
// Ok for 0 <= value < choices.
Status check_choice(const char* name, int32_t value, int32_t choices);
Status check_at_least(const char* name, int64_t value, int64_t least);

// body()'s Status, where no argument is null. What body throws becomes a status too.
template <typename Body>
convgen_status guarded(std::initializer_list<Argument> arguments, Body body) noexcept {
  try {
    for (const Argument& argument : arguments)
      if (argument.pointer == nullptr) [[unlikely]] {
        const Status status = missing(argument.name);
        return fail(status.code(), status.message().c_str());
      }
    const Status status = body();
    if (status.ok()) [[likely]]
      return CONVGEN_OK;
    return fail(status.code(), status.message().c_str());
  } catch (const std::bad_alloc&) {
    return fail_out_of_memory();
  } catch (const std::exception& exception) {
    return fail(StatusCode::kInternal, exception.what());
  } catch (...) {
    return fail(StatusCode::kInternal, "an exception of an unknown type");
  }
}

template <typename T>
Status check_size(const T& given, const char* name, size_t first, size_t known) {
  if (given.size >= first && given.size <= known) [[likely]]
    return Status();
  return wrong_size(name, given.size, first, known);
}

// Puts what `given` says over `value`, which holds the defaults: a program that was compiled
// before a field was added says nothing of it. Null says nothing at all.
template <typename T>
Status read_struct(const T* given, const char* name, T& value) {
  if (given == nullptr) return Status();
  if (Status status = check_size(*given, name, kFirstSize<T>, sizeof(T)); !status.ok())
    return status;
  std::memcpy(&value, given, given->size);
  return Status();
}

// As much of value as the caller knows of.
template <typename T>
Status write_struct(T value, const char* name, T* out) {
  if (Status status = check_size(*out, name, kFirstSize<T>, sizeof(T)); !status.ok()) return status;
  value.size = out->size;
  std::memcpy(out, &value, value.size);
  return Status();
}

// Out-pointers are null until there is something to hand out.
template <typename Handle>
void clear(Handle** out) noexcept {
  if (out != nullptr) *out = nullptr;
}

template <typename Handle, typename Value>
Status hand_out(Result<Value> value, Handle** out) {
  if (!value.ok()) return value.status();
  *out = new Handle{*std::move(value)};
  return Status();
}

inline std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

// A handle's conv with its text.
convgen_conv* new_conv(const ir::Conv& conv);

// The C++ form of compile options; null: the defaults. name: of the argument, for messages.
Result<CompileOptions> to_compile_options(const convgen_compile_options* given, const char* name);

}  // namespace convgen::c_api
