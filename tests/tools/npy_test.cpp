// SPDX-License-Identifier: Apache-2.0
// .npy files, good and malicious: each bad one must be refused with the file and the byte named,
// and before memory is taken for what it claims.
#include "tools/npy.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

#include "tools/npy_header.h"

namespace convgen::tool {
namespace {

namespace fs = std::filesystem;

std::string preamble(int version, size_t header_bytes) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    bytes += static_cast<char>(header_bytes >> (8 * i) & 0xff);
  }
  return bytes;
}

std::string npy(const std::string& dict, const std::string& data, int version = 1) {
  return preamble(version, dict.size() + 1) + dict + "\n" + data;
}

std::string dict(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }";
}

template <typename T>
std::string bytes_of(const std::vector<T>& values, bool swap = false) {
  std::string bytes;
  for (const T& value : values) {
    std::string item(sizeof value, '\0');
    std::memcpy(item.data(), &value, sizeof value);
    if (swap) std::reverse(item.begin(), item.end());
    bytes += item;
  }
  return bytes;
}

class NpyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "convgen_npy.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name = "t.npy") const { return directory_ / name; }

  Result<NpyArray> read(const std::string& bytes) const {
    std::ofstream(path(), std::ios::binary).write(bytes.data(), std::ssize(bytes));
    return read_npy(path());
  }

  void expect_array(const std::string& bytes, const std::vector<int64_t>& shape,
                    const std::vector<float>& data) const {
    const Result<NpyArray> array = read(bytes);
    ASSERT_TRUE(array.ok()) << array.status().message();
    EXPECT_EQ(array->shape, shape);
    EXPECT_EQ(array->data, data);
  }

  void expect_error(const std::string& bytes, const std::string& message) const {
    const Result<NpyArray> array = read(bytes);
    ASSERT_FALSE(array.ok()) << "expected: " << message;
    EXPECT_EQ(array.status().code(), StatusCode::kInvalidArgument);
    EXPECT_TRUE(array.status().message().starts_with(path() + ": byte "))
        << array.status().message();
    EXPECT_NE(array.status().message().find(message), std::string::npos)
        << array.status().message();
  }

  fs::path directory_;
};

// --- Good files ---

TEST_F(NpyTest, ReadsEveryElementType) {
  const std::vector<float> f32 = {1.5f, -2, 3e-40f};
  const std::vector<double> f64 = {1.5, -2, static_cast<double>(3e-40f)};
  expect_array(npy(dict("<f4", "(3,)"), bytes_of(f32)), {3}, f32);
  expect_array(npy(dict(">f4", "(3,)"), bytes_of(f32, true)), {3}, f32);
  expect_array(npy(dict("<f8", "(3,)"), bytes_of(f64)), {3}, f32);
  expect_array(npy(dict(">f8", "(3,)"), bytes_of(f64, true)), {3}, f32);
}

TEST_F(NpyTest, RoundsF64ToTheNearestF32) {
  const std::vector<double> f64 = {0.1, 1e300, -1e300};
  const float inf = std::numeric_limits<float>::infinity();
  expect_array(npy(dict("<f8", "(3,)"), bytes_of(f64)), {3}, {0.1f, inf, -inf});
}

TEST_F(NpyTest, ReadsEveryVersion) {
  for (const int version : {1, 2, 3}) {
    expect_array(npy(dict("<f4", "(2,)"), bytes_of<float>({1, 2}), version), {2}, {1, 2});
  }
}

TEST_F(NpyTest, TurnsFortranOrderIntoC) {
  expect_array(npy(dict("<f4", "(2, 3)", true), bytes_of<float>({1, 4, 2, 5, 3, 6})), {2, 3},
               {1, 2, 3, 4, 5, 6});
  expect_array(npy(dict("<f4", "(2, 1, 2)", true), bytes_of<float>({1, 3, 2, 4})), {2, 1, 2},
               {1, 2, 3, 4});
  expect_array(npy(dict("<f4", "(2, 0)", true), ""), {2, 0}, {});
}

TEST_F(NpyTest, ReadsScalarsAndEmptyArrays) {
  expect_array(npy(dict("<f4", "()"), bytes_of<float>({7})), {}, {7});
  expect_array(npy(dict("<f4", "(0, 5)"), ""), {0, 5}, {});
}

TEST_F(NpyTest, ReadsOtherSpellingsOfTheDict) {
  expect_array(
      npy("{\"shape\":(2,),\"descr\":\"<f4\",\"fortran_order\":False}", bytes_of<float>({1, 2})),
      {2}, {1, 2});
  expect_array(npy("  { 'shape' : ( 1 , 2 , ) , 'fortran_order':False , 'descr':'<f4' }   ",
                   bytes_of<float>({1, 2})),
               {1, 2}, {1, 2});
}

