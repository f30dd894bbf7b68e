// SPDX-License-Identifier: Apache-2.0
// Reads the oracle's JSON and .npy files: version 1.0, little-endian f4 or f8, C order, whole
// files only. Strict, since a misread oracle would blame the code under test.
#include "tests/support/oracle_cases.h"

#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "ir/text.h"

namespace convgen::testing {
namespace {

static_assert(std::endian::native == std::endian::little, "the .npy data is copied as it is");

constexpr char kMagic[] = "\x93NUMPY\x01\x00";  // 8 bytes with the version, the final NUL apart
constexpr size_t kPreamble = 10;                // magic, version, 16-bit header length

std::string data_path(const std::string& file) {
  return std::string(CONVGEN_TEST_DATA_DIR) + "/oracle/" + file;
}

[[noreturn]] void fail(const std::string& file, const std::string& why) {
  throw std::runtime_error(data_path(file) + ": " + why);
}

std::string read_bytes(const std::string& file) {
  std::ifstream in(data_path(file), std::ios::binary);
  if (!in) fail(file, "cannot be opened");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

nlohmann::json read_json(const std::string& file) {
  return nlohmann::json::parse(read_bytes(file));
}

// The header as numpy writes it for a C-order array of this type and shape.
std::string npy_header(const char* type, const std::vector<int64_t>& dims) {
  std::string shape;
  for (int64_t dim : dims) shape += (shape.empty() ? "" : ", ") + std::to_string(dim);
  if (dims.size() == 1) shape += ",";
  return std::string("{'descr': '") + type + "', 'fortran_order': False, 'shape': (" + shape +
         "), }";
}

template <typename T>
constexpr const char* kNpyType = sizeof(T) == 4 ? "<f4" : "<f8";

// The elements of a file that must hold exactly this type and shape.
template <typename T>
std::vector<T> read_npy(const std::string& file, const std::vector<int64_t>& dims) {
  const std::string bytes = read_bytes(file);
  if (bytes.size() < kPreamble || bytes.compare(0, 8, kMagic, 8) != 0) {
    fail(file, "no .npy file of version 1.0");
  }
  const size_t header_bytes =
      static_cast<uint8_t>(bytes[8]) + 256 * static_cast<size_t>(static_cast<uint8_t>(bytes[9]));
  const std::string header = bytes.substr(kPreamble, header_bytes);
  const std::string expected = npy_header(kNpyType<T>, dims);
  const std::string found = header.substr(0, header.find_last_not_of(" \n") + 1);
  if (found != expected) fail(file, "header " + found + ", expected " + expected);

  size_t count = 1;
  for (int64_t dim : dims) count *= static_cast<size_t>(dim);
  const size_t begin = kPreamble + header_bytes;
  if (bytes.size() != begin + count * sizeof(T)) fail(file, "size and shape disagree");
  std::vector<T> elements(count);
  std::memcpy(elements.data(), bytes.data() + begin, count * sizeof(T));
  return elements;
}

}  // namespace

std::vector<std::string> oracle_case_names() { return read_json("index.json"); }

OracleCase load_oracle_case(const std::string& name) {
  const nlohmann::json json = read_json(name + ".json");
  Result<ir::Conv> conv = ir::parse_conv(json.at("conv").get<std::string>());
  if (!conv.ok()) fail(name + ".json", conv.status().message());

  OracleCase result;
  result.name = name;
  result.conv = *conv;
  result.terms = json.at("terms");
  result.src = read_npy<float>(json.at("src"), conv->src_dims());
  result.weights = read_npy<float>(json.at("weights"), conv->weights_dims());
  if (json.contains("bias")) result.bias = read_npy<float>(json.at("bias"), {conv->oc});
  if (json.contains("add")) result.add = read_npy<float>(json.at("add"), conv->dst_dims());
  result.dst = read_npy<double>(json.at("dst"), conv->dst_dims());
  result.bound = read_npy<double>(json.at("bound"), conv->dst_dims());
  return result;
}

}  // namespace convgen::testing
