// SPDX-License-Identifier: Apache-2.0
#include "runtime/jit_session.h"

#include <dlfcn.h>
#include <llvm/ExecutionEngine/JITLink/JITLink.h>
#include <llvm/Support/MemoryBuffer.h>

#include <optional>
#include <vector>

#include "codegen/llvm_status.h"
#include "runtime/sanitizer.h"

namespace convgen {
namespace {

using llvm::jitlink::BasicLayout;
using llvm::jitlink::JITLinkContext;
using llvm::jitlink::JITLinkDylib;
using llvm::jitlink::JITLinkMemoryManager;
using llvm::jitlink::LinkGraph;

// What a link leaves behind. JITLink calls back within link(), on the caller's thread, so this may
// live on its stack.
struct Linked {
  CodePages pages;
  llvm::orc::ExecutorAddr address;
  size_t code_bytes = 0;
  std::optional<Status> failure;
  bool publish_failed = false;

  void fail(llvm::Error error) {
    failure = codegen::to_status(std::move(error), StatusCode::kResourceExhausted, "link kernel");
  }
};

llvm::Error error_of(const Status& status) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), status.message());
}

// What instrumented kernels call: functions of the runtime that this process was linked with.
void* find_sanitizer_symbol(const std::string& name) {
  if (kKernelInstrument == codegen::Instrument::kNothing) return nullptr;
  return name.starts_with("__asan_") ? dlsym(RTLD_DEFAULT, name.c_str()) : nullptr;
}

// The pages of one kernel. The linker works on a copy in ordinary memory.
class InFlightPages : public JITLinkMemoryManager::InFlightAlloc {
 public:
  InFlightPages(CodePages pages, std::vector<char> copy, Linked& linked)
      : pages_(std::move(pages)), copy_(std::move(copy)), linked_(linked) {}

  void abandon(OnAbandonedFunction on_abandoned) override {
    pages_ = CodePages();
    on_abandoned(llvm::Error::success());
  }

  void finalize(OnFinalizedFunction on_finalized) override {
    if (Status status = pages_.publish(copy_); !status.ok()) {
      linked_.publish_failed = true;
      return on_finalized(error_of(status));
    }
    linked_.pages = std::move(pages_);
    on_finalized(JITLinkMemoryManager::FinalizedAlloc(
        llvm::orc::ExecutorAddr::fromPtr(linked_.pages.data())));
  }

 private:
  CodePages pages_;
  std::vector<char> copy_;
  Linked& linked_;
};

// Lays code and read-only data of a kernel one behind the other.
class KernelMemoryManager : public JITLinkMemoryManager {
 public:
  KernelMemoryManager(CodeMemory& memory, Linked& linked) : memory_(memory), linked_(linked) {}

  void allocate(const JITLinkDylib*, LinkGraph& graph, OnAllocatedFunction on_allocated) override {
    BasicLayout layout(graph);
    size_t size = 0;
    for (auto& [group, segment] : layout.segments()) {
      if (llvm::orc::toSysMemoryProtectionFlags(group.getMemProt()) & llvm::sys::Memory::MF_WRITE)
        return on_allocated(error_of(invalid_argument("the object has writable data")));
      size = llvm::alignTo(size, segment.Alignment) + segment.ContentSize + segment.ZeroFillSize;
    }
    auto pages = memory_.allocate(size);
    if (!pages) return on_allocated(error_of(pages.status()));
    std::vector<char> copy(size);
    place(layout, *pages, copy);
    if (auto error = layout.apply()) return on_allocated(std::move(error));
    on_allocated(std::make_unique<InFlightPages>(*std::move(pages), std::move(copy), linked_));
  }

  void deallocate(std::vector<FinalizedAlloc> pages, OnDeallocatedFunction done) override {
    for (FinalizedAlloc& each : pages) each.release();
    done(llvm::Error::success());
  }

 private:
  static void place(BasicLayout& layout, const CodePages& pages, std::vector<char>& copy) {
    size_t offset = 0;
    for (auto& [group, segment] : layout.segments()) {
      offset = llvm::alignTo(offset, segment.Alignment);
      segment.Addr = llvm::orc::ExecutorAddr::fromPtr(pages.data() + offset);
      segment.WorkingMem = copy.data() + offset;
      offset += segment.ContentSize + segment.ZeroFillSize;
    }
  }

  CodeMemory& memory_;
  Linked& linked_;
};

class KernelContext : public JITLinkContext {
 public:
  KernelContext(CodeMemory& memory, const std::string& function_name, Linked& linked)
      : JITLinkContext(nullptr),
        memory_(memory, linked),
        function_name_(function_name),
        linked_(linked) {}

  JITLinkMemoryManager& getMemoryManager() override { return memory_; }
  void notifyFailed(llvm::Error error) override { linked_.fail(std::move(error)); }

  // Kernels need nothing from outside, so nothing is offered to them: not even libc. But for what
  // they call under a sanitizer.
  void lookup(const LookupMap& symbols,
              std::unique_ptr<llvm::jitlink::JITLinkAsyncLookupContinuation> next) override {
    llvm::jitlink::AsyncLookupResult found;
    for (const auto& [name, flags] : symbols) {
      void* const address = find_sanitizer_symbol(name.str());
      if (address == nullptr)
        return next->run(error_of(invalid_argument("undefined symbol " + name.str())));
      found[name] = {llvm::orc::ExecutorAddr::fromPtr(address), llvm::JITSymbolFlags::Exported};
    }
    next->run(std::move(found));
  }

  llvm::Error notifyResolved(LinkGraph& graph) override {
    for (const llvm::jitlink::Symbol* symbol : graph.defined_symbols())
      if (symbol->hasName() && symbol->getName() == function_name_) {
        linked_.address = symbol->getAddress();
        linked_.code_bytes = symbol->getSize();
        return llvm::Error::success();
      }
    return error_of(invalid_argument("the object does not define " + function_name_));
  }

  // The pages are in linked_ already.
  void notifyFinalized(JITLinkMemoryManager::FinalizedAlloc pages) override { pages.release(); }

 private:
  KernelMemoryManager memory_;
  const std::string& function_name_;
  Linked& linked_;
};

// The linker writes into the buffer it is given, so it gets a copy of its own.
Linked link_into(CodeMemory& memory, const std::string& object, const std::string& function_name) {
  Linked linked;
  const auto buffer = llvm::MemoryBuffer::getMemBufferCopy(object, "kernel");
  if (auto graph = llvm::jitlink::createLinkGraphFromObject(buffer->getMemBufferRef()))
    llvm::jitlink::link(std::move(*graph),
                        std::make_unique<KernelContext>(memory, function_name, linked));
  else
    linked.fail(graph.takeError());
  return linked;
}

}  // namespace

std::shared_ptr<JitSession> JitSession::create(std::shared_ptr<JitProfile> profile) {
  return std::shared_ptr<JitSession>(new JitSession(std::move(profile)));
}

Result<std::unique_ptr<LoadedCode>> JitSession::link(const std::string& object,
                                                     const std::string& function_name,
                                                     const std::string& symbol) {
  Linked linked = link_into(*memory_, object, function_name);
  // The process has lost a right that it had when the slab was made; another slab does without.
  if (linked.publish_failed) linked = link_into(*memory_, object, function_name);
  if (linked.failure) return *linked.failure;
  const std::span<const char> code(linked.address.toPtr<const char*>(), linked.code_bytes);
  return std::make_unique<LoadedCode>(std::move(linked.pages),
                                      linked.address.toPtr<codegen::KernelFunction>(),
                                      ProfiledCode(profile_, symbol, code));
}

}  // namespace convgen
