// SPDX-License-Identifier: Apache-2.0
// The bytes of .npy files around their header. Data is read in pieces, so a pipe whose header
// promises much takes no more memory than it delivers.
#include "tools/npy.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "tools/npy_header.h"
#include "tools/output_file.h"

namespace convgen::tool {
namespace {

static_assert(std::endian::native == std::endian::little, "write_npy writes the host's order");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = 64 << 10;
constexpr size_t kPieceBytes = 1 << 20;

class Reader {
 public:
  Reader(FileDescriptor fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Result<NpyArray> read() {
    Result<NpyHeader> header = read_header();
    if (!header.ok()) return header.status();
    if (Status status = check_size(*header); !status.ok()) return status;
    return read_data(std::move(*header));
  }

 private:
  Result<NpyHeader> read_header() {
    std::array<unsigned char, 12> start{};
    if (Status status = read_exactly(start.data(), 8, "magic and version"); !status.ok()) {
      return status;
    }
    if (std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0) {
      return error(0, "no .npy file, expected the magic \\x93NUMPY");
    }
    const int major = start[6], minor = start[7];
    if (major < 1 || major > 3 || minor != 0) {
      return error(6, fmt::format("version {}.{}, expected 1.0, 2.0 or 3.0", major, minor));
    }
    const size_t length_bytes = major == 1 ? 2 : 4;
    if (Status status = read_exactly(&start[8], length_bytes, "header length"); !status.ok()) {
      return status;
    }
    // The bytes that version 1.0 does not have are still 0.
    const size_t length = start[8] | start[9] << 8 | start[10] << 16 | size_t{start[11]} << 24;
    if (length > kMaxHeaderBytes) {
      return error(
          8, fmt::format("a header of {} bytes, at most {} are accepted", length, kMaxHeaderBytes));
    }
    std::string text(length, '\0');
    const size_t text_offset = offset_;
    if (Status status = read_exactly(text.data(), length, "header"); !status.ok()) return status;
    return parse_npy_header(text, name_, text_offset);
  }

  // A regular file's size is known, so a header that promises more costs nothing.
  Status check_size(const NpyHeader& header) const {
    struct stat info;
    if (::fstat(fd_.get(), &info) != 0) return errno_status("cannot read", name_);
    if (!S_ISREG(info.st_mode)) return Status();
    const int64_t found = info.st_size - ::lseek(fd_.get(), 0, SEEK_CUR);
    const int64_t expected = header.elements * header.item_bytes;
    if (found == expected) return Status();
    return error(offset_, fmt::format("{} bytes of data, the header promises {}", found, expected));
  }

  Result<NpyArray> read_data(NpyHeader header) {
    NpyArray array;
    std::vector<unsigned char> piece;
    const auto elements = static_cast<size_t>(header.elements);
    const auto item_bytes = static_cast<size_t>(header.item_bytes);
    while (array.data.size() < elements) {
      const size_t count = std::min(elements - array.data.size(), kPieceBytes / item_bytes);
      piece.resize(count * item_bytes);
      if (Status s = read_exactly(piece.data(), piece.size(), "data"); !s.ok()) return s;
      append(header, piece, array.data);
    }
    char beyond;
    const ptrdiff_t more = read_fully(fd_.get(), &beyond, 1);
    if (more < 0) return errno_status("cannot read", name_);
    if (more > 0) return error(offset_, "bytes after the data the header promises");
    if (header.fortran_order) array.data = c_order(array.data, header.shape);
    array.shape = std::move(header.shape);
    return array;
  }

  static void append(const NpyHeader& header, std::vector<unsigned char>& bytes,
                     std::vector<float>& data) {
    const auto item_bytes = static_cast<size_t>(header.item_bytes);
    for (size_t at = 0; at < bytes.size(); at += item_bytes) {
      unsigned char* item = &bytes[at];
      if (header.byte_order == std::endian::big) std::reverse(item, item + item_bytes);
      float f32;
      double f64;
      if (item_bytes == sizeof f32) {
        std::memcpy(&f32, item, sizeof f32);
      } else {
        std::memcpy(&f64, item, sizeof f64);
        f32 = static_cast<float>(f64);
      }
      data.push_back(f32);
    }
  }

  // Walks the C order and keeps the place in Fortran order, where the first dimension is
  // contiguous.
  static std::vector<float> c_order(const std::vector<float>& fortran,
                                    const std::vector<int64_t>& shape) {
    std::vector<int64_t> index(shape.size(), 0), step(shape.size(), 1);
    for (size_t d = 1; d < shape.size(); ++d) step[d] = step[d - 1] * shape[d - 1];
    std::vector<float> data;
    data.reserve(fortran.size());
    int64_t place = 0;
    while (data.size() < fortran.size()) {
      data.push_back(fortran[static_cast<size_t>(place)]);
      for (size_t d = shape.size(); d-- > 0;) {
        place += step[d];
        if (++index[d] < shape[d]) break;
        place -= step[d] * shape[d];
        index[d] = 0;
      }
    }
    return data;
  }

  Status read_exactly(void* buffer, size_t bytes, std::string_view what) {
    const ptrdiff_t count = read_fully(fd_.get(), buffer, bytes);
    if (count < 0) return errno_status("cannot read", name_);
    offset_ += static_cast<size_t>(count);
    if (static_cast<size_t>(count) == bytes) return Status();
    return error(offset_, fmt::format("the file ends {} bytes before the end of its {}",
                                      bytes - static_cast<size_t>(count), what));
  }

  Status error(size_t offset, std::string_view what) const {
    return invalid_argument(fmt::format("{}: byte {}: {}", name_, offset, what));
  }

  FileDescriptor fd_;
  std::string name_;
  size_t offset_ = 0;  // bytes read so far
};

}  // namespace

Result<NpyArray> read_npy(const std::string& path) {
  Result<FileDescriptor> fd = open_input(path);
  if (!fd.ok()) return fd.status();
  return Reader(std::move(*fd), input_name(path)).read();
}

Status write_npy(const std::string& path, const NpyArray& array) {
  Result<OutputFile> file = OutputFile::create(path);
  if (!file.ok()) return file.status();
  if (Status status = file->write(print_npy_header(array.shape)); !status.ok()) return status;
  const std::string_view bytes(reinterpret_cast<const char*>(array.data.data()),
                               array.data.size() * sizeof(float));
  if (Status status = file->write(bytes); !status.ok()) return status;
  return file->commit();
}

}  // namespace convgen::tool
