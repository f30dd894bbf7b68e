// SPDX-License-Identifier: Apache-2.0
// Winograd's geometry, its transform of weights, and the transforms as they are emitted: read off
// the module as matrices, they satisfy the identity that makes the algorithm, have the magnitudes
// that the bound is computed from, and round no more often than it allows.
#include "codegen/winograd.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/LLVMContext.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "codegen/compile.h"
#include "codegen/emit_kernel.h"
#include "codegen/nest_shape.h"
#include "codegen/packed_layout.h"
#include "codegen/winograd_transforms.h"
#include "ir/winograd_reference.h"
#include "tests/codegen/codegen_test_support.h"
#include "tests/support/random.h"

namespace convgen::codegen {
namespace {

using convgen::testing::Random;
using testing::conv_of;
using testing::schedule_of;
using testing::target_of;

// --- Where it applies ---

bool can_run(const std::string& text) { return can_run_winograd(conv_of(text)); }

TEST(CanRunWinograd, FiltersOfThreeOrFiveTaps) {
  for (const char* taps : {"3x3", "1x3", "3x1", "5x5", "1x5", "5x1", "3x5", "5x3"})
    EXPECT_TRUE(can_run(fmt::format("conv2d src=f32:nhwc:1x9x9x4 weights=f32:hwio:{}x4x8", taps)))
        << taps;
  for (const char* taps : {"1x1", "2x2", "3x2", "4x3", "7x7", "1x7", "3x7", "9x9"})
    EXPECT_FALSE(can_run(fmt::format("conv2d src=f32:nhwc:1x9x9x4 weights=f32:hwio:{}x4x8", taps)))
        << taps;
  EXPECT_TRUE(can_run("conv1d src=f32:nwc:1x9x4 weights=f32:wio:3x4x8"));
  EXPECT_FALSE(can_run("conv1d src=f32:nwc:1x9x4 weights=f32:wio:4x4x8"));
}

TEST(CanRunWinograd, DenseStrideOneGroupOneChannelsLast) {
  const std::string src = "conv2d src=f32:nhwc:1x9x9x4 weights=f32:hwio:3x3x4x8";
  EXPECT_TRUE(can_run(src + " dilations=2x3 pads=5x5 pad_value=1 post=bias,gelu"));
  EXPECT_TRUE(can_run(src + " dst=f32:nchw"));
  EXPECT_FALSE(can_run(src + " dst=f32:nchw dilations=1x2")) << "pixels of a phase lie apart";
  EXPECT_FALSE(can_run(src + " accuracy=strict"));
  EXPECT_FALSE(can_run(src + " strides=1x2"));
  EXPECT_FALSE(can_run(src + " strides=2x1"));
  EXPECT_FALSE(can_run("conv2d src=f32:nhwc:1x9x9x4 weights=f32:hwio:3x3x2x8 groups=2"));
  EXPECT_FALSE(can_run("conv2d src=f32:nchw:1x4x9x9 weights=f32:hwio:3x3x4x8"));
  EXPECT_FALSE(can_run("conv2d src=f32:nchw:1x4x9x9 weights=f32:hwio:3x3x4x8 dst=f32:nhwc"));
}

TEST(CanRunWinograd, DepthOnlyAsMoreImages) {
  const std::string src = "conv3d src=f32:ndhwc:1x4x9x9x4 weights=f32:dhwio:";
  EXPECT_TRUE(can_run(src + "1x3x3x4x8"));
  EXPECT_TRUE(can_run("conv3d src=f32:ndhwc:1x1x9x9x4 weights=f32:dhwio:1x3x3x4x8 dst=f32:ncdhw"));
  EXPECT_FALSE(can_run(src + "1x3x3x4x8 dst=f32:ncdhw"));
  EXPECT_FALSE(can_run(src + "3x3x3x4x8"));
  EXPECT_FALSE(can_run(src + "1x3x3x4x8 pads=1x0x0"));
  EXPECT_FALSE(can_run(src + "1x3x3x4x8 pads=0:1x0x0"));
  EXPECT_FALSE(can_run(src + "1x3x3x4x8 strides=2x1x1"));
}

// --- Geometry ---

TEST(WinogradAxis, NoTileHasMoreThanSixPoints) {
  for (const int tile : {2, 4})
    for (const int taps : {1, 3, 5}) {
      const WinogradAxis axis = winograd_axis(taps, tile);
      EXPECT_EQ(axis.taps, taps);
      EXPECT_EQ(axis.alpha, axis.m + taps - 1);
      EXPECT_LE(axis.alpha, 6);
      EXPECT_EQ(axis.m, taps == 1 ? 1 : taps == 5 ? 2 : tile);
    }
}

std::vector<ir::Conv> geometry_convs() {
  std::vector<ir::Conv> convs;
  for (const char* taps : {"3x3", "1x3", "5x1", "5x3"})
    for (const char* size : {"1x1", "2x7", "13x9", "30x31"})
      for (const char* dilations : {"1x1", "2x3", "40x50"})
        for (const char* n : {"1", "3"})
          for (const char* ic : {"3", "20"})
            convs.push_back(conv_of(
                fmt::format("conv2d src=f32:nhwc:{}x{}x{} weights=f32:hwio:{}x{}x40 pads=100x101 "
                            "dilations={}",
                            n, size, ic, taps, ic, dilations)));
  return convs;
}

// Every output is in one tile: phase, tile and place in it are its coordinates.
TEST(WinogradShape, TilesAndPhasesCoverAllOutputs) {
  for (const ir::Conv& conv : geometry_convs())
    for (const int tile : {2, 4}) {
      Schedule schedule = schedule_of("winograd lanes=8");
      schedule.output_tile = tile;
      const WinogradShape shape = winograd_shape(conv, schedule);
      const auto covers = [](const WinogradAxis& axis, int64_t dilation, int64_t out) {
        EXPECT_EQ(axis.phases, std::min(dilation, out));
        EXPECT_GE(axis.phases * axis.tiles * axis.m, out);
        EXPECT_LT((axis.tiles - 1) * axis.m * dilation, out) << "a tile of nothing";
        std::vector<int> seen(static_cast<size_t>(out));
        for (int64_t phase = 0; phase < axis.phases; ++phase)
          for (int64_t i = 0; i < axis.tiles * axis.m; ++i)
            if (const int64_t at = i * dilation + phase; at < out) ++seen[static_cast<size_t>(at)];
        EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), out);
      };
      SCOPED_TRACE(ir::print_conv(conv));
      covers(shape.h, conv.dilations.h, conv.out.h);
      covers(shape.w, conv.dilations.w, conv.out.w);
      EXPECT_EQ(shape.points, shape.h.alpha * shape.w.alpha);
      EXPECT_EQ(shape.tiles,
                shape.images * shape.h.phases * shape.w.phases * shape.h.tiles * shape.w.tiles);
    }
}

