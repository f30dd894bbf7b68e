// SPDX-License-Identifier: Apache-2.0
// GDB's JIT interface ("JIT Compilation Interface" in its manual): a list of object files in
// memory, and a function on which debuggers set a breakpoint. A process has one of each; convgen
// uses those in libLLVM. An object here says no more than where a function is: its code is read
// from memory.
#include <llvm/BinaryFormat/ELF.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <string_view>

#include "runtime/code_listener.h"

// Names and types are GDB's.
extern "C" {
struct jit_code_entry {
  jit_code_entry* next_entry;
  jit_code_entry* prev_entry;
  const char* symfile_addr;
  uint64_t symfile_size;
};
struct jit_descriptor {
  uint32_t version;
  uint32_t action_flag;  // 1: relevant_entry came, 2: it goes
  jit_code_entry* relevant_entry;
  jit_code_entry* first_entry;
};
extern jit_descriptor __jit_debug_descriptor;
void __jit_debug_register_code();
}

namespace convgen {
namespace {

namespace elf = llvm::ELF;

constexpr std::string_view kSectionNames("\0.text\0.symtab\0.strtab\0", 23);
enum Section : uint16_t { kNone, kText, kSymbols, kNames, kSections };

// A relocatable object whose .text has an address, and no bytes; names follow it.
struct DebugObject {
  elf::Elf64_Ehdr header{};
  elf::Elf64_Shdr sections[kSections] = {};
  elf::Elf64_Sym symbols[2] = {};  // the first stands for none, by the rules of ELF
};

elf::Elf64_Ehdr make_header() {
  elf::Elf64_Ehdr header{};
  std::memcpy(header.e_ident, elf::ElfMagic, 4);
  header.e_ident[elf::EI_CLASS] = elf::ELFCLASS64;
  header.e_ident[elf::EI_DATA] = elf::ELFDATA2LSB;
  header.e_ident[elf::EI_VERSION] = elf::EV_CURRENT;
  header.e_type = elf::ET_REL;
  header.e_machine = kHostMachine;
  header.e_version = elf::EV_CURRENT;
  header.e_shoff = offsetof(DebugObject, sections);
  header.e_ehsize = sizeof(elf::Elf64_Ehdr);
  header.e_shentsize = sizeof(elf::Elf64_Shdr);
  header.e_shnum = kSections;
  header.e_shstrndx = kNames;
  return header;
}

elf::Elf64_Shdr make_section(std::string_view name, uint32_t type, size_t offset, size_t size) {
  elf::Elf64_Shdr section{};
  section.sh_name = static_cast<uint32_t>(kSectionNames.find(name));
  section.sh_type = type;
  section.sh_offset = offset;
  section.sh_size = size;
  section.sh_addralign = 1;
  return section;
}

std::string make_debug_object(const std::string& symbol, std::span<const char> code) {
  DebugObject object{.header = make_header()};
  elf::Elf64_Shdr& text = object.sections[kText];
  text = make_section(".text", elf::SHT_NOBITS, 0, code.size());
  text.sh_flags = elf::SHF_ALLOC | elf::SHF_EXECINSTR;
  text.sh_addr = reinterpret_cast<uintptr_t>(code.data());
  elf::Elf64_Shdr& symbols = object.sections[kSymbols];
  symbols = make_section(".symtab", elf::SHT_SYMTAB, offsetof(DebugObject, symbols),
                         sizeof object.symbols);
  symbols.sh_entsize = sizeof(elf::Elf64_Sym);
  symbols.sh_link = kNames;
  symbols.sh_info = 1;  // symbols before this one are local
  object.sections[kNames] = make_section(".strtab", elf::SHT_STRTAB, sizeof object,
                                         kSectionNames.size() + symbol.size() + 1);
  elf::Elf64_Sym& function = object.symbols[1];
  function.st_name = kSectionNames.size();
  function.setBindingAndType(elf::STB_GLOBAL, elf::STT_FUNC);
  function.st_shndx = kText;
  function.st_size = code.size();
  std::string bytes(reinterpret_cast<const char*>(&object), sizeof object);
  return bytes.append(kSectionNames).append(symbol).append(1, '\0');
}

// One list in a process, so one lock for all engines. Never taken but where gdb was asked for.
std::mutex& list_mutex() {
  static std::mutex mutex;
  return mutex;
}

void tell_debuggers(uint32_t action, jit_code_entry& entry) {
  __jit_debug_descriptor.action_flag = action;
  __jit_debug_descriptor.relevant_entry = &entry;
  __jit_debug_register_code();
}

class GdbListener : public CodeListener {
 public:
  void add(const std::string& symbol, std::span<const char> code) override {
    const std::lock_guard lock(list_mutex());
    Entry& entry = entries_[code.data()];
    entry.object = make_debug_object(symbol, code);
    jit_code_entry*& first = __jit_debug_descriptor.first_entry;
    entry.link = {first, nullptr, entry.object.data(), entry.object.size()};
    if (first != nullptr) first->prev_entry = &entry.link;
    first = &entry.link;
    tell_debuggers(1, entry.link);
  }

  void remove(std::span<const char> code) override {
    const std::lock_guard lock(list_mutex());
    const auto found = entries_.find(code.data());
    if (found == entries_.end()) return;
    jit_code_entry& link = found->second.link;
    if (link.next_entry != nullptr) link.next_entry->prev_entry = link.prev_entry;
    (link.prev_entry != nullptr ? link.prev_entry->next_entry
                                : __jit_debug_descriptor.first_entry) = link.next_entry;
    tell_debuggers(2, link);
    entries_.erase(found);
  }

 private:
  struct Entry {
    jit_code_entry link{};
    std::string object;
  };
  std::map<const char*, Entry> entries_;  // whose places in memory do not change
};

}  // namespace

std::unique_ptr<CodeListener> make_gdb_listener() { return std::make_unique<GdbListener>(); }

}  // namespace convgen
