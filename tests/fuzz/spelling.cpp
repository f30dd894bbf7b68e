// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/spelling.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/text.h"

namespace convgen::testing {
namespace {

std::string pick(Random& random, std::initializer_list<const char*> choices) {
  return choices.begin()[random.below(static_cast<int64_t>(choices.size()))];
}

// The words of a text, taken apart: a key of its own for each, and the operation first.
struct Words {
  std::string op;
  std::vector<std::pair<std::string, std::string>> values;

  std::string* find(std::string_view key) {
    const auto at = std::ranges::find(
        values, key, [](const auto& word) -> std::string_view { return word.first; });
    return at == values.end() ? nullptr : &at->second;
  }
  void set(const std::string& key, std::string value) {
    if (std::string* old = find(key))
      *old = std::move(value);
    else
      values.emplace_back(key, std::move(value));
  }
  void erase(std::string_view key) {
    std::erase_if(values, [&](const auto& word) { return word.first == key; });
  }
};

Words words_of(const ir::Conv& conv) {
  Words words;
  const std::string text = ir::print_conv(conv);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    const size_t equals = word.find('=');
    if (equals == std::string::npos)
      words.op = word;
    else
      words.values.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    begin = end + 1;
  }
  return words;
}

// TYPE:LAYOUT:DIMS and its dims.
struct Tensor {
  std::string type, layout;
  std::vector<std::string> dims;