TEST(WinogradShape, TasksAndScratch) {
  for (const ir::Conv& conv : geometry_convs())
    for (const int lanes : {4, 8, 16})
      for (const char* words :
           {"tile=1x1", "tile=5x2", "tile=3x4 tiles_per_task=1", "tile=6x1 tiles_per_task=13",
            "tile=4x2 tiles_per_task=1000000", "tile=2x1 blocks_per_task=1",
            "tile=3x2 blocks_per_task=2", "tile=2x1 tiles_per_task=3 blocks_per_task=1000000"})
        for (const char* order : {" order=oc_outer", " order=pixel_outer"}) {
          Schedule schedule = schedule_of(std::string("winograd ") + words + order);
          schedule.lanes = lanes;
          const WinogradShape shape = winograd_shape(conv, schedule);
          SCOPED_TRACE(ir::print_conv(conv) + "\n  " + print_schedule(schedule));
          EXPECT_EQ(shape.tiles_per_task % schedule.tile_pixels, 0);
          EXPECT_GE(shape.tile_tasks * shape.tiles_per_task, shape.tiles);
          EXPECT_LT((shape.tile_tasks - 1) * shape.tiles_per_task, shape.tiles) << "an empty task";
          EXPECT_EQ(shape.blocks, (conv.oc + schedule.oc_block() - 1) / schedule.oc_block());
          EXPECT_GE(shape.block_tasks * shape.blocks_per_task, shape.blocks);
          EXPECT_LT((shape.block_tasks - 1) * shape.blocks_per_task, shape.blocks) << "empty";
          EXPECT_EQ(shape.tasks(), count_tasks(conv, schedule));
          // Whole vectors, each aligned as it is loaded; nothing overlaps.
          for (const int64_t offset :
               {shape.outputs, shape.output_point, shape.sources_offset, shape.products_offset})
            EXPECT_EQ(offset % lanes, 0);
          for (const int64_t offset : {shape.channels, shape.source_point, shape.sources_offset})
            EXPECT_EQ(offset % shape.source_lanes, 0);
          EXPECT_LE(shape.source_lanes, lanes);
          EXPECT_TRUE(shape.source_lanes == 4 || shape.source_lanes < 2 * conv.ic)
              << "lanes that no channel fills";
          EXPECT_GE(shape.channels, conv.ic);
          EXPECT_GE(shape.outputs,
                    std::min(conv.oc, schedule.oc_block() * (schedule.order == LoopOrder::kOcOuter
                                                                 ? 1
                                                                 : shape.blocks_per_task)));
          EXPECT_GE(shape.sources_offset, lanes) << "pad_value lies before";
          EXPECT_GE(shape.source_point, shape.tiles_per_task * shape.channels);
          EXPECT_GE(shape.output_point, shape.tiles_per_task * shape.outputs);
          EXPECT_GE(shape.products_offset,
                    shape.sources_offset + shape.points * shape.source_point);
          EXPECT_EQ(shape.scratch_floats,
                    static_cast<double>(shape.products_offset + shape.points * shape.output_point));
          EXPECT_EQ(static_cast<double>(scratch_bytes(conv, schedule)), 4 * shape.scratch_floats);
        }
}

