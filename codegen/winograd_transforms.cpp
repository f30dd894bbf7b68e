// SPDX-License-Identifier: Apache-2.0
#include "codegen/winograd_transforms.h"

#include <cmath>

namespace convgen::codegen {
namespace {

// The sums and differences of which the transforms consist.
class Terms {
 public:
  explicit Terms(KernelBuilder& b) : b_(b) {}
  llvm::Value* sum(llvm::Value* x, llvm::Value* y) { return b_.CreateFAdd(x, y); }
  llvm::Value* difference(llvm::Value* x, llvm::Value* y) { return b_.CreateFSub(x, y); }
  // factor * x + y
  llvm::Value* scaled(double factor, llvm::Value* x, llvm::Value* y) {
    if (factor == 1) return sum(y, x);
    if (factor == -1) return difference(y, x);
    return b_.fma(b_.splat(static_cast<float>(factor)), x, y);
  }
  llvm::Value* multiple(double factor, llvm::Value* x) {
    return factor == 1 ? x : b_.CreateFMul(b_.splat(static_cast<float>(factor)), x);
  }

 private:
  KernelBuilder& b_;
};

struct Term {
  double factor;
  llvm::Value* value;
};

bool divides(double a, double b) { return std::fmod(b, a) == 0; }

// One of two: over a factor of both, or with a power of two, which rounds nothing, multiplied in.
Term combine(Terms& t, Term a, Term b) {
  if (!divides(a.factor, b.factor) || (divides(b.factor, a.factor) && b.factor > 0))
    std::swap(a, b);
  if (divides(a.factor, b.factor))
    return {a.factor, t.scaled(b.factor / a.factor, b.value, a.value)};
  if (int exponent; std::abs(std::frexp(a.factor, &exponent)) != 0.5) std::swap(a, b);
  return {1, t.scaled(b.factor, b.value, t.multiple(a.factor, a.value))};
}

// The term to combine a with: of the same magnitude, else one whose factor goes into the other's.
size_t partner_of(const Term& a, llvm::ArrayRef<Term> terms) {
  for (size_t i = 0; i < terms.size(); ++i)
    if (std::abs(terms[i].factor) == std::abs(a.factor)) return i;
  for (size_t i = 0; i < terms.size(); ++i)
    if (divides(a.factor, terms[i].factor) || divides(terms[i].factor, a.factor)) return i;
  return 0;
}

// Pair by pair, so that none of n terms is in more than log2(n) sums.
llvm::Value* sum_of(Terms& t, llvm::SmallVector<Term, 6> terms) {
  while (terms.size() > 1) {
    llvm::SmallVector<Term, 6> sums;
    while (terms.size() > 1) {
      const Term a = terms.front();
      terms.erase(terms.begin());
      const auto b = terms.begin() + static_cast<ptrdiff_t>(partner_of(a, terms));
      sums.push_back(combine(t, a, *b));
      terms.erase(b);
    }
    sums.append(terms.begin(), terms.end());
    terms = sums;
  }
  return t.multiple(terms.front().factor, terms.front().value);
}

// The values times a row of a matrix, without its zeros.
llvm::Value* row_times(Terms& t, llvm::function_ref<double(int64_t i)> row, const Values& values) {
  llvm::SmallVector<Term, 6> terms;
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i)
    if (const double factor = row(i); factor != 0) terms.push_back({factor, values[i]});
  return sum_of(t, terms);
}

// Of six points 1, -1, 2 and -2, of sources d[1] to d[4]: what each pair has in common once.
Values inner_points(Terms& t, const Values& d) {
  llvm::Value* even = t.scaled(-4, d[2], d[4]);
  llvm::Value* odd = t.scaled(-4, d[1], d[3]);
  llvm::Value* near = t.difference(d[4], d[2]);
  llvm::Value* far = t.difference(d[3], d[1]);
  return {t.sum(even, odd), t.difference(even, odd), t.scaled(2, far, near),
          t.scaled(-2, far, near)};
}

using Points = llvm::SmallVector<int64_t, 6>;

// Points that are computed together: so few that their sources' columns stay in registers.
llvm::SmallVector<Points, 3> groups_of(const WinogradAxis& axis) {
  if (axis.alpha == 6) return {{2, 3, 4, 5}, {1}, {0}};
  if (axis.alpha == 5) return {{0, 1}, {2, 3, 4}};
  Points all;
  for (int64_t point = 0; point < axis.alpha; ++point) all.push_back(point);
  return {all};
}

bool reads(const WinogradAxis& axis, const Points& points, int64_t source) {
  return llvm::any_of(
      points, [&](int64_t point) { return WinogradMatrices(axis).input(point, source) != 0; });
}

// Rows of B^T d, of the sources that they read.
Values input_points(Terms& t, const WinogradAxis& axis, const Points& points, const Values& d) {
  if (points.size() == 4 && axis.alpha == 6) return inner_points(t, d);
  const WinogradMatrices matrices(axis);
  Values v;
  for (const int64_t point : points)
    v.push_back(row_times(
        t, [&](int64_t i) { return matrices.input(point, i); }, d));
  return v;
}

// B^T d along one axis.
Values transform_input(Terms& t, const WinogradAxis& axis, const Values& d) {
  Values v(d.size(), nullptr);
  for (const Points& group : groups_of(axis)) {
    const Values points = input_points(t, axis, group, d);
    for (size_t k = 0; k < points.size(); ++k) v[group[k]] = points[k];
  }
  return v;
}

// A^T x of a whole tile of six points: what each pair of points has in common once.
Values six_points_output(Terms& t, const WinogradAxis& axis, const Values& x) {
  llvm::Value* s = t.sum(x[2], x[3]);
  llvm::Value* d = t.difference(x[2], x[3]);
  llvm::Value* s2 = t.sum(x[4], x[5]);
  llvm::Value* d2 = t.difference(x[4], x[5]);
  Values y{t.sum(t.sum(x[1], s), s2), t.scaled(2, d2, d)};
  if (axis.m == 4) y.append({t.scaled(4, s2, s), t.scaled(8, d2, d)});
  y.back() = t.sum(y.back(), x[0]);
  return y;
}

// A^T x along one axis.
Values transform_output(Terms& t, const WinogradAxis& axis, const Values& x) {
  if (axis.alpha == 6) return six_points_output(t, axis, x);
  const WinogradMatrices matrices(axis);
  Values y;
  for (int64_t i = 0; i < axis.m; ++i)
    y.push_back(row_times(
        t, [&](int64_t point) { return matrices.output(i, point); }, x));
  return y;
}

}  // namespace

void emit_input_transform(KernelBuilder& b, const WinogradAxis& h, const WinogradAxis& w,
                          LoadValue load, StoreValue store) {
  Terms t(b);
  for (const Points& rows : groups_of(h)) {
    b.fence();
    llvm::SmallVector<Values, 6> columns;  // [column][row]
    for (int64_t column = 0; column < w.alpha; ++column) {
      Values d(static_cast<size_t>(h.alpha), nullptr);
      for (int64_t row = 0; row < h.alpha; ++row)
        if (reads(h, rows, row)) d[row] = load(row, column);
      columns.push_back(input_points(t, h, rows, d));
    }
    for (size_t k = 0; k < rows.size(); ++k) {
      Values line;
      for (const Values& column : columns) line.push_back(column[k]);
      line = transform_input(t, w, line);
      for (int64_t column = 0; column < w.alpha; ++column) store(rows[k], column, line[column]);
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