TEST_F(NpyTest, ReadsAPipe) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const std::string bytes = npy(dict("<f4", "(2,)"), bytes_of<float>({1, 2}));
  std::thread writer([&] { std::ofstream(path("pipe"), std::ios::binary) << bytes; });
  const Result<NpyArray> array = read_npy(path("pipe"));
  writer.join();
  ASSERT_TRUE(array.ok()) << array.status().message();
  EXPECT_EQ(array->data, (std::vector<float>{1, 2}));
}

// --- Bad files ---

TEST_F(NpyTest, RefusesAHeaderThatClaims4GiB) {
  const std::string bytes = preamble(2, 0xffffffff);
  ASSERT_EQ(bytes.size(), 12u);
  expect_error(bytes, "byte 8: a header of 4294967295 bytes, at most 65536 are accepted");
}

TEST_F(NpyTest, RefusesAProductThatWraps) {
  const std::string product = "the product of 'shape' does not fit 64 bits";
  expect_error(npy(dict("<f4", "(4294967296, 4294967296)"), ""), product);
  expect_error(npy(dict("<f4", "(9223372036854775807, 2)"), ""), product);
  expect_error(npy(dict("<f4", "(4611686018427387904,)"), ""), product);
  expect_error(npy(dict("<f4", "(0, 4294967296, 4294967296)"), ""), product);
  expect_error(npy(dict("<f4", "(9223372036854775808,)"), ""), "does not fit 64 bits");
}

TEST_F(NpyTest, RefusesDataThatIsNotTheSizePromised) {
  expect_error(npy(dict("<f4", "(2,)"), "1234567"), "7 bytes of data, the header promises 8");
  expect_error(npy(dict("<f4", "(2,)"), "123456789"), "9 bytes of data, the header promises 8");
  expect_error(npy(dict("<f4", "(1099511627776,)"), "1234"),
               "4 bytes of data, the header promises 4398046511104");
}

TEST_F(NpyTest, RefusesAPipeThatDeliversLessThanPromised) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const std::string bytes = npy(dict("<f4", "(1099511627776,)"), "1234");
  std::thread writer([&] { std::ofstream(path("pipe"), std::ios::binary) << bytes; });
  const Result<NpyArray> array = read_npy(path("pipe"));
  writer.join();
  ASSERT_FALSE(array.ok());
  EXPECT_NE(array.status().message().find("before the end of its data"), std::string::npos);
}

TEST_F(NpyTest, RefusesOtherElementTypesByName) {
  for (const std::string descr : {"|O", "<f2", "<i4", "|u1", "f4", "=f4", "<f44", "<c8", ""}) {
    expect_error(npy(dict(descr, "(1,)"), "1234"),
                 "element type '" + descr + "', expected '<f4' or '<f8'");
  }
  expect_error(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "1234"),
               "structured type");
}

TEST_F(NpyTest, RefusesBadShapes) {
  expect_error(npy(dict("<f4", "(-1,)"), ""), "'shape' holds -1, expected >= 0");
  expect_error(npy(dict("<f4", "(1.5,)"), ""), "'.' in 'shape'");
  expect_error(npy(dict("<f4", "(1 2)"), ""), "in 'shape', expected ',' or ')'");
  expect_error(npy(dict("<f4", "(,)"), ""), "in 'shape', expected a number");
  expect_error(npy(dict("<f4", "(1)"), "1234"), "expected a tuple");
  expect_error(npy(dict("<f4", "[1]"), "1234"), "expected '('");
  std::string deep = "(";
  for (int i = 0; i < 33; ++i) deep += "1, ";
  expect_error(npy(dict("<f4", deep + ")"), "1234"), "more than 32 dimensions");
}

TEST_F(NpyTest, RefusesBadDicts) {
  const std::string keys = "expected the keys 'descr', 'fortran_order' and 'shape', each once";
  expect_error(npy("", ""), "expected '{'");
  expect_error(npy("{}", ""), "must hold 'descr', 'fortran_order' and 'shape'");
  expect_error(npy("{'descr': '<f4', 'descr': '<f4'}", ""), keys);
  expect_error(npy("{'evil': 1}", ""), keys);
  expect_error(npy("{'descr: 1}", ""), "a quoted word does not end");
  expect_error(npy("{'descr' '<f4'}", ""), "expected ':'");
  expect_error(npy("{'fortran_order': 0}", ""), "expected True or False");
  expect_error(npy(dict("<f4", "(1,)") + " import os", "1234"), "after the header's dict");
  expect_error(npy(dict("<f4", "(1,)") + std::string(1, '\0'), "1234"), "byte 0x00 after");
}

