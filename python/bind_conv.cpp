// SPDX-License-Identifier: Apache-2.0
// convgen.Conv: a convolution as a value, read from its text.
#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include "ir/text.h"
#include "python/arguments.h"
#include "python/bindings.h"
#include "python/errors.h"

namespace convgen::python {
namespace {

// The numbers of the axes in use, outermost first.
nb::tuple spatial_tuple(const ir::Conv& conv, const ir::Extent3& extent) {
  std::vector<int64_t> numbers;
  for (int axis = ir::kMaxSpatialRank - conv.spatial_rank; axis < ir::kMaxSpatialRank; ++axis)
    numbers.push_back(extent[axis]);
  return make_shape(numbers);
}

nb::tuple pads_tuple(const ir::Conv& conv) {
  nb::list pads;
  for (int axis = ir::kMaxSpatialRank - conv.spatial_rank; axis < ir::kMaxSpatialRank; ++axis)
    pads.append(nb::make_tuple(conv.pads_begin[axis], conv.pads_end[axis]));
  return nb::tuple(pads);
}

nb::tuple post_tuple(const ir::Conv& conv) {
  nb::list words;
  for (const ir::PostOp& op : conv.post) words.append(ir::print_post_op(op));
  return nb::tuple(words);
}

std::string_view spatial_letters(int spatial_rank) {
  return std::string_view("dhw").substr(static_cast<size_t>(ir::kMaxSpatialRank - spatial_rank));
}

void bind_geometry(nb::class_<ir::Conv>& conv) {
  conv.def_prop_ro(
          "strides", [](const ir::Conv& c) { return spatial_tuple(c, c.strides); },
          nb::sig("def strides(self) -> tuple[int, ...]"))
      .def_prop_ro(
          "dilations", [](const ir::Conv& c) { return spatial_tuple(c, c.dilations); },
          nb::sig("def dilations(self) -> tuple[int, ...]"))
      .def_prop_ro("pads", pads_tuple, nb::sig("def pads(self) -> tuple[tuple[int, int], ...]"),
                   "(begin, end) of each spatial dimension.")
      .def_ro("pad_value", &ir::Conv::pad_value)
      .def_ro("groups", &ir::Conv::groups)
      .def_ro("spatial_rank", &ir::Conv::spatial_rank)
      .def_prop_ro("post", post_tuple, nb::sig("def post(self) -> tuple[str, ...]"),
                   "The post-ops, as the text spells them.")
      .def_prop_ro("accuracy",
                   [](const ir::Conv& c) {
                     return c.accuracy == ir::Accuracy::kStrict ? "strict" : "normal";
                   })
      .def_prop_ro("multiply_adds", &ir::Conv::multiply_adds);
}

void bind_shapes(nb::class_<ir::Conv>& conv) {
  conv.def_prop_ro(
          "src_shape", [](const ir::Conv& c) { return make_shape(c.src_dims()); },
          nb::sig("def src_shape(self) -> tuple[int, ...]"))
      .def_prop_ro(
          "weights_shape", [](const ir::Conv& c) { return make_shape(c.weights_dims()); },
          nb::sig("def weights_shape(self) -> tuple[int, ...]"))
      .def_prop_ro(
          "dst_shape", [](const ir::Conv& c) { return make_shape(c.dst_dims()); },
          nb::sig("def dst_shape(self) -> tuple[int, ...]"))
      .def_prop_ro("src_layout",
                   [](const ir::Conv& c) { return layout_word(c.src_layout, c.spatial_rank); })
      .def_prop_ro("weights_layout",
                   [](const ir::Conv& c) { return layout_word(c.weights_layout, c.spatial_rank); })
      .def_prop_ro("dst_layout",
                   [](const ir::Conv& c) { return layout_word(c.dst_layout, c.spatial_rank); });
}

}  // namespace

std::string layout_word(ir::ActivationLayout layout, int spatial_rank) {
  const std::string_view letters = spatial_letters(spatial_rank);
  return layout == ir::ActivationLayout::kChannelsLast ? fmt::format("n{}c", letters)
                                                       : fmt::format("nc{}", letters);
}

std::string layout_word(ir::WeightsLayout layout, int spatial_rank) {
  const std::string_view letters = spatial_letters(spatial_rank);
  return layout == ir::WeightsLayout::kSpatialIO ? fmt::format("{}io", letters)
                                                 : fmt::format("oi{}", letters);
}

ir::Conv read_conv(nb::handle conv) {
  if (const auto* made = find_instance<ir::Conv>(conv)) return *made;
  return unwrap(ir::parse_conv(read_text(conv, "conv", "a Conv or its text")));
}

void bind_conv(nb::module_& m) {
  nb::class_<ir::Conv> conv(m, "Conv",
                            "One convolution, checked and canonical, made from its text (the conv "
                            "text or benchdnn's). Immutable; equal where the texts are.");
  conv.def(
          "__init__",
          [](ir::Conv* self, const std::string& text) {
            new (self) ir::Conv(unwrap(ir::parse_conv(text)));
          },
          nb::arg("text"))
      .def_prop_ro("text", ir::print_conv, "The canonical text, which is the signature.")
      .def_ro("name", &ir::Conv::name, "The label given by name=, no part of the convolution.")
      .def("__str__", ir::print_conv)
      .def("__repr__",
           [](const ir::Conv& c) { return fmt::format("Conv('{}')", ir::print_conv(c)); })
      .def("__hash__",
           [](const ir::Conv& c) { return nb::hash(nb::str(ir::print_conv(c).c_str())); })
      .def(
          "__eq__",
          [](const ir::Conv& a, nb::handle b) {
            const auto* other = find_instance<ir::Conv>(b);
            return other != nullptr && a == *other;
          },
          nb::arg("other").none(), nb::sig("def __eq__(self, other: object, /) -> bool"));
  bind_shapes(conv);
  bind_geometry(conv);
}

}  // namespace convgen::python
