// SPDX-License-Identifier: Apache-2.0
// How an engine of the C interface is made: its options, and who may ask. Apart, since it takes the
// compiler along.
#include <fmt/format.h>

#include <cstdint>

#include "runtime/c_api_support.h"

namespace convgen::c_api {
namespace {

// -1 is "not said".
Status check_bytes(const char* name, int64_t bytes) { return check_at_least(name, bytes, -1); }

Result<EngineOptions> to_engine_options(const convgen_engine_options* given) {
  convgen_engine_options said = CONVGEN_ENGINE_OPTIONS_INIT;
  Status status = read_struct(given, "options", said);
  if (status.ok()) status = check_choice("options.verify", said.verify, 2);
  if (status.ok()) status = check_bytes("options.cache_max_bytes", said.cache_max_bytes);
  if (status.ok()) status = check_bytes("options.memory_max_bytes", said.memory_max_bytes);
  if (!status.ok()) return status;
  EngineOptions options;
  options.mcpu = text_or_empty(said.mcpu);
  options.verify = said.verify == CONVGEN_VERIFY_NEVER ? VerifyMode::kNever : VerifyMode::kFirstUse;
  options.tuning_file = text_or_empty(said.tuning_file);
  options.use_tuning = said.use_tuning != 0;
  if (said.cache_dir != nullptr) options.cache_dir = said.cache_dir;
  if (said.cache_max_bytes >= 0)
    options.cache_max_bytes = static_cast<uint64_t>(said.cache_max_bytes);
  if (said.memory_max_bytes >= 0)
    options.memory_max_bytes = static_cast<size_t>(said.memory_max_bytes);
  options.jit_profile = text_or_empty(said.jit_profile);
  return options;
}

Status check_abi(uint32_t version) {
  if (version == CONVGEN_ABI_VERSION) return Status();
  return unsupported(fmt::format(
      "abi_version: {} found, the library has {}; the program was compiled with another convgen.h",
      version, CONVGEN_ABI_VERSION));
}

}  // namespace
}  // namespace convgen::c_api

using namespace convgen;
using namespace convgen::c_api;

convgen_status convgen_engine_create(uint32_t abi_version, const convgen_engine_options* options,
                                     convgen_engine** engine) noexcept {
  clear(engine);
  return guarded({{engine, "engine"}}, [&] {
    if (Status status = check_abi(abi_version); !status.ok()) return status;
    const auto said = to_engine_options(options);
    if (!said.ok()) return said.status();
    const auto made = Engine::create(*said);
    if (!made.ok()) return made.status();
    *engine = new convgen_engine{*made, made->target_description()};
    return Status();
  });
}
