// SPDX-License-Identifier: Apache-2.0
// convgen import as a user meets it: lists for other commands, files, messages, exit codes.
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "tests/support/child_process.h"
#include "tests/tools/onnx_import/import_support.h"
#include "tools/npy.h"

namespace convgen::onnx_import {
namespace {

namespace fs = std::filesystem;
using testing::ModelBuilder;

class CmdImportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "convgen_import.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    work_ = pattern;
    ModelBuilder net;
    std::string x = net.input("image", {-1, 3, 8, 8});
    auto& dims = *net.model()
                      .mutable_graph()
                      ->mutable_input(0)
                      ->mutable_type()
                      ->mutable_tensor_type()
                      ->mutable_shape();
    dims.mutable_dim(0)->set_dim_param("N");
    x = net.node("Relu", {net.batch_norm(net.conv(x, {.oc = 8}))});
    net.output(net.conv(x, {.oc = 8, .kernel = 1, .pad = 0, .groups = 8}));
    std::ofstream(work_ / "net.onnx", std::ios::binary) << net.bytes();
  }
  void TearDown() override { fs::remove_all(work_); }

  // A line of shell in the directory of net.onnx, where $C is the command.
  testing::ChildProcess::Ended shell(const std::string& line) const {
    const std::string script =
        "set -o pipefail; cd '" + work_.string() + "'; C='" CONVGEN_TOOL_PATH "'; " + line;
    return testing::ChildProcess({"/bin/bash", "-c", script}, {{"CONVGEN_CACHE_DIR", ""}}).wait();
  }

  fs::path work_;
};

const std::string kFirst =
    "conv2d src=f32:nchw:1x3x8x8 weights=f32:oihw:8x3x3x3 pads=1x1 post=bias,relu name=Conv_0\n";
const std::string kSecond =
    "conv2d src=f32:nchw:1x8x8x8 weights=f32:oihw:8x1x1x1 groups=8 name=Conv_1\n";

TEST_F(CmdImportTest, ListsOneALine) {
  for (const std::string line :
       {"$C import net.onnx --dim N=1", "$C import net.onnx --shape image=1x3x8x8",
        "$C import - --dim N=1 < net.onnx"}) {
    const auto ended = shell(line);
    EXPECT_EQ(ended.exit, 0) << line;
    EXPECT_EQ(ended.out, kFirst + kSecond) << line;
  }
}

TEST_F(CmdImportTest, OtherCommandsTakeTheList) {
  const auto verified = shell("$C import net.onnx --dim N=1 | $C verify @-");
  EXPECT_EQ(verified.exit, 0) << verified.out;
  EXPECT_NE(verified.out.find("2 passed, 0 failed"), std::string::npos) << verified.out;
  const auto timed = shell("$C import net.onnx --dim N=1 | $C bench @- --json --seconds 0");
  EXPECT_EQ(timed.exit, 0) << timed.out;
  EXPECT_NE(timed.out.find("\"name\":\"Conv_1\""), std::string::npos) << timed.out;
  const auto tuned = shell(
      "export CONVGEN_CACHE_DIR=$PWD/cache; $C import net.onnx --dim N=1 | $C tune @- --budget "
      "0.01");
  EXPECT_EQ(tuned.exit, 0) << tuned.out;
}

// The weights fit `convgen run` with the text of the same line.
TEST_F(CmdImportTest, WeightsFitTheTexts) {
  const auto ended = shell("$C import net.onnx --dim N=1 --weights w && ls w");
  EXPECT_EQ(ended.exit, 0) << ended.out;
  EXPECT_EQ(ended.out,
            kFirst + kSecond + "Conv_0.bias.npy\nConv_0.weights.npy\nConv_1.weights.npy\n");
  const auto weights = tool::read_npy(work_ / "w" / "Conv_0.weights.npy");
  ASSERT_TRUE(weights.ok());
  EXPECT_EQ(weights->shape, (std::vector<int64_t>{8, 3, 3, 3}));
  ASSERT_TRUE(tool::write_npy(work_ / "x.npy", {{1, 3, 8, 8}, std::vector<float>(192, 0.5f)}).ok());
  const auto computed = shell(
      "$C run \"$($C import net.onnx --dim N=1 | head -1)\" --src x.npy "
      "--weights w/Conv_0.weights.npy --bias w/Conv_0.bias.npy --dst y.npy");
  EXPECT_EQ(computed.exit, 0) << computed.out;
  EXPECT_TRUE(fs::exists(work_ / "y.npy"));
}

TEST_F(CmdImportTest, BadRequestsSayWhy) {
  const std::pair<std::string, std::string> cases[] = {
      {"$C import net.onnx",
       "net.onnx: Conv '/Conv_0': dim 0 of its input 'image' is not known: 'N'; the model leaves "
       "open: "
       "image=Nx3x8x8; give --dim NAME=N or --shape INPUT=DIMS"},
      {"$C import absent.onnx", "cannot read absent.onnx: No such file or directory"},
      {"$C import . ", "cannot read .: it is a directory"},
      {"$C import /dev/null", "/dev/null: no ONNX model, it has no graph or says no operator set"},
      {"$C import net.onnx --dim N", "--dim N: expected NAME=N"},
      {"$C import net.onnx --dim N=1x2", "--dim N=1x2: expected NAME=N"},
      {"$C import net.onnx --dim N=-1", "--dim N=-1: expected NAME=N"},
      {"$C import net.onnx --shape image=",
       "--shape image=: expected INPUT=DIMS, as in input=1x3x224x224"},
      {"$C import net.onnx --dim N=1 --weights absent/w",
       "cannot make absent/w: No such file or directory"},
      {"$C import net.onnx --dim N=1 --weights net.onnx", "cannot make net.onnx: File exists"},
  };
  for (const auto& [line, message] : cases) {
    const auto ended = shell(line);
    EXPECT_EQ(ended.exit, 2) << line;
    EXPECT_EQ(ended.out, "convgen: error: " + message + "\n") << line;
  }
}

}  // namespace
}  // namespace convgen::onnx_import
