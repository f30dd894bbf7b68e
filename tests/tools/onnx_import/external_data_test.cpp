// SPDX-License-Identifier: Apache-2.0
// Weights in files beside the model: refused unless asked for, and then only beneath the model's
// directory, in plain files with one name.
#include "tools/onnx_import/external_data.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/tools/onnx_import/import_support.h"

namespace convgen::onnx_import {
namespace {

namespace fs = std::filesystem;
using testing::ModelBuilder;

class ExternalDataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "convgen_onnx.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    models_ = root_ / "models";
    fs::create_directories(models_ / "sub");
    write(models_ / "w.bin", std::string(8, 'x') + data());
    write(models_ / "sub" / "w.bin", std::string(8, 'x') + data());
    write(root_ / "secret.bin", std::string(8, 'x') + data());
  }
  void TearDown() override { fs::remove_all(root_); }

  static void write(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

  // The 27 weights that the files hold: 0, 1, 2 ...
  static std::string data() {
    std::string bytes(27 * sizeof(float), '\0');
    for (int i = 0; i < 27; ++i) reinterpret_cast<float*>(bytes.data())[i] = static_cast<float>(i);
    return bytes;
  }

  static std::string model(const std::string& location, const std::string& offset = "8",
                           const std::string& length = "108") {
    ModelBuilder net;
    net.output(net.conv(net.input("x", {1, 3, 8, 8}), {.oc = 1}));
    onnx::TensorProto& weights = *net.model().mutable_graph()->mutable_initializer(0);
    weights.clear_raw_data();
    weights.set_data_location(onnx::TensorProto::EXTERNAL);
    const auto say = [&](const std::string& key, const std::string& value) {
      if (value.empty()) return;
      onnx::StringStringEntryProto& entry = *weights.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    };
    say("location", location);
    say("offset", offset);
    say("length", length);
    return net.bytes();
  }

  Result<ImportedModel> import(const std::string& bytes) const {
    ImportOptions options;
    options.read_weights = options.external_data = true;
    return import_bytes(bytes, models_, options);
  }

  std::string why(const std::string& location, const std::string& offset = "8",
                  const std::string& length = "108") const {
    const std::string message = import(model(location, offset, length)).status().message();
    const std::string label = "Conv '/Conv_0': ";
    return message.starts_with(label) ? message.substr(label.size()) : message;
  }

  fs::path root_, models_;
};

const std::string kOutside = "must lie beneath the model's directory, without symbolic links";

TEST_F(ExternalDataTest, RefusedByDefault) {
  EXPECT_EQ(import_bytes(model("w.bin"), models_, {}).status().message(),
            "tensor 'Conv_0.weight': its data lies outside of the model; --external-data reads "
            "files beneath the model's directory");
}

TEST_F(ExternalDataTest, ReadWhereAllowed) {
  for (const std::string location : {"w.bin", "sub/w.bin", "sub/../w.bin", "./w.bin"}) {
    const Result<ImportedModel> imported = import(model(location));
    ASSERT_TRUE(imported.ok()) << location << ": " << imported.status().message();
    ASSERT_EQ(imported->convs[0].weights.size(), 27u);
    EXPECT_EQ(imported->convs[0].weights[26], 26);
  }
  EXPECT_TRUE(import(model("w.bin", "8", "")).ok()) << "the length may be left out";
}

// CVE-2022-25882, CVE-2024-27318, CVE-2026-27489 and their like.
TEST_F(ExternalDataTest, NoWayOut) {
  const fs::path secret = root_ / "secret.bin";
  fs::create_symlink(secret, models_ / "link.bin");
  fs::create_directory_symlink(root_, models_ / "up");
  fs::create_hard_link(secret, models_ / "hard.bin");
  ASSERT_EQ(::mkfifo((models_ / "fifo").c_str(), 0600), 0);
  for (const std::string& location :
       {std::string("../secret.bin"), std::string("sub/../../secret.bin"),
        std::string("w.bin/../../secret.bin"), secret.string(), std::string("link.bin"),
        std::string("up/secret.bin"), std::string("/proc/self/root") + secret.string()}) {
    const std::string message = why(location);
    EXPECT_TRUE(message.find(kOutside) != message.npos || location.starts_with("w.bin/"))
        << location << ": " << message;
    EXPECT_FALSE(message.empty()) << location;
  }
  EXPECT_EQ(why("hard.bin"), "external data 'hard.bin': has 2 hard links, expected one name");
  EXPECT_EQ(why("fifo"), "external data 'fifo': is no regular file");
  EXPECT_EQ(why("sub"), "external data 'sub': is no regular file");
  EXPECT_EQ(why(std::string("w.bin\0x", 7)), "external data 'w.bin?x': is no path");
  EXPECT_EQ(why("absent.bin"), "cannot read external data 'absent.bin': No such file or directory");
}

TEST_F(ExternalDataTest, SizesAreThoseOfTheFile) {
  EXPECT_EQ(why("w.bin", "9"),
            "external data 'w.bin': 108 bytes at offset 9 asked for, it has 116");
  EXPECT_EQ(why("w.bin", "9223372036854775807"),
            "external data 'w.bin': 108 bytes at offset 9223372036854775807 asked for, it has 116");
  EXPECT_EQ(why("w.bin", "-1"), "tensor 'Conv_0.weight': external offset '-1' is no number");
  EXPECT_EQ(why("w.bin", "8", "107"),
            "tensor 'Conv_0.weight': external length 107, its dims promise 108 bytes");
  EXPECT_EQ(why("", "8"), "tensor 'Conv_0.weight': external data without a location");
}

}  // namespace
}  // namespace convgen::onnx_import
