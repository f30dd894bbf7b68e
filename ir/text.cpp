// SPDX-License-Identifier: Apache-2.0
// Reading the conv text word by word, and printing the canonical form. No rule that needs more
// than one word stands here: those are make_conv's.
#include "ir/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "ir/benchdnn.h"
#include "ir/message.h"
#include "ir/numbers.h"
#include "ir/words.h"

namespace convgen::ir {
namespace {

constexpr size_t kMaxTextBytes = 64 * 1024;

// The pieces of `text` between separators, empty ones too: "1xx2" has three.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  for (;;) {
    const size_t end = text.find(separator);
    pieces.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return pieces;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> split_words(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  std::vector<std::string_view> words;
  for (size_t begin = text.find_first_not_of(kBlanks); begin != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBlanks, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kBlanks, end);
  }
  return words;
}

std::string_view trim_newlines(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// --- The words, one reader each ---

// `strides=2x2`, apart. `text` is the whole word, for messages.
struct Word {
  std::string_view text;
  std::string_view key;
  std::string_view value;
};

Status read_numbers(const Word& word, std::string_view value, std::vector<int64_t>& numbers) {
  for (std::string_view piece : split(value, 'x')) {
    const Result<int64_t> number = parse_int64(word.text, piece);
    if (!number.ok()) return number.status();
    numbers.push_back(*number);
  }
  return Status();
}

Status read_tensor(const Word& word, TensorSpec& tensor) {
  const std::vector<std::string_view> parts = split(word.value, ':');
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty() || parts[1].empty()) {
    return broken_rule(word.text,
                       word.key == "dst" ? "expected TYPE:LAYOUT" : "expected TYPE:LAYOUT:DIMS");
  }
  tensor.type = parts[0];
  tensor.layout = parts[1];
  return parts.size() == 3 ? read_numbers(word, parts[2], tensor.dims) : Status();
}

Status read_src(const Word& word, ConvSpec& spec) { return read_tensor(word, spec.src); }
Status read_weights(const Word& word, ConvSpec& spec) { return read_tensor(word, spec.weights); }
Status read_dst(const Word& word, ConvSpec& spec) { return read_tensor(word, spec.dst); }

Status read_strides(const Word& word, ConvSpec& spec) {
  return read_numbers(word, word.value, spec.strides);
}

Status read_dilations(const Word& word, ConvSpec& spec) {
  return read_numbers(word, word.value, spec.dilations);
}

// One entry of a pads list: "1", which is 1:1, or "1:0".
Result<std::pair<int64_t, int64_t>> read_pad(const Word& word, std::string_view entry) {
  const std::vector<std::string_view> sides = split(entry, ':');
  if (sides.size() > 2) {
    return broken_rule(word.text, fmt::format("\"{}\" is no pad, expected BEGIN:END or one number",
                                              printable(entry)));
  }
  const Result<int64_t> begin = parse_int64(word.text, sides.front());
  if (!begin.ok()) return begin.status();
  const Result<int64_t> end = parse_int64(word.text, sides.back());
  if (!end.ok()) return end.status();
  return std::pair(*begin, *end);
}

Status read_pads(const Word& word, ConvSpec& spec) {
  using enum PadsSpec::Kind;
  constexpr std::pair<std::string_view, PadsSpec::Kind> kKinds[] = {
      {"valid", kValid}, {"same", kSame}, {"same_lower", kSameLower}};
  for (const auto& [name, kind] : kKinds) {
    if (word.value != name) continue;
    spec.pads.kind = kind;
    return Status();
  }
  if (word.value.find_first_of("0123456789") == std::string_view::npos) {
    constexpr std::array<std::string_view, 4> kKnown{"same", "same_lower", "valid",
                                                     "BEGIN:END for each spatial dimension"};
    return broken_rule(word.text, expected_one_of(kKnown, word.value));
  }
  spec.pads.kind = kExplicit;
  for (std::string_view entry : split(word.value, 'x')) {
    const auto pad = read_pad(word, entry);
    if (!pad.ok()) return pad.status();
    spec.pads.explicit_pads.push_back(*pad);
  }
  return Status();
}

Status read_pad_value(const Word& word, ConvSpec& spec) {
  const Result<float> value = parse_f32(word.text, word.value);
  if (value.ok()) spec.pad_value = *value;
  return value.status();
}

Status read_groups(const Word& word, ConvSpec& spec) {
  const Result<int64_t> groups = parse_int64(word.text, word.value);
  if (groups.ok()) spec.groups = *groups;
  return groups.status();
}

Status unknown_post_op(const Word& word, std::string_view found) {
  std::vector<std::string_view> known;
  for (const PostOpWord& op : post_op_words()) known.push_back(op.word);
  return broken_rule(word.text, fmt::format("unknown post-op \"{}\", {}", printable(found),
                                            expected_one_of(known, found)));
}

// "clamp:0:6".
Result<PostOp> read_post_op(const Word& word, std::string_view text) {
  const std::vector<std::string_view> parts = split(text, ':');
  const PostOpWord* found = find_post_op(parts[0]);
  if (found == nullptr) return unknown_post_op(word, parts[0]);
  const auto constants = static_cast<size_t>(found->constants);
  if (parts.size() != constants + 1) {
    return broken_rule(word.text,
                       fmt::format("\"{}\" is not of the form {}", printable(text), found->form));
  }
  PostOp op{found->kind};
  for (size_t i = 0; i < constants; ++i) {
    const Result<float> value = parse_f32(word.text, parts[i + 1]);
    if (!value.ok()) return value.status();
    (i == 0 ? op.a : op.b) = *value;
  }
  return op;
}

Status read_post(const Word& word, ConvSpec& spec) {
  for (std::string_view text : split(word.value, ',')) {
    const Result<PostOp> op = read_post_op(word, text);
    if (!op.ok()) return op.status();
    spec.post.push_back(*op);
  }
  return Status();
}

Status read_accuracy(const Word& word, ConvSpec& spec) {
  constexpr std::array<std::string_view, 2> kKnown{"normal", "strict"};
  if (std::ranges::find(kKnown, word.value) == kKnown.end()) {
    return broken_rule(word.text, expected_one_of(kKnown, word.value));
  }
  spec.accuracy = word.value == "strict" ? Accuracy::kStrict : Accuracy::kNormal;
  return Status();
}

Status read_name(const Word& word, ConvSpec& spec) {
  spec.name = word.value;
  return Status();
}

struct Reader {
  std::string_view key;
  Status (*read)(const Word&, ConvSpec&);
};

constexpr Reader kReaders[] = {
    {"src", read_src},
    {"weights", read_weights},
    {"dst", read_dst},
    {"strides", read_strides},
    {"pads", read_pads},
    {"pad_value", read_pad_value},
    {"dilations", read_dilations},
    {"groups", read_groups},
    {"post", read_post},
    {"accuracy", read_accuracy},
    {"name", read_name},
};

Status unknown_key(const Word& word) {
  std::vector<std::string_view> known;
  for (const Reader& reader : kReaders) known.push_back(reader.key);
  return broken_rule(word.text, fmt::format("unknown key \"{}\", {}", printable(word.key),
                                            expected_one_of(known, word.key)));
}

Status read_word(std::string_view text, std::vector<std::string_view>& seen, ConvSpec& spec) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return broken_rule(text, "expected key=value");
  const Word word{text, text.substr(0, equals), text.substr(equals + 1)};
  const auto reader = std::ranges::find(kReaders, word.key, &Reader::key);
  if (reader == std::end(kReaders)) return unknown_key(word);
  if (std::ranges::find(seen, word.key) != seen.end()) {
    return broken_rule(text, fmt::format("{}= is given twice", word.key));
  }
  seen.push_back(word.key);
  if (word.value.empty()) return broken_rule(text, "a value is missing");
  return reader->read(word, spec);
}

