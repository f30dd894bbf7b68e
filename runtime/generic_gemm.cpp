// SPDX-License-Identifier: Apache-2.0
// Convolution as a blocked matrix product [pixels, k] x [k, oc] per image and group: im2col of a
// block of pixels that stays in L2, packed weights, register tiles. Channels-last src: a tile's
// rows are pixels and its columns output channels; channels-first: the other way round, so that
// im2col copies contiguous runs in both. dst's layout only decides how finished tiles are stored.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "runtime/generic_im2col.h"
#include "runtime/generic_path.h"

namespace convgen::generic {
namespace {

// What a convolution is cut into where it can be: enough to keep a dozen threads evenly busy.
constexpr int64_t kWantedTasks = 32;
// The narrowest block of output channels worth an im2col of its own: one copy against 64 FMAs.
constexpr int64_t kMinChannelBlock = 64;

// Half of L2 is for the im2col block; weights and outputs stream through the other half.
int64_t im2col_budget_elements() {
  constexpr int64_t kDefaultL2Bytes = 512 << 10;
  const int64_t l2_bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return (l2_bytes > 0 ? l2_bytes : kDefaultL2Bytes) / 2 / static_cast<int64_t>(sizeof(float));
}

// Rows a multiple of 4 KiB apart share one set of L1, which has fewer ways than a tile has rows.
bool rows_collide(int64_t row_stride) { return row_stride % 1024 == 0; }

// im2col rows start on cache lines.
int64_t im2col_row_stride(int64_t depth) {
  const int64_t stride = round_up(depth, 16);
  return rows_collide(stride) ? stride + 16 : stride;
}

// One dimension of the product, cut into tiles. In memory a tile is rounded up to `granule`: the
// lanes of a vector where this dimension is a tile's columns, 1 where it is its rows.
struct Side {
  int64_t total = 0;
  int64_t tile = 1;
  int64_t granule = 1;
  int64_t padded(int64_t size) const { return round_up(size, granule); }
};

Side column_side(int64_t total, int64_t lanes) { return {total, 2 * lanes, lanes}; }

// Tiles of nearly equal height: 49 rows are 13 + 13 + 13 + 10 rather than 14 + 14 + 14 + 7.
Side row_side(int64_t total, int64_t max_rows) {
  const int64_t size = std::max<int64_t>(total, 1);
  return {total, ceil_div(size, ceil_div(size, max_rows)), 1};
}

// Calls visit(Range) for each tile of `whole`.
template <typename Visit>
void for_each_tile(const Range& whole, int64_t tile, Visit visit) {
  for (int64_t begin = whole.begin; begin < whole.end; begin += tile) {
    visit(Range{begin, std::min(begin + tile, whole.end)});
  }
}

// A block of pixels and of output channels (within the group), and where its inputs are.
struct Task {
  PixelBlock pixels;
  Range channels;
  const float* matrix = nullptr;  // im2col rows or panels, or src itself
  int64_t row_stride = 0;         // of rows
};

// What one call of a register tile computes; channels count within the group.
struct Tile {
  Range channels;
  Range pixels;
};

// Sums taken one by one, from src and packed weights; only for weights that are not finite.
class InputReader {
 public:
  InputReader(const ir::Conv& conv, const float* src, const PixelBlock& block)
      : conv_(conv), strides_(strides_of(conv.src_layout, conv.ic, conv.in)) {
    src_ = src + block.n * strides_.n + block.group * conv.ic_per_group() * strides_.c;
  }

  // Sum over the taps of `pixel` that lie in the image; weights[k * weights_step].
  float sum_inside(int64_t pixel, const float* weights, int64_t weights_step) const {
    const ir::Extent3 first = first_input(conv_, position_of(pixel, conv_.out));
    float sum = 0;
    ir::Extent3 k{0, 0, 0};
    for (int64_t tap = 0; tap < conv_.kernel.product(); ++tap, advance(k, conv_.kernel)) {
      const ir::Extent3 at = input_of_tap(conv_, first, k);
      if (!is_inside(at, conv_.in)) continue;
      const float* x = src_ + offset_of(at, strides_);
      const float* w = weights + tap * conv_.ic_per_group() * weights_step;
      for (int64_t ic = 0; ic < conv_.ic_per_group(); ++ic) {
        sum += x[ic * strides_.c] * w[ic * weights_step];
      }
    }
    return sum;
  }