TEST(WinogradShape, NothingToComputeIsNoTask) {
  for (const char* text : {"conv2d src=f32:nhwc:0x9x9x4 weights=f32:hwio:3x3x4x8",
                           "conv2d src=f32:nhwc:1x0x9x4 weights=f32:hwio:3x3x4x8 pads=1x0",
                           "conv2d src=f32:nhwc:1x9x9x4 weights=f32:hwio:3x3x4x0"}) {
    EXPECT_EQ(winograd_shape(conv_of(text), schedule_of("winograd")).tasks(), 0) << text;
    for (const std::string& target : testing::all_target_names())
      EXPECT_TRUE(
          compile(Stage::kObject, conv_of(text), schedule_of("winograd"), target_of(target)).ok())
          << text;
  }
}

// Sizes that fit int64, whose products with points and lanes do not.
TEST(WinogradShape, HugeConvolutionsAreRefusedNotOverflowed) {
  for (const char* text :
       {"conv1d src=f32:nwc:1x2305843009213693k4x1 weights=f32:wio:3x1x1",
        "conv1d src=f32:nwc:2305843009213k694x1x1 weights=f32:wio:3x1x1 pads=1",
        "conv2d src=f32:nhwc:1x1073741824x1073741824x1 weights=f32:hwio:3x3x1x1",
        "conv2d src=f32:nhwc:1x1x1x100000000000000k weights=f32:hwio:3x3x100000000000000kx1 "
        "pads=1x1",
        "conv2d src=f32:nhwc:1x1x1x1 weights=f32:hwio:3x3x1x100000000000000k pads=1x1",
        "conv2d src=f32:nhwc:1x1x1x1 weights=f32:hwio:3x3x1x40000000000000k pads=1x1"}) {
    std::string conv_text = text;
    for (size_t at; (at = conv_text.find('k')) != std::string::npos;) conv_text.replace(at, 1, "0");
    const ir::Conv conv = conv_of(conv_text);
    ASSERT_TRUE(can_run_winograd(conv));
    for (const char* words : {"", " tile=7x32 tiles_per_task=2305843009213693952", " tile=64x1",
                              " order=pixel_outer tiles_per_task=1"})
      for (const int output_tile : {2, 4}) {
        Schedule schedule = schedule_of(std::string("winograd lanes=16") + words);
        schedule.output_tile = output_tile;
        EXPECT_GT(winograd_shape(conv, schedule).scratch_floats, 0);
        const Status status = check_schedule(schedule, conv, target_of("x86-64-v4"));
        EXPECT_TRUE(status.ok() || status.code() == StatusCode::kResourceExhausted)
            << status.message();
        if (status.ok()) {
          EXPECT_TRUE(compile(Stage::kObject, conv, schedule, target_of("x86-64-v4")).ok());
        }
      }
  }
}

// --- The transforms as they are emitted ---

using Matrix = std::vector<std::vector<double>>;  // [row][column]

// Which multiples of which loads a value is, and how often a term of it has been rounded.
struct Linear {
  std::map<const llvm::Value*, double> of;
  int roundings = 0;
  bool known = true;
};

