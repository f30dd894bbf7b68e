// SPDX-License-Identifier: Apache-2.0
// Arguments and lines to texts, texts to convolutions.
#include "tools/conv_args.h"

#include <fmt/format.h>

#include <string_view>

#include "ir/text.h"
#include "tools/output_file.h"

namespace convgen::tool {
namespace {

constexpr size_t kMaxFileBytes = 16 << 20;
constexpr std::string_view kBlanks = " \t\r";

// The line without its comment and outer blanks.
std::string_view strip(std::string_view line) {
  for (size_t at = line.find('#'); at != line.npos; at = line.find('#', at + 1)) {
    if (at > 0 && kBlanks.find(line[at - 1]) == kBlanks.npos) continue;
    line = line.substr(0, at);
    break;
  }
  const size_t begin = line.find_first_not_of(kBlanks);
  if (begin == line.npos) return {};
  return line.substr(begin, line.find_last_not_of(kBlanks) + 1 - begin);
}

Status read_conv_file(const std::string& path, std::vector<ConvText>& convs) {
  const Result<std::string> text = read_text(path, kMaxFileBytes);
  if (!text.ok()) return text.status();
  const size_t before = convs.size();
  std::string_view rest = *text;
  for (int number = 1; !rest.empty(); ++number) {
    const size_t end = rest.find('\n');
    const std::string_view line = strip(rest.substr(0, end));
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
    if (line.empty()) continue;
    convs.push_back({std::string(line), fmt::format("{}:{}", input_name(path), number)});
  }
  if (convs.size() > before) return Status();
  return invalid_argument(fmt::format("{}: holds no convolution", input_name(path)));
}

Result<ir::Conv> parse(const ConvText& conv) {
  Result<ir::Conv> parsed = ir::parse_conv(conv.text);
  if (!parsed.ok()) return located(conv, parsed.status());
  return parsed;
}

}  // namespace

Status located(const ConvText& conv, const Status& status) {
  if (status.ok() || conv.where.empty()) return status;
  return Status(status.code(), conv.where + ": " + status.message());
}

Result<std::vector<ConvText>> read_conv_args(const std::vector<std::string>& args) {
  std::vector<ConvText> convs;
  for (const std::string& arg : args) {
    const bool is_file = arg == "-" || arg.starts_with('@');
    if (!is_file) {
      convs.push_back({arg, ""});
      continue;
    }
    const std::string path = arg == "-" ? arg : arg.substr(1);
    if (path.empty()) return invalid_argument("@: expected a file name after it");
    if (Status status = read_conv_file(path, convs); !status.ok()) return status;
  }
  return convs;
}

Result<ConvText> read_conv_arg(const std::string& arg) {
  const Result<std::vector<ConvText>> convs = read_conv_args({arg});
  if (!convs.ok()) return convs.status();
  if (convs->size() == 1) return convs->front();
  return invalid_argument(
      fmt::format("{}: holds {} convolutions, this command takes one", arg, convs->size()));
}

Result<std::vector<ir::Conv>> parse_conv_args(const std::vector<std::string>& args) {
  const Result<std::vector<ConvText>> texts = read_conv_args(args);
  if (!texts.ok()) return texts.status();
  std::vector<ir::Conv> convs;
  for (const ConvText& text : *texts) {
    Result<ir::Conv> conv = parse(text);
    if (!conv.ok()) return conv.status();
    convs.push_back(std::move(*conv));
  }
  return convs;
}

Result<ir::Conv> parse_conv_arg(const std::string& arg) {
  const Result<ConvText> text = read_conv_arg(arg);
  if (!text.ok()) return text.status();
  return parse(*text);
}

}  // namespace convgen::tool
