// SPDX-License-Identifier: Apache-2.0
// The post-op chain on one tile of sums, one simple loop per op, formulas as in ir/conv.h; part
// of generic_kernels_body.h. Comparisons are written so that NaN stays NaN.

// Calls apply(col) for each column. Full tiles as a constant: the compiler leaves no loop of it.
template <typename Apply>
CONVGEN_TARGET inline void for_each_column(int64_t cols, Apply apply) {
  if (cols == 2 * kLanes) {
    for (int64_t col = 0; col < 2 * kLanes; ++col) apply(col);
  } else {
    for (int64_t col = 0; col < cols; ++col) apply(col);
  }
}

// values[row][col] = op(values[row][col]).
template <typename Op>
CONVGEN_TARGET inline void map_values(const OutputTile& tile, Op op) {
  for (int64_t row = 0; row < tile.rows; ++row) {
    float* values = tile.values + row * tile.stride;
    for_each_column(tile.cols, [=](int64_t col) { values[col] = op(values[col]); });
  }
}

// values[row][col] = op(values[row][col], operand[row * row_step + col * col_step]). Column steps
// 0 and 1 as constants: the compiler vectorizes these.
template <typename Op>
CONVGEN_TARGET inline void map_with_operand(const OutputTile& tile, const float* operand,
                                            int64_t row_step, int64_t col_step, Op op) {
  for (int64_t row = 0; row < tile.rows; ++row) {
    float* values = tile.values + row * tile.stride;
    const float* other = operand + row * row_step;
    if (col_step == 0) {
      const float same = *other;
      for_each_column(tile.cols, [=](int64_t col) { values[col] = op(values[col], same); });
    } else if (col_step == 1) {
      for_each_column(tile.cols, [=](int64_t col) { values[col] = op(values[col], other[col]); });
    } else {
      for_each_column(tile.cols,
                      [=](int64_t col) { values[col] = op(values[col], other[col * col_step]); });
    }
  }
}

template <typename Op>
CONVGEN_TARGET inline void map_with_channel(const OutputTile& tile, const float* per_channel,
                                            Op op) {
  map_with_operand(tile, per_channel + tile.channel, tile.channel_row_step, tile.channel_col_step,
                   op);
}

inline float apply_sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

inline float apply_gelu_tanh(float x) {
  constexpr float kSqrtTwoOverPi = 0.797884560802865356f;
  return 0.5f * x * (1 + std::tanh(kSqrtTwoOverPi * (x + 0.044715f * x * x * x)));
}

inline float apply_hard_sigmoid(float x) {
  const float shifted = x + 3;
  const float floored = shifted < 0 ? 0 : shifted;
  return (floored > 6 ? 6 : floored) / 6;
}

CONVGEN_TARGET inline void apply_post_op(const ir::PostOp& op, const Tensors& tensors,
                                         const OutputTile& tile) {
  const float a = op.a;
  const float b = op.b;
  switch (op.kind) {
    case ir::PostOpKind::kBias:
      return map_with_channel(tile, tensors.bias, [](float x, float y) { return x + y; });
    case ir::PostOpKind::kScale:
      return map_with_channel(tile, tensors.scale, [](float x, float y) { return x * y; });
    case ir::PostOpKind::kAdd:
      return map_with_operand(tile, tensors.add + tile.dst_offset, tile.dst_row_step,
                              tile.dst_col_step, [](float x, float y) { return x + y; });
    case ir::PostOpKind::kRelu:
      return map_values(tile, [](float x) { return x < 0 ? 0 : x; });
    case ir::PostOpKind::kLeakyRelu:
      return map_values(tile, [a](float x) { return x < 0 ? a * x : x; });
    case ir::PostOpKind::kElu:
      return map_values(tile, [a](float x) { return x < 0 ? a * std::expm1(x) : x; });
    case ir::PostOpKind::kClamp:
      return map_values(tile, [a, b](float x) {
        const float floored = x < a ? a : x;
        return floored > b ? b : floored;
      });
    case ir::PostOpKind::kMin:
      return map_values(tile, [a](float x) { return x > a ? a : x; });
    case ir::PostOpKind::kMax:
      return map_values(tile, [a](float x) { return x < a ? a : x; });
    case ir::PostOpKind::kSigmoid:
      return map_values(tile, apply_sigmoid);
    case ir::PostOpKind::kTanh:
      return map_values(tile, [](float x) { return std::tanh(x); });
    case ir::PostOpKind::kGelu:
      return map_values(
          tile, [](float x) { return 0.5f * x * (1 + std::erf(x * 0.707106781186547524f)); });
    case ir::PostOpKind::kGeluTanh:
      return map_values(tile, apply_gelu_tanh);
    case ir::PostOpKind::kSilu:
      return map_values(tile, [](float x) { return x * apply_sigmoid(x); });
    case ir::PostOpKind::kHardSwish:
      return map_values(tile, [](float x) { return x * apply_hard_sigmoid(x); });
    case ir::PostOpKind::kHardSigmoid:
      return map_values(tile, apply_hard_sigmoid);
    case ir::PostOpKind::kAbs:
      return map_values(tile, [](float x) { return std::fabs(x); });
    case ir::PostOpKind::kSquare:
      return map_values(tile, [](float x) { return x * x; });
  }
}

CONVGEN_TARGET inline void apply_post_ops(const ir::Conv& conv, const Tensors& tensors,
                                          const OutputTile& tile) {
  for (const ir::PostOp& op : conv.post) apply_post_op(op, tensors, tile);
}
