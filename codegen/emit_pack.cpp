// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_pack.h"

#include "codegen/emit_function.h"
#include "codegen/loop_nest.h"
#include "codegen/winograd.h"

namespace convgen::codegen {
namespace {

class PackEmitter {
 public:
  PackEmitter(KernelBuilder& b, const ir::Conv& conv, const PackedLayout& layout,
              llvm::Value* weights, llvm::Value* packed)
      : b_(b),
        conv_(conv),
        layout_(layout),
        strides_(weights_strides(conv)),
        weights_(weights),
        packed_(packed) {}

  // for g
  //   for block of oc                  the last one narrower
  //     for step                       or, of Winograd, for ic
  //       for c of the block           padded to whole vectors with zeros
  void emit() {
    for_each(0, layout_.groups, "g", [&](llvm::Value* g) {
      for_each(0, layout_.full_blocks(), "block", [&](llvm::Value* block) {
        emit_block(g, b_.scale_index(block, layout_.oc_block), layout_.oc_block, layout_.oc_block);
      });
      const int64_t first = layout_.full_blocks() * layout_.oc_block;
      if (first < layout_.oc_per_group)
        emit_block(g, b_.index(first), layout_.oc_per_group - first, layout_.tail_width());
    });
  }

 private:
  void for_each(int64_t begin, int64_t end, llvm::StringRef name,
                llvm::function_ref<void(llvm::Value* i)> body) {
    emit_for(b_, {b_.index(begin), b_.index(end)}, name, {},
             [&](llvm::Value* i, Values) { return body(i), Values(); });
  }
  void store(llvm::Value* value, llvm::Value* address) {
    b_.CreateAlignedStore(value, address, llvm::Align(alignof(float)));
  }
  llvm::Value* load(llvm::Value* address) {
    return b_.CreateAlignedLoad(b_.getFloatTy(), address, llvm::Align(alignof(float)));
  }
  llvm::Value* zero() { return llvm::ConstantFP::getZero(b_.getFloatTy()); }

  // Output channels [first, first + real) of group g, as `width` channels.
  void emit_block(llvm::Value* g, llvm::Value* first, int64_t real, int64_t width) {
    llvm::Value* channel = b_.add_index(b_.scale_index(g, layout_.oc_per_group), first);
    llvm::Value* from = b_.at(weights_, b_.scale_index(channel, strides_.oc));
    llvm::Value* to = b_.at(packed_, b_.add_index(b_.scale_index(g, layout_.group_elements()),
                                                  b_.scale_index(first, layout_.steps)));
    if (layout_.winograd != 0)
      emit_winograd_block(from, to, real, width);
    else
      emit_plain_block(from, to, real, width);
  }

  void emit_plain_block(llvm::Value* from, llvm::Value* to, int64_t real, int64_t width) {
    for_each(0, layout_.steps, "step", [&](llvm::Value* step) {
      llvm::Value* tap = step;
      llvm::Value* ic = b_.take_factor(tap, conv_.ic_per_group());
      llvm::Value* from_row = b_.at(from, b_.scale_index(tap, strides_.tap));
      llvm::Value* to_row = b_.at(to, b_.scale_index(step, width));
      for_each(0, real, "c", [&](llvm::Value* c) {
        store(load(b_.at(from_row, source_of(ic, c))), b_.at(to_row, c));
      });
      for_each(real, width, "rest", [&](llvm::Value* c) { store(zero(), b_.at(to_row, c)); });
    });
  }

  // Offset of the weight of lane c: from which input channel, to which output of the block.
  llvm::Value* source_of(llvm::Value* ic, llvm::Value* c) {
    llvm::Value* input = ic;
    llvm::Value* output = c;
    if (layout_.rotated) {
      llvm::Value* group = c;
      input = b_.take_factor(group, conv_.ic_per_group());
      llvm::Value* turned = b_.add_index(input, ic);
      turned = b_.take_factor(turned, conv_.ic_per_group());
      output = b_.add_index(b_.scale_index(group, conv_.ic_per_group()), turned);
    }
    return b_.add_index(b_.scale_index(input, strides_.ic), b_.scale_index(output, strides_.oc));
  }