 private:
  const ir::Conv& conv_;
  const ActivationStrides strides_;
  const float* src_;
};

class GemmPath final : public Path {
 public:
  GemmPath(const ir::Conv& conv, const Kernels& kernels);

  int64_t tasks() const override {
    return conv_.n * conv_.groups * pixel_blocks_ * channel_blocks_;
  }
  std::string packed_tag() const override;
  int64_t packed_elements() const override { return conv_.groups * group_elements_ + 1; }
  void pack_weights(const float* weights, float* packed) const override;
  int64_t scratch_elements() const override { return tile_elements_ + matrix_elements_; }
  void run(const Tensors& tensors, float* scratch, int64_t begin, int64_t end) const override;

 private:
  void choose_blocks();
  Task task_at(int64_t index) const;
  void gather_inputs(const Tensors& tensors, float* matrix, Task& task) const;
  void run_task(const Tensors& tensors, const Task& task, bool skip_padding, float* values) const;
  void run_tile(const Tensors& tensors, const Task& task, const Tile& tile, bool skip_padding,
                float* values) const;
  void multiply(const Tensors& tensors, const Task& task, const Tile& tile,
                const OutputTile& output) const;
  void multiply_skipping_padding(const Tensors& tensors, const Task& task, const Tile& tile,
                                 float* values) const;
  OutputTile output_tile(const Task& task, const Tile& tile) const;
  const float* weights_tile(const Tensors& tensors, const Task& task, const Tile& tile) const;
  bool fills_vectors(const Tile& tile) const;
  bool must_skip_padding(const float* packed) const;

