// SPDX-License-Identifier: Apache-2.0
#include "codegen/archive.h"

#include <llvm/Object/ArchiveWriter.h>
#include <llvm/Support/Error.h>
#include <llvm/Support/MemoryBuffer.h>

#include <vector>

namespace convgen::codegen {

Result<std::string> write_archive(std::span<const ArchiveMember> members) {
  std::vector<llvm::NewArchiveMember> files;
  for (const ArchiveMember& member : members)
    files.emplace_back(llvm::MemoryBufferRef(member.object, member.name));
  auto buffer = llvm::writeArchiveToBuffer(files, llvm::SymtabWritingMode::NormalSymtab,
                                           llvm::object::Archive::K_GNU, /*Deterministic=*/true,
                                           /*Thin=*/false);
  if (!buffer) return internal_error("archive: " + llvm::toString(buffer.takeError()));
  return (*buffer)->getBuffer().str();
}

}  // namespace convgen::codegen