// What must hold before the text is taken apart.
Status check_characters(std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    return invalid_argument(fmt::format("conv text: {} bytes found, at most {} are allowed",
                                        text.size(), kMaxTextBytes));
  }
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  };
  if (std::ranges::any_of(text, is_control)) {
    return broken_rule(text, "control characters are not allowed");
  }
  return Status();
}

// --- Printing ---

std::string print_pads(const Conv& conv) {
  std::vector<std::pair<int64_t, int64_t>> pads;
  for (int axis = first_axis(conv.spatial_rank); axis < kMaxSpatialRank; ++axis) {
    pads.emplace_back(conv.pads_begin[axis], conv.pads_end[axis]);
  }
  return pads_text(pads);
}

std::string print_post(const std::vector<PostOp>& post) {
  std::vector<std::string> ops;
  for (const PostOp& op : post) ops.push_back(print_post_op(op));
  return fmt::format("{}", fmt::join(ops, ","));
}

}  // namespace

Result<ConvSpec> parse_conv_spec(std::string_view text) {
  text = trim_newlines(text);
  if (Status status = check_characters(text); !status.ok()) return status;
  const std::vector<std::string_view> words = split_words(text);
  if (words.empty()) return invalid_argument("conv text: is empty, expected conv2d src=... or so");
  if (looks_like_benchdnn(words[0])) {
    if (words.size() == 1) return parse_benchdnn(words[0]);
    return broken_rule(words[1], "benchdnn text takes no further words");
  }
  if (const Result<int> rank = parse_op(words[0]); !rank.ok()) return rank.status();
  ConvSpec spec;
  spec.op = words[0];
  std::vector<std::string_view> seen;
  for (size_t i = 1; i < words.size(); ++i) {
    if (Status status = read_word(words[i], seen, spec); !status.ok()) return status;
  }
  return spec;
}

