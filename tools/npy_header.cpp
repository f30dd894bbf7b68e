// SPDX-License-Identifier: Apache-2.0
// A recursive-descent parser of one production, and its inverse.
//   dict  = "{" { key ":" value "," } "}"      (last comma optional)
//   shape = "(" { number "," } ")"             (last comma optional but for one number)
#include "tools/npy_header.h"

#include <fmt/format.h>

#include <charconv>

namespace convgen::tool {
namespace {

// One byte as a message may show it.
std::string shown(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7f ? fmt::format("'{}'", c) : fmt::format("byte 0x{:02x}", byte);
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& name, size_t offset)
      : text_(text), name_(name), offset_(offset) {}

  Result<NpyHeader> parse() {
    if (Status status = parse_dict(); !status.ok()) return status;
    skip_blanks();
    if (at_ != text_.size()) return error(fmt::format("{} after the header's dict", found()));
    if (!has_descr_ || !has_order_ || !has_shape_) {
      return error("the header must hold 'descr', 'fortran_order' and 'shape'");
    }
    if (Status status = count_elements(); !status.ok()) return status;
    return header_;
  }

 private:
  Status parse_dict() {
    if (Status status = expect('{'); !status.ok()) return status;
    while (!accept('}')) {
      if (Status status = parse_entry(); !status.ok()) return status;
      if (accept(',')) continue;
      return expect('}');
    }
    return Status();
  }

  Status parse_entry() {
    const Result<std::string_view> key = parse_string();
    if (!key.ok()) return key.status();
    if (Status status = expect(':'); !status.ok()) return status;
    if (*key == "descr" && !has_descr_) return parse_descr();
    if (*key == "fortran_order" && !has_order_) return parse_order();
    if (*key == "shape" && !has_shape_) return parse_shape();
    return error("expected the keys 'descr', 'fortran_order' and 'shape', each once");
  }

  Status parse_descr() {
    has_descr_ = true;
    skip_blanks();
    if (at_ < text_.size() && text_[at_] == '[') {
      return error("'descr' names a structured type, expected '<f4' or '<f8'");
    }
    const Result<std::string_view> descr = parse_string();
    if (!descr.ok()) return descr.status();
    if (*descr == "<f4" || *descr == ">f4")
      header_.item_bytes = 4;
    else if (*descr == "<f8" || *descr == ">f8")
      header_.item_bytes = 8;
    else {
      return error(fmt::format("element type '{}', expected '<f4' or '<f8'", printable(*descr)));
    }
    header_.byte_order = descr->front() == '<' ? std::endian::little : std::endian::big;
    return Status();
  }

  Status parse_order() {
    has_order_ = true;
    skip_blanks();
    const std::string_view rest = text_.substr(at_);
    header_.fortran_order = rest.starts_with("True");
    if (!header_.fortran_order && !rest.starts_with("False")) {
      return error(fmt::format("{} as 'fortran_order', expected True or False", found()));
    }
    at_ += header_.fortran_order ? 4 : 5;
    return Status();
  }

  Status parse_shape() {
    has_shape_ = true;
    if (Status status = expect('('); !status.ok()) return status;
    bool comma = true;
    while (!accept(')')) {
      if (!comma) return error(fmt::format("{} in 'shape', expected ',' or ')'", found()));
      if (Status status = parse_extent(); !status.ok()) return status;
      comma = accept(',');
    }
    if (header_.shape.size() == 1 && !comma) {
      return error("'shape' is a number in brackets, expected a tuple such as (3,)");
    }
    return Status();
  }

  Status parse_extent() {
    skip_blanks();
    int64_t extent = 0;
    const char* begin = text_.data() + at_;
    const auto [end, failure] = std::from_chars(begin, text_.data() + text_.size(), extent);
    if (failure == std::errc::result_out_of_range) {
      return error("a number in 'shape' does not fit 64 bits");
    }
    if (failure != std::errc()) {
      return error(fmt::format("{} in 'shape', expected a number", found()));
    }
    if (extent < 0) return error(fmt::format("'shape' holds {}, expected >= 0", extent));
    if (header_.shape.size() == kMaxNpyRank) {
      return error(fmt::format("'shape' holds more than {} dimensions", kMaxNpyRank));
    }
    at_ += static_cast<size_t>(end - begin);
    header_.shape.push_back(extent);
    return Status();
  }

  // The product, which must fit int64 in bytes even with its zeros left out: otherwise a wrapped
  // product could pass for a small array.
  Status count_elements() {
    int64_t nonzero_bytes = header_.item_bytes;
    for (const int64_t extent : header_.shape) {
      if (extent != 0 && __builtin_mul_overflow(nonzero_bytes, extent, &nonzero_bytes)) {
        return error("the product of 'shape' does not fit 64 bits");
      }
      header_.elements *= extent;
    }
    return Status();
  }

  Result<std::string_view> parse_string() {
    skip_blanks();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') {
      return error(fmt::format("{} in the header, expected a quoted word", found()));
    }
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return error("a quoted word does not end");
    const std::string_view word = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return word;
  }

  bool accept(char wanted) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  Status expect(char wanted) {
    if (accept(wanted)) return Status();
    return error(fmt::format("{} in the header, expected '{}'", found(), wanted));
  }

  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }

  std::string found() const { return at_ < text_.size() ? shown(text_[at_]) : "the end"; }

  static std::string printable(std::string_view text) {
    std::string safe(text.substr(0, 40));
    for (char& c : safe) {
      if (c < 0x20 || c == 0x7f) c = '?';
    }
    return safe;
  }

  Status error(const std::string& what) const {
    return invalid_argument(fmt::format("{}: byte {}: {}", name_, offset_ + at_, what));
  }

  std::string_view text_;
  const std::string& name_;
  size_t offset_;
  size_t at_ = 0;
  NpyHeader header_;
  bool has_descr_ = false;
  bool has_order_ = false;
  bool has_shape_ = false;
};

}  // namespace

Result<NpyHeader> parse_npy_header(std::string_view text, const std::string& name, size_t offset) {
  return Parser(text, name, offset).parse();
}

std::string print_npy_header(const std::vector<int64_t>& shape) {
  std::string tuple;
  for (const int64_t extent : shape) tuple += fmt::format("{}, ", extent);
  if (shape.size() == 1) tuple.pop_back();
  if (shape.size() > 1) tuple.resize(tuple.size() - 2);
  std::string dict =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", tuple);

  // Magic, version and length take 10 bytes; the format wants the data aligned to 64.
  constexpr size_t kPreambleBytes = 10;
  while ((kPreambleBytes + dict.size() + 1) % 64 != 0) dict += ' ';
  dict += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += {'\x01', '\x00'};
  bytes += {static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)};
  return bytes + dict;
}

}  // namespace convgen::tool
