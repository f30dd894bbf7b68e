// SPDX-License-Identifier: Apache-2.0
#include "codegen/winograd_transforms.h"

namespace convgen::codegen {
namespace {

// The sums and differences of which the transforms consist.
class Terms {
 public:
  explicit Terms(KernelBuilder& b) : b_(b) {}
  llvm::Value* sum(llvm::Value* x, llvm::Value* y) { return b_.CreateFAdd(x, y); }
  llvm::Value* difference(llvm::Value* x, llvm::Value* y) { return b_.CreateFSub(x, y); }
  // factor * x + y
  llvm::Value* scaled(float factor, llvm::Value* x, llvm::Value* y) {
    return b_.fma(b_.splat(factor), x, y);
  }

 private:
  KernelBuilder& b_;
};

// Rows of B^T that are computed from the same few inputs.
struct InputRows {
  llvm::SmallVector<int64_t, 6> reads;
  llvm::SmallVector<int64_t, 6> rows;
  Values (*compute)(Terms& t, const Values& d);  // of what is read, in order
};

Values same(Terms&, const Values& d) { return d; }

Values four_points(Terms& t, const Values& d) {
  return {t.difference(d[0], d[2]), t.sum(d[1], d[2]), t.difference(d[2], d[1]),
          t.difference(d[1], d[3])};
}

// Of six points, 0 and infinity.
Values outer_point(Terms& t, const Values& d) {
  return {t.scaled(4, d[0], t.scaled(-5, d[1], d[2]))};
}

// Of six points, 1, -1, 2 and -2.
Values inner_points(Terms& t, const Values& d) {
  llvm::Value* even = t.scaled(-4, d[1], d[3]);
  llvm::Value* odd = t.scaled(-4, d[0], d[2]);
  llvm::Value* near = t.difference(d[3], d[1]);
  llvm::Value* far = t.difference(d[2], d[0]);
  return {t.sum(even, odd), t.difference(even, odd), t.scaled(2, far, near),
          t.scaled(-2, far, near)};
}

llvm::SmallVector<InputRows, 3> input_rows(const WinogradAxis& axis) {
  if (axis.alpha == 6)
    return {{{1, 2, 3, 4}, {1, 2, 3, 4}, inner_points},
            {{0, 2, 4}, {0}, outer_point},
            {{1, 3, 5}, {5}, outer_point}};
  if (axis.alpha == 4) return {{{0, 1, 2, 3}, {0, 1, 2, 3}, four_points}};
  return {{{0}, {0}, same}};
}

// B^T d along one axis.
Values transform_input(Terms& t, const WinogradAxis& axis, const Values& d) {
  Values v(d.size(), nullptr);
  for (const InputRows& rows : input_rows(axis)) {
    Values read;
    for (const int64_t i : rows.reads) read.push_back(d[i]);
    const Values points = rows.compute(t, read);
    for (size_t k = 0; k < points.size(); ++k) v[rows.rows[k]] = points[k];
  }
  return v;
}

// A^T x along one axis.
Values transform_output(Terms& t, const WinogradAxis& axis, const Values& x) {
  if (axis.alpha == 1) return x;
  llvm::Value* s = t.sum(x[1], x[2]);
  llvm::Value* d = t.difference(x[1], x[2]);
  if (axis.alpha == 4) return {t.sum(x[0], s), t.difference(d, x[3])};
  llvm::Value* s2 = t.sum(x[3], x[4]);
  llvm::Value* d2 = t.difference(x[3], x[4]);
  Values y{t.sum(t.sum(x[0], s), s2), t.scaled(2, d2, d)};
  if (axis.m == 4) y.append({t.scaled(4, s2, s), t.scaled(8, d2, d)});
  y.back() = t.sum(y.back(), x[5]);
  return y;
}

}  // namespace

void emit_input_transform(KernelBuilder& b, const WinogradAxis& h, const WinogradAxis& w,
                          LoadValue load,
                          llvm::function_ref<void(int64_t point, llvm::Value* value)> store) {
  Terms t(b);
  for (const InputRows& rows : input_rows(h)) {
    b.fence();
    llvm::SmallVector<Values, 6> columns;  // [column][row]
    for (int64_t column = 0; column < w.alpha; ++column) {
      Values d;
      for (const int64_t row : rows.reads) d.push_back(load(row, column));
      columns.push_back(rows.compute(t, d));
    }
    for (size_t k = 0; k < rows.rows.size(); ++k) {
      Values line;
      for (const Values& column : columns) line.push_back(column[k]);
      line = transform_input(t, w, line);
      for (int64_t column = 0; column < w.alpha; ++column)
        store(rows.rows[k] * w.alpha + column, line[column]);
    }
  }
}

Values emit_output_transform(KernelBuilder& b, const WinogradAxis& h, const WinogradAxis& w,
                             LoadValue load) {
  Terms t(b);
  llvm::SmallVector<Values, 6> columns;
  for (int64_t column = 0; column < w.alpha; ++column) {
    Values x;
    for (int64_t row = 0; row < h.alpha; ++row) x.push_back(load(row, column));
    columns.push_back(transform_output(t, h, x));
  }
  Values y;
  for (int64_t row = 0; row < h.m; ++row) {
    Values line;
    for (const Values& column : columns) line.push_back(column[row]);
    y.append(transform_output(t, w, line));
  }
  return y;
}

}  // namespace convgen::codegen
