// SPDX-License-Identifier: Apache-2.0
#include "runtime/jit_session.h"

#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/ExecutorProcessControl.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/Support/MemoryBuffer.h>

#include <atomic>

#include "codegen/llvm_status.h"

namespace convgen {
namespace {

using codegen::KernelFunction;
using codegen::to_status;

class OrcSession;

class OrcCode : public LoadedCode {
 public:
  OrcCode(std::shared_ptr<OrcSession> session, llvm::orc::JITDylib& library, KernelFunction address)
      : session_(std::move(session)), library_(library), function_(address) {}
  ~OrcCode() override;
  KernelFunction function() const override { return function_; }

 private:
  std::shared_ptr<OrcSession> session_;
  llvm::orc::JITDylib& library_;
  KernelFunction function_;
};

// One JITDylib a kernel: removing it frees the kernel's memory and nothing else.
class OrcSession : public JitSession, public std::enable_shared_from_this<OrcSession> {
 public:
  explicit OrcSession(std::unique_ptr<llvm::orc::ExecutorProcessControl> process)
      : session_(std::move(process)), linker_(session_) {
    // What goes wrong is returned to the caller; ORC's own report would go to stderr.
    session_.setErrorReporter([](llvm::Error error) { llvm::consumeError(std::move(error)); });
  }
  ~OrcSession() override { llvm::consumeError(session_.endSession()); }

  Result<std::unique_ptr<LoadedCode>> link(const std::string& object,
                                           const std::string& function_name) override;
  void unload(llvm::orc::JITDylib& library) {
    llvm::consumeError(session_.removeJITDylib(library));
  }

 private:
  llvm::orc::ExecutionSession session_;
  llvm::orc::ObjectLinkingLayer linker_;
  std::atomic<int64_t> libraries_{0};
};

OrcCode::~OrcCode() { session_->unload(library_); }

Result<std::unique_ptr<LoadedCode>> OrcSession::link(const std::string& object,
                                                     const std::string& function_name) {
  auto library = session_.createJITDylib(std::to_string(libraries_++));
  if (!library)
    return to_status(library.takeError(), StatusCode::kResourceExhausted, "link kernel");
  const auto fail = [&](llvm::Error error) {
    unload(*library);
    return to_status(std::move(error), StatusCode::kResourceExhausted, "link kernel");
  };
  // The linker writes into the buffer it is given, so it gets a copy of its own.
  if (auto error = linker_.add(*library, llvm::MemoryBuffer::getMemBufferCopy(object, "kernel")))
    return fail(std::move(error));
  auto symbol = session_.lookup({&*library}, session_.intern(function_name));
  if (!symbol) return fail(symbol.takeError());
  return std::unique_ptr<LoadedCode>(std::make_unique<OrcCode>(
      shared_from_this(), *library, symbol->getAddress().toPtr<KernelFunction>()));
}

}  // namespace

Result<std::shared_ptr<JitSession>> JitSession::create() {
  auto process = llvm::orc::SelfExecutorProcessControl::Create();
  if (!process)
    return to_status(process.takeError(), StatusCode::kResourceExhausted, "JIT session");
  return std::shared_ptr<JitSession>(std::make_shared<OrcSession>(std::move(*process)));
}

}  // namespace convgen