bool is_power_of_two(double x) {
  int exponent;
  return std::abs(std::frexp(x, &exponent)) == 0.5;
}

std::optional<double> splat_of(const llvm::Value* value) {
  const auto* constant = llvm::dyn_cast<llvm::Constant>(value);
  const llvm::Constant* lane = constant == nullptr ? nullptr : constant->getSplatValue();
  const auto* number = llvm::dyn_cast_or_null<llvm::ConstantFP>(lane);
  if (number == nullptr) return std::nullopt;
  return static_cast<double>(number->getValueAPF().convertToFloat());
}

Linear scaled(double factor, Linear x, bool rounds) {
  for (auto& [load, coefficient] : x.of) coefficient *= factor;
  if (rounds && !is_power_of_two(factor)) ++x.roundings;
  return x;
}

Linear sum(const Linear& x, const Linear& y) {
  Linear result = x;
  for (const auto& [load, coefficient] : y.of) {
    EXPECT_EQ(result.of.count(load), 0u) << "a term that comes twice is rounded twice";
    result.of[load] += coefficient;
  }
  result.roundings = std::max(x.roundings, y.roundings) + 1;
  result.known = x.known && y.known;
  return result;
}

Linear linear_of(const llvm::Value* value) {
  if (llvm::isa<llvm::LoadInst>(value)) return {{{value, 1}}, 0, true};
  if (const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(value);
      call != nullptr && call->getIntrinsicID() == llvm::Intrinsic::fma) {
    const auto factor = splat_of(call->getArgOperand(0));
    if (!factor) return {{}, 0, false};
    return sum(scaled(*factor, linear_of(call->getArgOperand(1)), false),
               linear_of(call->getArgOperand(2)));
  }
  const auto* op = llvm::dyn_cast<llvm::BinaryOperator>(value);
  if (op == nullptr) return {{}, 0, false};
  const llvm::Value* a = op->getOperand(0);
  const llvm::Value* b = op->getOperand(1);
  if (op->getOpcode() == llvm::Instruction::FAdd) return sum(linear_of(a), linear_of(b));
  if (op->getOpcode() == llvm::Instruction::FSub)
    return sum(linear_of(a), scaled(-1, linear_of(b), true));
  if (op->getOpcode() == llvm::Instruction::FMul) {
    if (const auto factor = splat_of(a)) return scaled(*factor, linear_of(b), true);
    if (const auto factor = splat_of(b)) return scaled(*factor, linear_of(a), true);
  }
  return {{}, 0, false};
}

// What is emitted for a tile, as rows of a matrix over its elements.
struct Transform {
  Matrix matrix;
  int roundings = 0;
};

// Elements of a tile are loads; the same one may come several times.
class Tile {
 public:
  Tile(KernelBuilder& b, const WinogradAxis& w, llvm::Value* base) : b_(b), w_(w), base_(base) {}
  llvm::Value* load(int64_t row, int64_t column) {
    llvm::Value* value = b_.load_packed(b_.at(base_, (row * w_.alpha + column) * b_.lanes()));
    places_[value] = static_cast<size_t>(row * w_.alpha + column);
    return value;
  }
  void add_row(const llvm::Value* value, int64_t points, Transform& transform) const {
    const Linear linear = linear_of(value);
    ASSERT_TRUE(linear.known);
    std::vector<double> row(static_cast<size_t>(points), 0);
    for (const auto& [load, coefficient] : linear.of) row[places_.at(load)] += coefficient;
    transform.matrix.push_back(row);
    transform.roundings = std::max(transform.roundings, linear.roundings);
  }

 private:
  KernelBuilder& b_;
  const WinogradAxis& w_;
  llvm::Value* base_;
  std::map<const llvm::Value*, size_t> places_;
};

struct Emitted {
  Transform input, output;
};