  const ir::Conv& conv_;
  const Kernels& kernels_;
  const bool pixels_are_rows_;
  const int64_t depth_;  // k
  const Side pixels_;
  const Side channels_;  // of one group
  const int64_t group_elements_;
  const int64_t tile_stride_;
  const int64_t tile_elements_;
  const ActivationStrides dst_strides_;
  const bool reads_add_;  // which dst itself may hold: no unfinished sums there
  bool reads_src_directly_ = false;
  int64_t pixel_block_ = 1;
  int64_t pixel_blocks_ = 0;
  int64_t channel_block_ = 1;
  int64_t channel_blocks_ = 0;
  int64_t matrix_elements_ = 0;
};

GemmPath::GemmPath(const ir::Conv& conv, const Kernels& kernels)
    : conv_(conv),
      kernels_(kernels),
      pixels_are_rows_(conv.src_layout == ir::ActivationLayout::kChannelsLast),
      depth_(conv.terms()),
      pixels_(pixels_are_rows_ ? row_side(conv.out.product(), kernels.tile_rows)
                               : column_side(conv.out.product(), kernels.lanes)),
      channels_(pixels_are_rows_ ? column_side(conv.oc_per_group(), kernels.lanes)
                                 : row_side(conv.oc_per_group(), kernels.tile_rows)),
      group_elements_(channels_.padded(channels_.total) * depth_),
      tile_stride_(2 * kernels.lanes),
      tile_elements_(kernels.tile_rows * tile_stride_),
      dst_strides_(strides_of(conv.dst_layout, conv.oc, conv.out)),
      reads_add_(conv.uses(ir::PostOpKind::kAdd)) {
  choose_blocks();
}

// Pixel blocks as large as the cache allows while there are enough of them; where there are still
// too few tasks, output channels are cut as well.
void GemmPath::choose_blocks() {
  const bool pointwise = conv_.kernel.product() == 1 && conv_.strides == ir::Extent3{1, 1, 1};
  reads_src_directly_ =
      pixels_are_rows_ && pointwise && !conv_.has_padding() && !rows_collide(conv_.ic);
  const int64_t row_elements = pixels_are_rows_ ? im2col_row_stride(depth_) : depth_;
  const int64_t images = std::max<int64_t>(conv_.n * conv_.groups, 1);
  int64_t fitting = im2col_budget_elements() / row_elements;
  if (conv_.groups > 1) {
    // Groups share the cache lines of src and dst and follow each other: keep both in cache, too.
    fitting = std::min(fitting, im2col_budget_elements() / 2 / (conv_.ic + conv_.oc));
  }
  const int64_t wanted = ceil_div(pixels_.total * images, kWantedTasks);
  // Below four tiles the weights would be read too often for the work done with them.
  const int64_t pixels = std::min(fitting, std::max(wanted, 4 * pixels_.tile));
  pixel_block_ = std::max<int64_t>(pixels / pixels_.tile, 1) * pixels_.tile;
  pixel_blocks_ = ceil_div(pixels_.total, pixel_block_);

  const int64_t cuts = ceil_div(kWantedTasks, std::max<int64_t>(images * pixel_blocks_, 1));
  const int64_t channels = std::max(ceil_div(channels_.total, cuts), kMinChannelBlock);
  channel_block_ = round_up(channels, channels_.tile);
  channel_blocks_ = ceil_div(channels_.total, channel_block_);
  matrix_elements_ =
      reads_src_directly_ ? 0 : round_up(pixel_block_, pixels_.granule) * row_elements;
}

std::string GemmPath::packed_tag() const {
  return fmt::format("generic-gemm tile={} granule={} k={}x{}x{}x{} oc={} groups={}",
                     channels_.tile, channels_.granule, conv_.kernel.d, conv_.kernel.h,
                     conv_.kernel.w, conv_.ic_per_group(), conv_.oc, conv_.groups);
}

// Per group, tiles of output channels, each [k][channels of the tile] with zeros up to the
// granule; then one float: 1 where any weight is Inf or NaN, else 0.
void GemmPath::pack_weights(const float* weights, float* packed) const {
  bool finite = true;
  const int64_t ic_per_group = conv_.ic_per_group();
  for (int64_t group = 0; group < conv_.groups; ++group) {
    for_each_tile({0, channels_.total}, channels_.tile, [&](const Range& tile) {
      const int64_t padded = channels_.padded(tile.size());
      const int64_t first_oc = group * channels_.total + tile.begin;
      for (int64_t k = 0; k < depth_; ++k, packed += padded) {
        for (int64_t i = 0; i < tile.size(); ++i) {
          packed[i] =
              weights[weights_offset(conv_, first_oc + i, k / ic_per_group, k % ic_per_group)];
          finite = finite && std::isfinite(packed[i]);
        }
        std::fill(packed + tile.size(), packed + padded, 0.0f);
      }
    });
  }
  *packed = finite ? 0.0f : 1.0f;
}

// im2col puts zeros on the padding, and zero times Inf or NaN is NaN.
bool GemmPath::must_skip_padding(const float* packed) const {
  return conv_.has_padding() && conv_.pad_value == 0 && packed[packed_elements() - 1] != 0;
}

Task GemmPath::task_at(int64_t index) const {
  const int64_t channel_block = index % channel_blocks_;
  index /= channel_blocks_;
  Task task;
  task.pixels.group = index % conv_.groups;
  index /= conv_.groups;
  const int64_t pixel_block = index % pixel_blocks_;
  task.pixels.n = index / pixel_blocks_;
  task.pixels.begin = pixel_block * pixel_block_;
  task.pixels.end = std::min(task.pixels.begin + pixel_block_, pixels_.total);
  task.channels.begin = channel_block * channel_block_;
  task.channels.end = std::min(task.channels.begin + channel_block_, channels_.total);
  return task;
}

void GemmPath::gather_inputs(const Tensors& tensors, float* matrix, Task& task) const {
  const PixelBlock& block = task.pixels;
  task.matrix = matrix;
  if (reads_src_directly_) {
    task.row_stride = conv_.ic;
    task.matrix = tensors.src + (block.n * pixels_.total + block.begin) * conv_.ic +
                  block.group * conv_.ic_per_group();
  } else if (pixels_are_rows_) {
    task.row_stride = im2col_row_stride(depth_);
    fill_pixel_rows(conv_, tensors.src, block, task.row_stride, matrix);
  } else {
    fill_pixel_panels(conv_, tensors.src, block, pixels_.tile, pixels_.granule, matrix);
  }
}

void GemmPath::run(const Tensors& tensors, float* scratch, int64_t begin, int64_t end) const {
  const bool skip_padding = must_skip_padding(tensors.weights);
  Task task;
  for (int64_t index = begin; index < end; ++index) {
    const Task next = task_at(index);
    if (index == begin || next.channels.begin == 0) {
      task = next;
      if (!skip_padding) gather_inputs(tensors, scratch + tile_elements_, task);
    } else {
      task.channels = next.channels;  // the same pixels: what im2col gathered serves again
    }
    run_task(tensors, task, skip_padding, scratch);
  }
}

// for tile of channels: for tile of pixels: the weights of the outer tile stay in L1 and L2 while
// the pixels stream from L2, so memory sees each weight once per block.
void GemmPath::run_task(const Tensors& tensors, const Task& task, bool skip_padding,
                        float* values) const {
  for_each_tile(task.channels, channels_.tile, [&](const Range& channels) {
    for_each_tile({task.pixels.begin, task.pixels.end}, pixels_.tile, [&](const Range& pixels) {
      run_tile(tensors, task, {channels, pixels}, skip_padding, values);
    });
  });
}

void GemmPath::run_tile(const Tensors& tensors, const Task& task, const Tile& tile,
                        bool skip_padding, float* values) const {
  OutputTile output = output_tile(task, tile);
  output.values = values;
  output.stride = tile_stride_;
  if (skip_padding) {
    multiply_skipping_padding(tensors, task, tile, values);
  } else if (output.dst_col_step == 1 && !reads_add_ && fills_vectors(tile)) {
    output.values = tensors.dst + output.dst_offset;
    output.stride = output.dst_row_step;
    multiply(tensors, task, tile, output);
    return kernels_.apply_post_ops(conv_, tensors, output);
  } else {
    multiply(tensors, task, tile, output);
  }
  finish_tile(conv_, kernels_, tensors, output);
}

// Whether a tile's columns are all outputs, none of them up to the granule.
bool GemmPath::fills_vectors(const Tile& tile) const {
  return tile.channels.size() % channels_.granule == 0 && tile.pixels.size() % pixels_.granule == 0;
}

const float* GemmPath::weights_tile(const Tensors& tensors, const Task& task,
                                    const Tile& tile) const {
  return tensors.weights + task.pixels.group * group_elements_ + tile.channels.begin * depth_;
}

void GemmPath::multiply(const Tensors& tensors, const Task& task, const Tile& tile,
                        const OutputTile& output) const {
  const float* weights = weights_tile(tensors, task, tile);
  const int64_t pixel = tile.pixels.begin - task.pixels.begin;
  TileArgs args{.depth = depth_, .out = output.values, .out_stride = output.stride};
  if (pixels_are_rows_) {
    args.rows = task.matrix + pixel * task.row_stride;
    args.row_stride = task.row_stride;
    args.cols = weights;
    const int64_t vectors = ceil_div(tile.channels.size(), kernels_.lanes);
    kernels_.strided_tile[vectors - 1][tile.pixels.size() - 1](args);
  } else {
    args.rows = weights;
    args.cols = task.matrix + pixel * depth_;
    const int64_t vectors = ceil_div(tile.pixels.size(), kernels_.lanes);
    kernels_.packed_tile[vectors - 1][tile.channels.size() - 1](args);
  }
}

// The same sums in the same order, straight from src, with taps on the padding left out.
void GemmPath::multiply_skipping_padding(const Tensors& tensors, const Task& task, const Tile& tile,
                                         float* values) const {
  const float* weights = weights_tile(tensors, task, tile);
  const int64_t padded_channels = channels_.padded(tile.channels.size());
  const InputReader reader(conv_, tensors.src, task.pixels);
  for (int64_t pixel = tile.pixels.begin; pixel < tile.pixels.end; ++pixel) {
    for (int64_t oc = tile.channels.begin; oc < tile.channels.end; ++oc) {
      const int64_t row = pixel - tile.pixels.begin;
      const int64_t col = oc - tile.channels.begin;
      const float sum = reader.sum_inside(pixel, weights + col, padded_channels);
      values[pixels_are_rows_ ? row * tile_stride_ + col : col * tile_stride_ + row] = sum;
    }
  }
}

OutputTile GemmPath::output_tile(const Task& task, const Tile& tile) const {
  const int64_t channel = task.pixels.group * channels_.total + tile.channels.begin;
  const int64_t pixel_step = dst_strides_.spatial.w;
  OutputTile output{.channel = channel,
                    .dst_offset = task.pixels.n * dst_strides_.n + channel * dst_strides_.c +
                                  tile.pixels.begin * pixel_step};
  if (pixels_are_rows_) {
    output.rows = tile.pixels.size();
    output.cols = tile.channels.size();
    output.channel_col_step = 1;
    output.dst_row_step = pixel_step;
    output.dst_col_step = dst_strides_.c;
  } else {
    output.rows = tile.channels.size();
    output.cols = tile.pixels.size();
    output.channel_row_step = 1;
    output.dst_row_step = dst_strides_.c;
    output.dst_col_step = pixel_step;
  }
  return output;
}

}  // namespace

std::unique_ptr<Path> make_gemm_path(const ir::Conv& conv, const Kernels& kernels) {
  return std::make_unique<GemmPath>(conv, kernels);
}

}  // namespace convgen::generic