Result<Conv> parse_conv(std::string_view text) {
  const Result<ConvSpec> spec = parse_conv_spec(text);
  if (!spec.ok()) return spec.status();
  return make_conv(*spec);
}

std::string print_conv(const Conv& conv) {
  const int rank = conv.spatial_rank;
  const std::string type(type_word(conv.type));
  const std::string weights_layout = layout_word(conv.weights_layout, rank);
  const auto activation = [&](ActivationLayout layout, std::vector<int64_t> dims) {
    return TensorSpec{type, layout_word(layout, rank), std::move(dims)};
  };
  std::string text = op_word(rank);
  const auto add = [&](std::string_view word) { text.append(" ").append(word); };

  add(tensor_text("src", activation(conv.src_layout, conv.src_dims())));
  add(tensor_text("weights", {type, weights_layout, conv.weights_dims()}));
  if (conv.dst_layout != conv.src_layout) add(tensor_text("dst", activation(conv.dst_layout, {})));
  if (conv.strides != Extent3{}) add("strides=" + dims_text(used_axes(conv.strides, rank)));
  if (conv.has_padding()) add("pads=" + print_pads(conv));
  if (conv.pad_value != 0) add("pad_value=" + print_float(conv.pad_value));
  if (conv.dilations != Extent3{}) add("dilations=" + dims_text(used_axes(conv.dilations, rank)));
  if (conv.groups != 1) add(fmt::format("groups={}", conv.groups));
  if (!conv.post.empty()) add("post=" + print_post(conv.post));
  if (conv.accuracy == Accuracy::kStrict) add("accuracy=strict");
  return text;
}

std::string print_post_op(const PostOp& op) {
  const PostOpWord* found = find_post_op(op.kind);
  if (found == nullptr) return fmt::format("{}", static_cast<int>(op.kind));
  std::string text(found->word);
  if (found->constants > 0) text += ":" + print_float(op.a);
  if (found->constants > 1) text += ":" + print_float(op.b);
  return text;
}

std::string print_float(float value) { return fmt::format("{}", value); }

}  // namespace convgen::ir