Emitted transforms_of(const WinogradAxis& h, const WinogradAxis& w, const Target& target) {
  llvm::LLVMContext context;
  llvm::Module module("transforms", context);
  KernelBuilder b(module, target, 4);
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy()}, false);
  auto* function = llvm::Function::Create(type, llvm::Function::ExternalLinkage, "f", module);
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));
  Emitted emitted;
  Tile sources(b, w, function->getArg(0)), products(b, w, function->getArg(0));
  std::map<std::pair<int64_t, int64_t>, llvm::Value*> points;
  emit_input_transform(
      b, h, w, [&](int64_t i, int64_t j) { return sources.load(i, j); },
      [&](int64_t i, int64_t j, llvm::Value* value) {
        points[{i, j}] = value;
      });
  const int64_t count = h.alpha * w.alpha;
  EXPECT_EQ(static_cast<int64_t>(points.size()), count);
  for (const auto& [point, value] : points) sources.add_row(value, count, emitted.input);
  const Values outputs =
      emit_output_transform(b, h, w, [&](int64_t i, int64_t j) { return products.load(i, j); });
  EXPECT_EQ(static_cast<int64_t>(outputs.size()), h.m * w.m);
  for (const llvm::Value* value : outputs) products.add_row(value, count, emitted.output);
  return emitted;
}

struct Form {
  const char* taps;
  int output_tile;
  int64_t m_h, m_w;  // whole tiles, or those at the border
  int input_roundings;
  int output_roundings;  // with FMA; without, products with 3 and 6 round on their own
  int output_roundings_without;
};

// An axis of 4 points rounds once on the way in and twice on the way out, one of 6 points twice and
// three times. Nested ones multiply where whole ones add.
const Form kForms[] = {
    {"3x3", 2, 2, 2, 2, 4, 4}, {"3x3", 4, 4, 4, 4, 6, 6}, {"5x5", 2, 2, 2, 4, 6, 6},
    {"1x3", 2, 1, 2, 1, 2, 2}, {"3x1", 2, 2, 1, 1, 2, 2}, {"1x3", 4, 1, 4, 2, 3, 3},
    {"3x1", 4, 4, 1, 2, 3, 3}, {"1x5", 4, 1, 2, 2, 3, 3}, {"5x1", 2, 2, 1, 2, 3, 3},
    {"3x5", 2, 2, 2, 3, 5, 5}, {"5x3", 4, 2, 4, 4, 6, 6}, {"1x3", 4, 1, 3, 2, 2, 3},
    {"3x1", 4, 2, 1, 1, 2, 3}, {"1x3", 4, 1, 1, 1, 2, 2}, {"3x1", 2, 1, 1, 1, 2, 2},
    {"1x5", 4, 1, 1, 2, 3, 3}, {"3x3", 4, 4, 3, 4, 5, 6}, {"3x3", 4, 2, 4, 3, 5, 6},
    {"3x3", 4, 3, 1, 3, 4, 5}, {"3x3", 4, 3, 3, 4, 4, 6}, {"3x3", 2, 1, 2, 2, 4, 4},
    {"5x3", 4, 1, 2, 3, 5, 6}};

class EmittedTransforms : public ::testing::TestWithParam<std::tuple<std::string, Form>> {
 protected:
  EmittedTransforms()
      : target_(target_of(std::get<0>(GetParam()))), form_(std::get<1>(GetParam())) {
    schedule_ = schedule_of(fmt::format(
        "winograd lanes=4 tile=2x1 ic_unroll=1 edges=nested output_tile={}", form_.output_tile));
    // Taps behind m_h x m_w sources, and as many sources more: one tile of so many outputs.
    const int64_t taps_h = form_.taps[0] - '0', taps_w = form_.taps[2] - '0';
    conv_ = conv_of(fmt::format("conv2d src=f32:nhwc:1x{}x{}x1 weights=f32:hwio:{}x1x1",
                                form_.m_h + taps_h - 1, form_.m_w + taps_w - 1, form_.taps));
    shape_ = winograd_shape(conv_, schedule_);
    h_ = shape_.kinds.front().h;
    w_ = shape_.kinds.front().w;
    emitted_ = transforms_of(h_, w_, target_);
  }

  // The transformed weights of the tile's points.
  std::vector<double> transform_weights(const std::vector<float>& g) const {
    std::vector<float> u(static_cast<size_t>(shape_.points));
    WeightsTransform(shape_.h, shape_.w)(g.data(), w_.taps, 1, u.data());
    std::vector<double> mine;
    for (int64_t i = 0; i < h_.alpha; ++i)
      for (int64_t j = 0; j < w_.alpha; ++j)
        mine.push_back(u[static_cast<size_t>(i * shape_.w.alpha + j)]);
    return mine;
  }

  Target target_;
  Form form_;
  Schedule schedule_;
  ir::Conv conv_;
  WinogradShape shape_;
  WinogradAxis h_, w_;
  Emitted emitted_;
};