TEST_F(NpyTest, RefusesOtherMagicsAndVersions) {
  std::string bytes = npy(dict("<f4", "(1,)"), "1234");
  bytes[0] = 'x';
  expect_error(bytes, "byte 0: no .npy file");
  bytes[0] = '\x93';
  bytes[6] = 4;
  expect_error(bytes, "byte 6: version 4.0, expected 1.0, 2.0 or 3.0");
  bytes[6] = 1;
  bytes[7] = 1;
  expect_error(bytes, "byte 6: version 1.1");
}

TEST_F(NpyTest, RefusesAFileCutAnywhere) {
  for (const int version : {1, 2}) {
    const std::string whole = npy(dict("<f8", "(2, 1)"), bytes_of<double>({1, 2}), version);
    for (size_t size = 0; size < whole.size(); ++size) expect_error(whole.substr(0, size), "");
  }
}

// One byte changed anywhere: an array or an error, never a crash.
TEST_F(NpyTest, SurvivesEveryFlippedByte) {
  const std::string whole = npy(dict("<f4", "(2, 1)"), bytes_of<float>({1, 2}));
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int flip : {0x01, 0x10, 0x80, 0xff}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      const Result<NpyArray> array = read(changed);
      EXPECT_TRUE(!array.ok() || array->data.size() <= 2);
    }
  }
}

TEST_F(NpyTest, ReportsWhatTheSystemSays) {
  const Result<NpyArray> missing = read_npy(path("missing.npy"));
  EXPECT_EQ(missing.status().code(), StatusCode::kIoError);
  EXPECT_NE(missing.status().message().find("No such file"), std::string::npos);
  const Result<NpyArray> directory = read_npy(directory_);
  EXPECT_EQ(directory.status().code(), StatusCode::kIoError);
  EXPECT_NE(directory.status().message().find("directory"), std::string::npos);
}

// --- Writing ---

TEST_F(NpyTest, WritesWhatItReads) {
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{}, {6}, {2, 3}, {1, 2, 3, 1}, {0, 4}}) {
    NpyArray array{shape, {}};
    int64_t elements = 1;
    for (const int64_t extent : shape) elements *= extent;
    for (int64_t i = 0; i < elements; ++i) array.data.push_back(static_cast<float>(i) / 3);
    ASSERT_TRUE(write_npy(path(), array).ok());
    const Result<NpyArray> back = read_npy(path());
    ASSERT_TRUE(back.ok()) << back.status().message();
    EXPECT_EQ(back->shape, array.shape);
    EXPECT_EQ(back->data, array.data);
  }
}

TEST_F(NpyTest, WritesTheHeaderNumPyWrites) {
  EXPECT_EQ(print_npy_header({2, 3}).size() % 64, 0u);
  EXPECT_EQ(print_npy_header({2, 3}).substr(10, 60),
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } ");
  EXPECT_NE(print_npy_header({3}).find("'shape': (3,), }"), std::string::npos);
  EXPECT_NE(print_npy_header({}).find("'shape': (), }"), std::string::npos);
  EXPECT_EQ(print_npy_header({3}).back(), '\n');
}

TEST_F(NpyTest, KeepsTheOldFileWhereItCannotWrite) {
  EXPECT_EQ(write_npy(path("no/such/dir.npy"), {{1}, {1}}).code(), StatusCode::kIoError);
  EXPECT_EQ(write_npy(directory_, {{1}, {1}}).code(), StatusCode::kIoError);
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(NpyTest, WritesThroughSymbolicLinksAndKeepsTheMode) {
  ASSERT_TRUE(write_npy(path("real.npy"), {{1}, {1}}).ok());
  ASSERT_EQ(::chmod(path("real.npy").c_str(), 0640), 0);
  fs::create_symlink("real.npy", path("link.npy"));
  ASSERT_TRUE(write_npy(path("link.npy"), {{1}, {2}}).ok());
  EXPECT_TRUE(fs::is_symlink(path("link.npy")));
  EXPECT_EQ(read_npy(path("real.npy"))->data, std::vector<float>{2});
  EXPECT_EQ(fs::status(path("real.npy")).permissions(), static_cast<fs::perms>(0640));
}

TEST_F(NpyTest, WritesToDevicesInPlace) {
  EXPECT_TRUE(write_npy("/dev/null", {{1}, {1}}).ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(write_npy("/dev/full", {{1}, {1}}).code(), StatusCode::kIoError);
}

}  // namespace
}  // namespace convgen::tool
