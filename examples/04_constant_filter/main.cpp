// SPDX-License-Identifier: Apache-2.0
// Filters whose weights are known when the kernel is made: a picture through edge detection and
// sharpening, min(relu(x), 255) behind each. The numbers become instructions, what is 0 vanishes,
// and no weights are passed to run(). A kernel for any weights must give the same.
#include <cstdio>
#include <string>
#include <vector>

#include "examples/image.h"
#include "ir/text.h"
#include "runtime/engine.h"

namespace {

using convgen::Status;

// Every channel by itself: weights [3, 3, 1, c].
std::vector<float> for_each_channel(const float (&filter)[9], int64_t channels) {
  std::vector<float> weights;
  for (const float w : filter) weights.insert(weights.end(), static_cast<size_t>(channels), w);
  return weights;
}

Status filter_picture(const convgen::Engine& engine, const convgen::examples::Image& picture,
                      const float (&filter)[9], const std::string& file) {
  const std::string c = std::to_string(picture.c);
  const auto conv = convgen::ir::parse_conv(
      "conv2d src=f32:nhwc:1x" + std::to_string(picture.h) + "x" + std::to_string(picture.w) + "x" +
      c + " weights=f32:hwio:3x3x1x" + c + " groups=" + c + " pads=same post=relu,min:255");
  if (!conv.ok()) return conv.status();

  // Pixels are numbers: with assume_finite nobody looks for a NaN that a weight of 0 would hide.
  const convgen::ConstantWeights constants{for_each_channel(filter, picture.c),
                                           /*assume_finite=*/true};
  const auto kernel = engine.compile(*conv, constants);
  if (!kernel.ok()) return kernel.status();
  convgen::examples::Image filtered = picture;
  Status status = kernel->run({.src = picture.pixels.data(), .dst = filtered.pixels.data()});
  if (!status.ok()) return status;
  std::printf("%s\n  %s\n", kernel->signature().c_str(), kernel->schedule().c_str());

  const auto variable = engine.compile(*conv);
  if (!variable.ok()) return variable.status();
  std::vector<float> expected(filtered.pixels.size());
  status = variable->run(
      {.src = picture.pixels.data(), .weights = constants.values.data(), .dst = expected.data()});
  if (!status.ok()) return status;
  if (filtered.pixels != expected) return convgen::internal_error(file + ": a different result");
  return file.empty() ? Status() : convgen::examples::save_png(file, filtered);
}

}  // namespace

// 04_constant_filter PICTURE.png [PREFIX]: writes PREFIX.edges.png and PREFIX.sharp.png.
int main(int argc, char** argv) {
  const std::string file = argc > 1 ? argv[1] : CONVGEN_EXAMPLE_PICTURE;
  const std::string prefix = argc > 2 ? argv[2] : "";
  const auto engine = convgen::Engine::create();
  const auto picture = convgen::examples::load_png(file);
  Status status = engine.ok() ? picture.status() : engine.status();
  const float edges[9] = {-1, -1, -1, -1, 8, -1, -1, -1, -1};
  const float sharpen[9] = {0, -1, 0, -1, 5, -1, 0, -1, 0};
  if (status.ok())
    status = filter_picture(*engine, *picture, edges, prefix.empty() ? "" : prefix + ".edges.png");
  if (status.ok())
    status =
        filter_picture(*engine, *picture, sharpen, prefix.empty() ? "" : prefix + ".sharp.png");
  if (status.ok()) return 0;
  std::fprintf(stderr, "04_constant_filter: %s\n", status.message().c_str());
  return 1;
}