  explicit Tensor(const std::string& text) {
    const size_t first = text.find(':'), second = text.find(':', first + 1);
    type = text.substr(0, first);
    layout = text.substr(first + 1, second - first - 1);
    std::string rest = text.substr(second + 1) + "x";
    for (size_t x = rest.find('x'); x != std::string::npos; x = rest.find('x')) {
      dims.push_back(rest.substr(0, x));
      rest.erase(0, x + 1);
    }
  }
  std::string& dim(char letter) { return dims[layout.find(letter)]; }
  std::string text() const { return fmt::format("{}:{}:{}", type, layout, fmt::join(dims, "x")); }
};

std::string joined(const std::vector<int64_t>& numbers) {
  return fmt::format("{}", fmt::join(numbers, "x"));
}

std::vector<int64_t> spatial(const ir::Conv& conv, const ir::Extent3& extent) {
  std::vector<int64_t> numbers;
  for (int axis = ir::kMaxSpatialRank - conv.spatial_rank; axis < ir::kMaxSpatialRank; ++axis)
    numbers.push_back(extent[axis]);
  return numbers;
}

// All dimensions of src in its order, as TensorFlow says them.
std::string full_strides(const ir::Conv& conv, int64_t batch, int64_t channels) {
  std::vector<int64_t> strides = spatial(conv, conv.strides);
  const bool last = conv.src_layout == ir::ActivationLayout::kChannelsLast;
  strides.insert(last ? strides.end() : strides.begin(), channels);
  strides.insert(strides.begin(), batch);
  return joined(strides);
}

std::string join(const Words& words, Random& random) {
  std::string text = random.one_in(16) ? pick(random, {" ", "\t", "\n", " \r\n"}) : "";
  text += words.op;
  for (const auto& [key, value] : words.values)
    text += (random.one_in(16) ? pick(random, {"  ", "\t", " \t "}) : " ") + key + "=" + value;
  return text + (random.one_in(16) ? pick(random, {" ", "\t", "\n", "\r\n"}) : "");
}

void shuffle(Words& words, Random& random) {
  for (size_t i = words.values.size(); i > 1; --i)
    std::swap(words.values[i - 1],
              words.values[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
}

void say_pads(const ir::Conv& conv, Words& words, Random& random) {
  if (random.one_in(6)) return words.set("pads", pick(random, {"same", "same_lower"}));
  if (!conv.has_padding() && random.one_in(2)) return words.set("pads", "valid");
  if (random.one_in(2)) return;
  std::vector<std::string> pads;
  for (int axis = ir::kMaxSpatialRank - conv.spatial_rank; axis < ir::kMaxSpatialRank; ++axis)
    pads.push_back(fmt::format("{}:{}", conv.pads_begin[axis], conv.pads_end[axis]));
  words.set("pads", fmt::format("{}", fmt::join(pads, "x")));
}

void say_defaults(const ir::Conv& conv, Words& words, Random& random) {
  const std::vector<int64_t> ones(static_cast<size_t>(conv.spatial_rank), 1);
  const auto say = [&](const char* key, const std::string& value) {
    if (words.find(key) == nullptr && random.one_in(4)) words.set(key, value);
  };
  say("strides", joined(ones));
  say("dilations", joined(ones));
  say("groups", "1");
  say("accuracy", "normal");
  say("pad_value", pick(random, {"0", "-0", "0.0", "0e5", ".0"}));
  say("name", pick(random, {"res3", "a=b", "conv2d", "x:y"}));
  if (words.find("dst") == nullptr && random.one_in(4)) {
    const Tensor src(*words.find("src"));
    words.set("dst", src.type + ":" + src.layout);
  }
  if (random.one_in(4)) words.set("strides", full_strides(conv, 1, 1));
}

// "6" as "6.0", "0.5" as "5e-1"; only forms that mean the same.
void respell_numbers(Words& words, Random& random) {
  constexpr std::pair<std::string_view, std::string_view> kForms[] = {
      {":6", ":6.0"}, {":0.5", ":5e-1"}, {":0.25", ":.25"}, {":1", ":1."}, {":255", ":2.55E2"}};
  std::string* post = words.find("post");
  for (const auto& [plain, other] : kForms) {
    if (post == nullptr || !random.one_in(4)) continue;
    const size_t at = post->find(plain);
    const size_t end = at + plain.size();
    const bool whole = at != std::string::npos &&
                       (end == post->size() || (*post)[end] == ',' || (*post)[end] == ':');
    if (whole) post->replace(at, plain.size(), other);
  }
}

Words spelled(const ir::Conv& conv, Random& random) {
  Words words = words_of(conv);
  say_pads(conv, words, random);
  say_defaults(conv, words, random);
  respell_numbers(words, random);
  shuffle(words, random);
  return words;
}

// --- Broken rules, one function a kind ---

void break_op(Words& words, Random& random) {
  words.op = pick(random, {"conv2", "Conv2d", "conv0d", "conv4d", "convolution", "conv2d_transpose",
                           "conv1d_bwd_data", "conv3d_bwd_weights", "conv2d_fwd", "conv2d_"});
}

void break_key(Words& words, Random& random) {
  auto& word =
      words.values[static_cast<size_t>(random.below(static_cast<int64_t>(words.values.size())))];
  switch (random.below(4)) {
    case 0:
      word.first += pick(random, {"s", " ", "_", "\x01"});
      break;
    case 1:
      words.values.push_back(word);  // given twice
      break;
    case 2:
      word.second.clear();
      break;
    default:
      words.erase(pick(random, {"src", "weights"}));
  }
}

void break_tensor(Words& words, Random& random) {
  std::string& word = *words.find(pick(random, {"src", "weights"}));
  Tensor tensor(word);
  switch (random.below(6)) {
    case 0:
      tensor.type = pick(random, {"f64", "f16", "bf16", "s8", "u8", "s32", "f31", "F32", ""});
      break;
    case 1:
      tensor.layout = pick(random, {"nhwc", "nwc", "ncdhw", "chwn", "hwio", "oiw", "", "iohw"});
      break;
    case 2:
      tensor.dims.pop_back();
      break;
    case 3:
      tensor.dims.push_back(pick(random, {"1", "", "x"}));
      break;
    case 4:
      word = tensor.type + ":" + tensor.layout;
      return;
    default:
      word += pick(random, {":", ":1", "x", "x1", " "});
      return;
  }
  word = tensor.text();
}

void break_dim(Words& words, Random& random) {
  std::string& word = *words.find(pick(random, {"src", "weights"}));
  Tensor tensor(word);
  std::string& dim =
      tensor.dims[static_cast<size_t>(random.below(static_cast<int64_t>(tensor.dims.size())))];
  dim = pick(random, {"0", "0", "0", "-1", "1", "+1", "01", "1e1", "0x1", "-0", "2147483647",
                      "2147483648", "4294967296", "4611686018427387904", "9223372036854775807",
                      "9223372036854775808", "-9223372036854775809", "99999999999999999999"});
  word = tensor.text();
}

void break_groups(const ir::Conv& conv, Words& words, Random& random) {
  words.set("groups", random.one_in(2) ? std::to_string(conv.groups + 1)
                                       : pick(random, {"0", "-1", "2", "3", "x", "1x1", "1.0",
                                                       "9223372036854775807"}));
}

void break_strides(const ir::Conv& conv, Words& words, Random& random) {
  std::vector<int64_t> steps(static_cast<size_t>(conv.spatial_rank), 1);
  steps[static_cast<size_t>(random.below(conv.spatial_rank))] = random.one_in(3) ? -1 : 0;
  const std::string key = pick(random, {"strides", "dilations"});
  switch (random.below(5)) {
    case 0:
      return words.set(key, joined(steps));
    case 1:
      steps.push_back(1);
      return words.set(key, joined(steps));
    case 2:
      return words.set(key, full_strides(conv, 1 + random.below(2), 1 + random.below(2)));
    case 3:
      return words.set(key, pick(random, {"1", "x", "1x", "1xx1", "2.0x2.0", "2,2"}));
    default:
      std::ranges::fill(steps, INT64_MAX - random.below(2));
      return words.set(key, joined(steps));
  }
}

void break_pads(const ir::Conv& conv, Words& words, Random& random) {
  std::vector<std::string> pads(static_cast<size_t>(conv.spatial_rank), "1");
  pads[static_cast<size_t>(random.below(conv.spatial_rank))] =
      pick(random, {"-1", "0:-1", "1:2:3", "", "x", ":", "a:1", "9223372036854775807",
                    "4611686018427387904:4611686018427387904", "9223372036854775808"});
  if (random.one_in(4)) pads.push_back("1");
  if (random.one_in(6)) return words.set("pads", pick(random, {"sames", "full", "SAME", "none"}));
  words.set("pads", fmt::format("{}", fmt::join(pads, "x")));
}

// An effective kernel beyond the padded input, by one mostly.
void break_kernel(const ir::Conv& conv, Words& words, Random& random) {
  Tensor weights(*words.find("weights"));
  const int64_t axis = ir::kMaxSpatialRank - 1 - random.below(conv.spatial_rank);
  const int at = static_cast<int>(axis);
  const int64_t padded = conv.in[at] + conv.pads_begin[at] + conv.pads_end[at];
  const int64_t too_large = (padded - 1) / conv.dilations[at] + 2;
  weights.dim("dhw"[axis]) = std::to_string(random.one_in(4) ? too_large - 1 : too_large);
  words.set("weights", weights.text());
}

void break_channels(Words& words, Random& random) {
  const bool of_src = random.one_in(2);
  std::string& word = *words.find(of_src ? "src" : "weights");
  Tensor tensor(word);
  std::string& dim = tensor.dim(of_src ? 'c' : "io"[random.below(2)]);
  dim = std::to_string(std::stoll(dim) + 1);
  word = tensor.text();
}

void break_number(Words& words, Random& random) {
  if (random.one_in(3))
    return words.set("pad_value", pick(random, {"inf", "-inf", "nan", "1e39", "1e-60", "x", "1,5",
                                                "+1", "0x1p3", "--1", "1e", "3.4028236e38"}));
  words.set("post", pick(random, {"relu6",
                                  "bias,,relu",
                                  "clamp:1",
                                  "clamp:2:1",
                                  "clamp:1:2:3",
                                  "relu:1",
                                  "elu",
                                  "elu:inf",
                                  "leaky_relu:nan",
                                  "leaky_relu:-inf",
                                  "min",
                                  "max:",
                                  "min:1e39",
                                  "bias relu",
                                  "bias;relu",
                                  "gelu_erf",
                                  "clamp:-inf:inf",
                                  "min:inf",
                                  "clamp:nan:1",
                                  ",",
                                  "add,",
                                  "SILU",
                                  "max:1e-60",
                                  "elu:1:2",
                                  "clamp::"}));
}

void break_rest(Words& words, Random& random) {
  const std::string layout = Tensor(*words.find("src")).layout;
  switch (random.below(6)) {
    case 0:
      return words.set("accuracy", pick(random, {"fast", "Strict", "strict,normal", "1"}));
    case 1:
      return words.set("dst", "f32:" + layout + ":1");
    case 2:
      if (random.one_in(4)) return words.set("dst", "f16:" + layout);
      return words.set("dst", pick(random, {"f32", "f32:", ":nhwc", "f32:hwio", "nhwc"}));
    case 3:
      return words.set("name", std::string(static_cast<size_t>(65000 + random.below(1000)), 'n'));
    case 4:
      words.op += pick(random, {" bias", " relu=", " =1", " =", " stride=1", " Src=f32:nwc:1x1x1"});
      return;
    default:
      words.set("name", std::string("a") + static_cast<char>(1 + random.below(31)) + "b");
  }
}

}  // namespace

std::string spell(const ir::Conv& conv, Random& random) {
  return join(spelled(conv, random), random);
}

std::string spell_broken(const ir::Conv& conv, Random& random) {
  Words words = spelled(conv, random);
  switch (random.below(12)) {
    case 0:
      break_op(words, random);
      break;
    case 1:
      break_key(words, random);
      break;
    case 2:
    case 3:
      break_tensor(words, random);
      break;
    case 4:
      break_dim(words, random);
      break;
    case 5:
      break_groups(conv, words, random);
      break;
    case 6:
      break_strides(conv, words, random);
      break;
    case 7:
      break_pads(conv, words, random);
      break;
    case 8:
      break_kernel(conv, words, random);
      break;
    case 9:
      break_channels(words, random);
      break;
    case 10:
      break_number(words, random);
      break;
    default:
      break_rest(words, random);
  }
  return random.one_in(400) ? "" : join(words, random);
}

}  // namespace convgen::testing
