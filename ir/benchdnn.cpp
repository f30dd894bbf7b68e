// SPDX-License-Identifier: Apache-2.0
// benchdnn problem text: read into key=number pairs, then completed axis by axis the way benchdnn
// completes it. Rules of the convolution itself are make_conv's.
#include "ir/benchdnn.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ir/message.h"
#include "ir/numbers.h"
#include "ir/words.h"

namespace convgen::ir {
namespace {

constexpr std::string_view kKnownKeys[] = {"g",  "mb", "ic", "oc", "id", "ih", "iw", "od",
                                           "oh", "ow", "kd", "kh", "kw", "sd", "sh", "sw",
                                           "pd", "ph", "pw", "dd", "dh", "dw", "n"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_key_letter(char c) { return c >= 'a' && c <= 'z'; }

// The text as said: each key at most once, no number negative.
struct Problem {
  std::map<std::string, int64_t, std::less<>> numbers;
  std::string name;

  std::optional<int64_t> find(std::string_view key) const {
    const auto found = numbers.find(key);
    return found == numbers.end() ? std::nullopt : std::optional(found->second);
  }
  int64_t get(std::string_view key, int64_t missing) const { return find(key).value_or(missing); }
};

// Where a number stands in a message: "benchdnn oh112".
std::string field(std::string_view key, int64_t value) {
  return fmt::format("benchdnn {}{}", key, value);
}

// Takes the characters off the front of `text` for which `belongs` holds.
template <typename Predicate>
std::string_view take_while(std::string_view& text, Predicate belongs) {
  const auto end = std::find_if_not(text.begin(), text.end(), belongs);
  const std::string_view taken = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(taken.size());
  return taken;
}

std::string_view unquote(std::string_view name) {
  const bool quoted = name.size() >= 2 && name.front() == '"' && name.back() == '"';
  return quoted ? name.substr(1, name.size() - 2) : name;
}

// Takes one `key123` off the front of `text`. Only minus signs and digits follow a key, so that
// `ph-1` is told apart from an unknown key.
Status read_pair(std::string_view& text, Problem& problem) {
  const std::string_view rest = text;
  const std::string_view key = take_while(text, is_key_letter);
  const std::string_view digits = take_while(text, [](char c) { return is_digit(c) || c == '-'; });
  const std::string word = fmt::format("benchdnn {}{}", key, digits);
  if (key.empty()) return broken_rule(fmt::format("benchdnn {}", rest), "expected a key");
  if (std::ranges::find(kKnownKeys, key) == std::end(kKnownKeys)) {
    return broken_rule(word, "unknown key, " + expected_one_of(kKnownKeys, key));
  }
  const Result<int64_t> number = parse_int64(word, digits);
  if (!number.ok()) return number.status();
  if (*number < 0) return broken_rule(word, "must not be negative");
  if (!problem.numbers.emplace(key, *number).second) {
    return broken_rule(word, fmt::format("{} is given twice", key));
  }
  return Status();
}

Result<Problem> read_problem(std::string_view text) {
  Problem problem;
  while (!text.empty()) {
    if (text.front() == '_') {
      text.remove_prefix(1);
    } else if (text.front() == 'n') {  // no other key begins with n; the name takes the rest
      problem.name = unquote(text.substr(1));
      break;
    } else if (Status status = read_pair(text, problem); !status.ok()) {
      return status;
    }
  }
  return problem;
}

// --- One spatial axis ---

struct AxisProblem {
  int64_t in, kernel, stride, dilation;  // dilation 1 = dense
  int64_t pad_begin, pad_end;
};

bool says_axis(const Problem& problem, char axis) {
  return std::ranges::any_of(std::string_view("iokspd"), [&](char quantity) {
    return problem.find(std::string{quantity, axis}).has_value();
  });
}

// The end pad that makes exactly `out` outputs, given the begin pad. benchdnn allows it to be
// negative, where the end of the input is not used; 0 then does as well unless a further output
// would fit.
Status set_pads_for_output(std::string_view key, int64_t out, std::optional<int64_t> begin,
                           AxisProblem& axis) {
  const Wide span = Wide{out - 1} * axis.stride + effective_kernel(axis.kernel, axis.dilation);
  const Wide total = span - axis.in;
  const Wide pad_begin = begin ? Wide{*begin} : std::max<Wide>(total, 0) / 2;
  const Wide pad_end = total - pad_begin;
  if (pad_end <= -Wide{axis.stride}) {
    const Wide room = axis.in + pad_begin - effective_kernel(axis.kernel, axis.dilation);
    return broken_rule(field(key, out), fmt::format("does not fit, input, kernel and pads give {}",
                                                    room / axis.stride + 1));
  }
  if (!fits_int64(pad_begin) || !fits_int64(pad_end)) {
    return broken_rule(field(key, out), "the padding for that many outputs overflows int64");
  }
  axis.pad_begin = static_cast<int64_t>(pad_begin);
  axis.pad_end = static_cast<int64_t>(std::max<Wide>(pad_end, 0));
  return Status();
}

Result<AxisProblem> read_axis(const Problem& problem, char axis) {
  const auto key = [&](char quantity) { return std::string{quantity, axis}; };
  for (char quantity : {'i', 'k'}) {
    if (problem.find(key(quantity))) continue;
    return broken_rule("benchdnn " + key(quantity), "is required");
  }
  AxisProblem result{};
  result.in = problem.get(key('i'), 0);
  result.kernel = problem.get(key('k'), 0);
  result.stride = problem.get(key('s'), 1);
  if (result.stride < 1) return broken_rule(field(key('s'), result.stride), "must be at least 1");
  const int64_t holes = problem.get(key('d'), 0);
  if (__builtin_add_overflow(holes, 1, &result.dilation)) {
    return broken_rule(field(key('d'), holes), "overflows int64");
  }
  const std::optional<int64_t> pad = problem.find(key('p'));
  // benchdnn reads an output size of 0 as not given.
  if (const int64_t out = problem.get(key('o'), 0); out > 0) {
    const Status status = set_pads_for_output(key('o'), out, pad, result);
    if (!status.ok()) return status;
  } else {
    result.pad_begin = result.pad_end = pad.value_or(0);
  }
  return result;
}

// The axes of the convolution, outermost first. An axis that is not said takes the numbers of the
// one outside it: `ih7kh3` is square, `id7kd3` cubic, `iw7kw3` 1D.
Result<std::vector<AxisProblem>> read_axes(const Problem& problem) {
  std::vector<AxisProblem> axes;
  for (char axis : {'d', 'h', 'w'}) {
    if (says_axis(problem, axis)) {
      const Result<AxisProblem> result = read_axis(problem, axis);
      if (!result.ok()) return result.status();
      axes.push_back(*result);
    } else if (!axes.empty()) {
      axes.push_back(axes.back());
    }
  }
  if (axes.empty()) return invalid_argument("benchdnn iw: is required, or ih, or id");
  return axes;
}

// --- The whole problem ---

struct Channels {
  int64_t groups, ic, oc;
};

Result<Channels> read_channels(const Problem& problem) {
  for (std::string_view key : {"ic", "oc"}) {
    if (!problem.find(key)) return broken_rule(fmt::format("benchdnn {}", key), "is required");
  }
  const Channels channels{problem.get("g", 1), problem.get("ic", 0), problem.get("oc", 0)};
  if (channels.groups < 1) return broken_rule(field("g", channels.groups), "must be at least 1");
  if (channels.ic % channels.groups != 0) {
    return broken_rule(field("g", channels.groups),
                       fmt::format("must divide the {} channels of ic", channels.ic));
  }
  return channels;
}

ConvSpec make_spec(const Problem& problem, const Channels& channels,
                   const std::vector<AxisProblem>& axes) {
  const auto rank = static_cast<int>(axes.size());
  ConvSpec spec;
  spec.op = op_word(rank);
  spec.src = {"f32", layout_word(ActivationLayout::kChannelsLast, rank), {problem.get("mb", 2)}};
  spec.weights = {"f32", layout_word(WeightsLayout::kSpatialIO, rank), {}};
  spec.pads.kind = PadsSpec::Kind::kExplicit;
  for (const AxisProblem& axis : axes) {
    spec.src.dims.push_back(axis.in);
    spec.weights.dims.push_back(axis.kernel);
    spec.strides.push_back(axis.stride);
    spec.dilations.push_back(axis.dilation);
    spec.pads.explicit_pads.emplace_back(axis.pad_begin, axis.pad_end);
  }
  spec.src.dims.push_back(channels.ic);
  spec.weights.dims.insert(spec.weights.dims.end(), {channels.ic / channels.groups, channels.oc});
  spec.groups = channels.groups;
  spec.name = problem.name;
  return spec;
}

}  // namespace

bool looks_like_benchdnn(std::string_view text) {
  if (text.find_first_of("= \t\r\n") != std::string_view::npos) return false;
  for (size_t at = text.find("ic"); at != std::string_view::npos; at = text.find("ic", at + 1)) {
    if (at + 2 < text.size() && is_digit(text[at + 2])) return true;
  }
  return false;
}

Result<ConvSpec> parse_benchdnn(std::string_view text) {
  const Result<Problem> problem = read_problem(text);
  if (!problem.ok()) return problem.status();
  const Result<Channels> channels = read_channels(*problem);
  if (!channels.ok()) return channels.status();
  const Result<std::vector<AxisProblem>> axes = read_axes(*problem);
  if (!axes.ok()) return axes.status();
  return make_spec(*problem, *channels, *axes);
}

}  // namespace convgen::ir
