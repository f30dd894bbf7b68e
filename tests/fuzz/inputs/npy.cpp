// SPDX-License-Identifier: Apache-2.0
// .npy files, read from a file and from a pipe, which must agree. What is accepted holds as many
// numbers as its shape says and its bytes have, and is the same array when written and read again.
#include "tools/npy.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tests/fuzz/inputs/expect.h"
#include "tools/npy_header.h"
#include "tools/output_file.h"

namespace convgen::fuzz_inputs {
namespace {

using tool::FileDescriptor;
using tool::NpyArray;

std::string path_of(const FileDescriptor& fd) {
  return "/proc/self/fd/" + std::to_string(fd.get());
}

void fill(int fd, std::string_view bytes) {
  expect(::write(fd, bytes.data(), bytes.size()) == static_cast<ptrdiff_t>(bytes.size()),
         "the target can write its own memory");
}

Result<NpyArray> read_as_file(std::string_view bytes) {
  const FileDescriptor file(::memfd_create("npy", MFD_CLOEXEC));
  fill(file.get(), bytes);
  return tool::read_npy(path_of(file));
}

// Inputs are smaller than what a pipe holds.
Result<NpyArray> read_as_pipe(std::string_view bytes) {
  int ends[2];
  expect(::pipe(ends) == 0, "the target can make a pipe");
  const FileDescriptor reader(ends[0]);
  fill(ends[1], bytes);
  ::close(ends[1]);
  return tool::read_npy(path_of(reader));
}

bool same_array(const NpyArray& a, const NpyArray& b) {
  return a.shape == b.shape && a.data.size() == b.data.size() &&
         (a.data.empty() ||
          std::memcmp(a.data.data(), b.data.data(), a.data.size() * sizeof(float)) == 0);
}

// The bytes before the data: what the version's length field says, and itself.
size_t header_bytes(std::string_view bytes) {
  const auto byte = [&](size_t at) { return size_t{static_cast<uint8_t>(bytes[at])}; };
  return byte(6) == 1 ? 10 + byte(8) + 256 * byte(9)
                      : 12 + byte(8) + 256 * (byte(9) + 256 * (byte(10) + 256 * byte(11)));
}

void expect_sizes(const NpyArray& array, std::string_view bytes) {
  __int128 elements = 1;
  for (const int64_t extent : array.shape) elements *= extent;
  expect(elements == static_cast<__int128>(array.data.size()), "the shape counts the numbers");
  const size_t data_bytes = bytes.size() - header_bytes(bytes);
  const bool is_f32 = data_bytes == 4 * array.data.size();
  expect(is_f32 || data_bytes == 8 * array.data.size(), "every byte is part of a number");
}

void expect_written_the_same(const NpyArray& array) {
  const std::string_view data(reinterpret_cast<const char*>(array.data.data()),
                              array.data.size() * sizeof(float));
  const std::string header = tool::print_npy_header(array.shape);
  const auto again = read_as_file(header + std::string(data));
  expect(again.ok(), "what is written is read", header + again.status().message());
  expect(same_array(array, *again), "what is written is read as the same", header);
}

}  // namespace
}  // namespace convgen::fuzz_inputs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace convgen::fuzz_inputs;  // NOLINT: it is all about them
  const std::string_view bytes = text_of(data, size);
  constexpr size_t kPipeBytes = 64 << 10;
  if (size > kPipeBytes) return 0;
  const auto array = read_as_file(bytes);
  const auto piped = read_as_pipe(bytes);
  expect(array.ok() == piped.ok(), "a pipe is read as a file is", array.status().message());
  if (!array.ok()) {
    expect_field_named(array.status());
    expect_field_named(piped.status());
    return 0;
  }
  expect(same_array(*array, *piped), "a pipe holds what a file holds");
  expect_sizes(*array, bytes);
  expect_written_the_same(*array);
  return 0;
}
