// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/inputs/c_api_convs.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <iterator>

#include "tests/fuzz/inputs/c_api_handles.h"

namespace convgen::fuzz_inputs {
namespace {

std::string any_text(Bytes& bytes) { return std::string(bytes.take(bytes.next())); }

int64_t any_number(Bytes& bytes) {
  return bytes.one_in(8) ? bytes.number() : bytes.next() - int64_t{2};
}

}  // namespace

CConvFields::CConvFields(Bytes& bytes) {
  constexpr const char* kLayouts[] = {"nhwc", "nchw", "nwc",   "ndhwc", "hwio",
                                      "oihw", "wio",  "dhwio", "",      nullptr};
  const auto layout = [&] { return kLayouts[bytes.below(std::size(kLayouts))]; };
  constexpr const char* kPosts[] = {nullptr, "", "relu,scale", "add"};
  post = bytes.one_in(4) ? any_text(bytes) : "";
  name = any_text(bytes);
  spec.src_layout = bytes.one_in(8) ? layout() : "nhwc";
  spec.weights_layout = bytes.one_in(8) ? layout() : "hwio";
  spec.dst_layout = bytes.one_in(4) ? layout() : nullptr;
  spec.post = post.empty() ? kPosts[bytes.below(std::size(kPosts))] : post.c_str();
  spec.name = name.c_str();
  std::ranges::copy(std::initializer_list<int64_t>{1, 4, 5, 3}, spec.src_dims);
  std::ranges::copy(std::initializer_list<int64_t>{3, 3, 3, 9}, spec.weights_dims);
  for (int64_t* dims : {spec.src_dims, spec.weights_dims})
    if (bytes.one_in(4)) std::generate_n(dims, 5, [&] { return any_number(bytes); });
  for (int64_t* numbers : {spec.strides, spec.dilations, spec.pads_begin, spec.pads_end})
    if (bytes.one_in(4)) std::generate_n(numbers, 3, [&] { return any_number(bytes); });
  if (bytes.one_in(8)) spec.groups = any_number(bytes);
  if (bytes.one_in(8)) spec.spatial_rank = bytes.next() - 1;
  if (bytes.one_in(4)) spec.pads = static_cast<int32_t>(bytes.below(5)) - 1;
  spec.pad_value = static_cast<float>(any_number(bytes));
  spec.strict = static_cast<int32_t>(bytes.below(3));
}

void expect_told_truly(const convgen_conv* conv) {
  if (conv == nullptr) return;
  convgen_conv_info info = CONVGEN_CONV_INFO_INIT;
  expect_done(convgen_conv_get_info(conv, &info));
  convgen_conv* again = nullptr;
  expect_done(convgen_conv_parse(info.text, &again));
  convgen_conv_info other = CONVGEN_CONV_INFO_INIT;
  expect_done(convgen_conv_get_info(again, &other));
  expect(std::strcmp(info.text, other.text) == 0 && info.dst_elements == other.dst_elements &&
             std::memcmp(info.dst_dims, other.dst_dims, sizeof info.dst_dims) == 0,
         "canonical text reads back as the same", info.text);
  convgen_conv_free(again);
}

}  // namespace convgen::fuzz_inputs