TEST_P(EmittedTransforms, AreOfTheFormsTile) {
  EXPECT_EQ(shape_.kinds.size(), 1u);
  EXPECT_EQ(h_.m, form_.m_h);
  EXPECT_EQ(w_.m, form_.m_w);
  EXPECT_EQ(h_.alpha, h_.m + h_.taps - 1);
  EXPECT_EQ(w_.alpha, w_.m + w_.taps - 1);
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

std::vector<double> absolute(std::vector<double> values) {
  for (double& value : values) value = std::abs(value);
  return values;
}

// One tile of src, one filter, small integers whose transforms in f64 are exact but for thirds.
struct TileData {
  std::vector<double> d, g;
};

TileData draw_tile(const WinogradAxis& h, const WinogradAxis& w, Random& random) {
  TileData data;
  for (int64_t i = 0; i < h.alpha * w.alpha; ++i) data.d.push_back(random.nonzero_integer(9));
  for (int64_t i = 0; i < h.taps * w.taps; ++i) data.g.push_back(random.nonzero_integer(9));
  return data;
}

// Y = A^T [(G g G^T) .* (B^T d B)] A is the sum of products, output by output.
TEST_P(EmittedTransforms, SatisfyTheIdentity) {
  Random random(5);
  for (int round = 0; round < 20; ++round) {
    const TileData data = draw_tile(h_, w_, random);
    const std::vector<double> u = transform_weights({data.g.begin(), data.g.end()});
    std::vector<double> m;
    for (size_t point = 0; point < u.size(); ++point)
      m.push_back(u[point] * dot(emitted_.input.matrix[point], data.d));
    for (int64_t r = 0; r < h_.m; ++r)
      for (int64_t c = 0; c < w_.m; ++c) {
        double expected = 0;
        for (int64_t kh = 0; kh < h_.taps; ++kh)
          for (int64_t kw = 0; kw < w_.taps; ++kw)
            expected += data.g[static_cast<size_t>(kh * w_.taps + kw)] *
                        data.d[static_cast<size_t>((r + kh) * w_.alpha + c + kw)];
        const auto output = static_cast<size_t>(r * w_.m + c);
        // Thirds in f32 are off by 2^-24 of some 10^5 at most.
        EXPECT_NEAR(dot(emitted_.output.matrix[output], m), expected, 0.05);
      }
  }
}

// What the reference computes its bound from has the magnitudes of what is emitted; at the border
// those of a whole tile where they are larger.
TEST_P(EmittedTransforms, HaveTheMagnitudesOfTheReference) {
  Random random(6);
  const TileData data = draw_tile(h_, w_, random);
  const std::vector<float> d(data.d.begin(), data.d.end()), g(data.g.begin(), data.g.end());
  // |G||g||G^T|: G of one tap at a time.
  std::vector<double> u(static_cast<size_t>(h_.alpha * w_.alpha));
  for (size_t tap = 0; tap < g.size(); ++tap) {
    std::vector<float> one(g.size());
    one[tap] = g[tap];
    const std::vector<double> column = transform_weights(one);
    for (size_t point = 0; point < u.size(); ++point) u[point] += std::abs(column[point]);
  }
  const bool whole = h_.m == shape_.h.m && w_.m == shape_.w.m;
  for (int64_t r = 0; r < h_.m; ++r)
    for (int64_t c = 0; c < w_.m; ++c) {
      const auto& a = emitted_.output.matrix[static_cast<size_t>(r * w_.m + c)];
      double products = 0, underflow = 0, largest = 0;
      for (size_t point = 0; point < u.size(); ++point) {
        if (a[point] == 0) continue;
        const double v = dot(absolute(emitted_.input.matrix[point]), absolute(data.d));
        products += std::abs(a[point]) * u[point] * v;
        underflow += std::abs(a[point]) * (v + 1);
        largest = std::max({largest, u[point], v});
      }
      const ir::WinogradMagnitude magnitude = ir::winograd_magnitude(
          conv_, {.src = d.data(), .weights = g.data()}, {0, 0, 0, r, c}, form_.output_tile);
      if (whole) {
        EXPECT_NEAR(magnitude.products, products, 1e-6 * products);
        EXPECT_NEAR(magnitude.underflow, underflow, 1e-9 * underflow);
        EXPECT_NEAR(magnitude.largest, largest, 1e-6 * largest);
      }
      EXPECT_GE(magnitude.products, products * (1 - 1e-6));
      EXPECT_GE(magnitude.underflow, underflow * (1 - 1e-9));
      EXPECT_GE(magnitude.largest, largest * (1 - 1e-6));
    }
}

// docs/numerics.md counts: once as a weight, and these.
TEST_P(EmittedTransforms, RoundNoMoreOftenThanTheBoundAllows) {
  EXPECT_EQ(emitted_.input.roundings, form_.input_roundings);
  EXPECT_EQ(emitted_.output.roundings,
            target_.has_fma ? form_.output_roundings : form_.output_roundings_without);
  EXPECT_LE(1 + form_.input_roundings + form_.output_roundings_without, ir::kWinogradRoundings);
}

INSTANTIATE_TEST_SUITE_P(Forms, EmittedTransforms,
                         ::testing::Combine(::testing::ValuesIn(testing::all_target_names()),
                                            ::testing::ValuesIn(kForms)),
                         [](const auto& instance) {
                           const Form& form = std::get<1>(instance.param);
                           return testing::test_name_of(
                               fmt::format("{}_{}_tile{}_m{}x{}", std::get<0>(instance.param),
                                           form.taps, form.output_tile, form.m_h, form.m_w));
                         });

TEST(WinogradRoundings, AreReached) {
  EXPECT_EQ(1 + 4 + 6, ir::kWinogradRoundings) << "F(4x4,3x3)";
}

// --- Packed weights ---

TEST(WinogradPacked, EachWeightIsTransformedOnceAndTailsAreZero) {
  for (const char* layout : {"hwio:3x3x5x{0}", "oihw:{0}x5x3x3"})
    for (const int oc : {1, 7, 8, 16, 19, 37})
      for (const int output_tile : {2, 4})
        for (const char* tile : {"tile=1x1", "tile=3x2", "tile=1x3"})
          for (const int lanes : {4, 8}) {
            const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x9x9x5 weights=f32:" +
                                          fmt::format(fmt::runtime(layout), oc));
            Schedule schedule = schedule_of(std::string("winograd ") + tile);
            schedule.lanes = lanes;
            schedule.output_tile = output_tile;
            const PackedLayout packed = packed_layout(conv, schedule);
            const WinogradShape shape = winograd_shape(conv, schedule);
            std::vector<float> weights(static_cast<size_t>(conv.weights_elements()));
            Random random(7);
            for (float& w : weights) w = random.real();
            std::vector<float> found(static_cast<size_t>(packed.elements()) + 1, 77);
            pack_weights(conv, packed, weights.data(), found.data());
            EXPECT_EQ(found.back(), 77) << "written behind the end";
            const bool io = layout[0] == 'h';
            const WeightsTransform transform(shape.h, shape.w);
            std::vector<float> u(static_cast<size_t>(shape.points));
            size_t at = 0;
            for (int64_t first = 0; first < oc; first += packed.oc_block) {
              const int64_t here = std::min<int64_t>(packed.oc_block, oc - first);
              const int64_t width = (here + lanes - 1) / lanes * lanes;
              for (int64_t point = 0; point < shape.points; ++point)
                for (int64_t ic = 0; ic < 5; ++ic)
                  for (int64_t c = 0; c < width; ++c, ++at) {
                    float expected = 0;
                    if (c < here) {
                      const int64_t o = first + c;
                      if (io)
                        transform(weights.data() + ic * oc + o, int64_t{3} * 5 * oc, 5 * oc,
                                  u.data());
                      else
                        transform(weights.data() + (o * 5 + ic) * 9, 3, 1, u.data());
                      expected = u[static_cast<size_t>(point)];
                    }
                    ASSERT_EQ(found[at], expected) << print_schedule(schedule) << " oc=" << oc;
                  }
            }
            EXPECT_EQ(at, static_cast<size_t>(packed.elements()));
          }
}

TEST(WinogradPacked, TilesHaveTagsOfTheirOwn) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x9x9x5 weights=f32:hwio:3x3x5x8");
  EXPECT_EQ(packed_tag(conv, schedule_of("winograd lanes=8 output_tile=2")),
            "winograd2:8x1:g1:oc8:k1x3x3:ic5");
  EXPECT_EQ(packed_tag(conv, schedule_of("winograd lanes=8 output_tile=4")),
            "winograd4:8x1:g1:oc8:k1x3x3:ic5");
}

}  // namespace
}  // namespace convgen::codegen