  void emit_winograd_block(llvm::Value* from, llvm::Value* to, int64_t real, int64_t width) {
    const int64_t points = layout_.steps / conv_.ic;
    for_each(0, conv_.ic, "ic", [&](llvm::Value* ic) {
      llvm::Value* filters = b_.at(from, b_.scale_index(ic, strides_.ic));
      llvm::Value* to_row = b_.at(to, b_.scale_index(ic, width));
      for_each(0, real, "c", [&](llvm::Value* c) {
        emit_transform(b_.at(filters, b_.scale_index(c, strides_.oc)), b_.at(to_row, c), width);
      });
      for_each(real, width, "rest", [&](llvm::Value* c) {
        for_each(0, points, "point", [&](llvm::Value* point) {
          store(zero(), b_.at(to_row, b_.add_index(b_.scale_index(point, conv_.ic * width), c)));
        });
      });
    });
  }

  // G g G^T of one filter, as WeightsTransform has it: in f64, rounded once.
  void emit_transform(llvm::Value* filter, llvm::Value* to, int64_t width) {
    const WinogradAxis h = winograd_axis(conv_.kernel.h, layout_.winograd);
    const WinogradAxis w = winograd_axis(conv_.kernel.w, layout_.winograd);
    const WeightsTransform transform(h, w);
    Values g;
    for (int64_t tap = 0; tap < h.taps * w.taps; ++tap)
      g.push_back(b_.CreateFPExt(load(b_.at(filter, tap * strides_.tap)), b_.getDoubleTy()));
    for (int64_t i = 0; i < h.alpha; ++i) {
      Values line;  // row i of G g
      for (int64_t kw = 0; kw < w.taps; ++kw) {
        Values column;
        for (int64_t kh = 0; kh < h.taps; ++kh) column.push_back(g[kh * w.taps + kw]);
        line.push_back(sum_of_products(transform.along_h()[static_cast<size_t>(i)], column));
      }
      for (int64_t j = 0; j < w.alpha; ++j) {
        llvm::Value* u = sum_of_products(transform.along_w()[static_cast<size_t>(j)], line);
        store(b_.CreateFPTrunc(u, b_.getFloatTy()),
              b_.at(to, (i * w.alpha + j) * conv_.ic * width));
      }
    }
  }

  llvm::Value* sum_of_products(const std::array<double, 5>& factors, const Values& values) {
    llvm::Value* sum = llvm::ConstantFP::getZero(b_.getDoubleTy());
    for (size_t k = 0; k < values.size(); ++k) {
      llvm::Value* factor = llvm::ConstantFP::get(b_.getDoubleTy(), factors[k]);
      sum = b_.CreateFAdd(sum, b_.CreateFMul(factor, values[k]));
    }
    return sum;
  }

  KernelBuilder& b_;
  const ir::Conv& conv_;
  const PackedLayout& layout_;
  WeightsStrides strides_;
  llvm::Value* weights_;
  llvm::Value* packed_;
};

}  // namespace

llvm::Function* emit_pack(llvm::Module& module, const ir::Conv& conv, const PackedLayout& layout,
                          const Target& target, const std::string& name) {
  KernelBuilder b(module, target, /*lanes=*/4);
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy(), b.getPtrTy()}, false);
  llvm::Function* function = begin_function(b, module, target, name, type);
  function->addParamAttr(0, llvm::Attribute::NoAlias);
  function->addParamAttr(1, llvm::Attribute::NoAlias);
  if (layout.elements() > 0)
    PackEmitter(b, conv, layout, function->getArg(0), function->getArg(1)).emit();
  b.CreateRetVoid();
  return function;
}

}  // namespace convgen::codegen
