// SPDX-License-Identifier: Apache-2.0
#include "examples/image.h"

#include <png.h>

#include <algorithm>
#include <cmath>

namespace convgen::examples {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 28;

// libpng's simplified interface; its memory goes with this, whatever was reached.
struct PngImage : png_image {
  PngImage() : png_image{} { version = PNG_IMAGE_VERSION; }
  ~PngImage() { png_image_free(this); }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;

  Status error(const std::string& path) const { return io_error(path + ": " + message); }
};

png_byte to_byte(float value) {
  if (!(value > 0)) return 0;  // NaN too
  return static_cast<png_byte>(std::lround(std::min(value, 255.0f)));
}

}  // namespace

Result<Image> load_png(const std::string& path) {
  PngImage png;
  if (!png_image_begin_read_from_file(&png, path.c_str())) return png.error(path);
  if (int64_t{png.width} * png.height > kMaxPixels) {
    return resource_exhausted(path + ": more than 2^28 pixels");
  }
  const bool is_colour = (png.format & PNG_FORMAT_FLAG_COLOR) != 0;
  png.format = is_colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::vector<png_byte> bytes(PNG_IMAGE_SIZE(png));
  const png_color white = {255, 255, 255};
  if (!png_image_finish_read(&png, &white, bytes.data(), 0, nullptr)) return png.error(path);
  return Image{png.height, png.width, is_colour ? 3 : 1, {bytes.begin(), bytes.end()}};
}

Status save_png(const std::string& path, const Image& image) {
  if (image.c != 1 && image.c != 3) {
    return invalid_argument(path + ": a picture has 1 or 3 channels");
  }
  const size_t values = static_cast<size_t>(image.h * image.w * image.c);
  if (image.h < 1 || image.w < 1 || image.h * image.w > kMaxPixels ||
      image.pixels.size() != values) {
    return invalid_argument(path + ": h, w and the number of pixels do not fit each other");
  }
  std::vector<png_byte> bytes(values);
  std::transform(image.pixels.begin(), image.pixels.end(), bytes.begin(), to_byte);
  PngImage png;
  png.width = static_cast<png_uint_32>(image.w);
  png.height = static_cast<png_uint_32>(image.h);
  png.format = image.c == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  if (!png_image_write_to_file(&png, path.c_str(), 0, bytes.data(), 0, nullptr)) {
    return png.error(path);
  }
  return Status();
}

}  // namespace convgen::examples
