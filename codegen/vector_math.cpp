// SPDX-License-Identifier: Apache-2.0
// Coefficients are printed by script/fit_polynomials.py; argument reduction as in Muller,
// "Elementary Functions", 3rd ed., chapter 11.
#include "codegen/vector_math.h"

#include <llvm/IR/Intrinsics.h>

namespace convgen::codegen {
namespace {

// e^r = 1 + r + r^2 p(r), |r| <= ln 2 / 2
constexpr float kExp[] = {0.5f, 0.166665763f, 0.0416665561f, 0.00836319476f, 0.00139262038f};
// e^x - 1 = x + x^2 p(x), -0.5 <= x <= 0
constexpr float kExpm1[] = {0.5f,           0.166666642f,  0.041666124f,
                            0.00832867157f, 0.0013706187f, 0.00016480968f};
// tanh x = x + x z p(z), z = x^2 <= 0.625^2
constexpr float kTanh[] = {-0.333333343f, 0.133333042f,    -0.0539592579f,
                           0.0217689183f, -0.00834394526f, 0.00229274482f};
// erf x = x + x p(z), z = x^2 <= 1
constexpr float kErf[] = {0.128379166f,   -0.376126379f,    0.112837821f,    -0.0268654302f,
                          0.00522103161f, -0.000848408032f, 0.000112659589f, -9.66704465e-06f};
// erfc x = e^(-x^2) p(1 / x), 1 <= x <= 4
constexpr float kErfc[] = {0.00015165568f, 0.561214626f, 0.0248475205f, -0.394859582f,
                           0.282589793f,   0.145477355f, -0.42983374f,  0.360861868f,
                           -0.14789845f,   0.0250325426f};

constexpr float kLog2E = 1.44269504f;
// ln 2 in two parts: n times the first is exact for every n that occurs.
constexpr float kLn2High = 0.693359375f;
constexpr float kLn2Low = -2.12194440e-4f;
// Adding it rounds to an integer, which then stands in the low bits.
constexpr float kRoundMagic = 12582912.0f;  // 1.5 * 2^23
constexpr int kRoundMagicBits = 0x4B400000;

}  // namespace

llvm::Value* VectorMath::min(llvm::Value* x, float limit) {
  llvm::Value* bound = b_.splat(limit);
  return b_.CreateSelect(b_.CreateFCmpOGT(x, bound), bound, x);
}

llvm::Value* VectorMath::max(llvm::Value* x, float limit) {
  llvm::Value* bound = b_.splat(limit);
  return b_.CreateSelect(b_.CreateFCmpOLT(x, bound), bound, x);
}

llvm::Value* VectorMath::abs(llvm::Value* x) {
  return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x);
}

llvm::Value* VectorMath::leaky_relu(llvm::Value* x, float a) {
  return b_.CreateSelect(less(x, 0), mul(x, a), x);
}

llvm::Value* VectorMath::hard_sigmoid(llvm::Value* x) {
  return b_.CreateFDiv(min(max(add(x, 3), 0), 6), b_.splat(6));
}

llvm::Value* VectorMath::polynomial(llvm::Value* x, std::span<const float> coefficients) {
  llvm::Value* sum = b_.splat(coefficients.back());
  for (size_t i = coefficients.size() - 1; i-- > 0;)
    sum = b_.fma(sum, x, b_.splat(coefficients[i]));
  return sum;
}

// 2^n for integers -126 <= n <= 127, by writing the exponent.
llvm::Value* VectorMath::power_of_two(llvm::Value* n) {
  auto* bias = llvm::ConstantInt::get(b_.int_vector_type(), 127);
  return b_.CreateBitCast(b_.CreateShl(b_.CreateAdd(n, bias), 23), b_.vector_type());
}

// e^x = 2^n e^r, n = round(x / ln 2). 2^n is applied in two halves, since n reaches 128 and -150.
llvm::Value* VectorMath::exp(llvm::Value* x) {
  x = max(min(x, 89), -104);
  llvm::Value* shifted = b_.fma(x, b_.splat(kLog2E), b_.splat(kRoundMagic));
  llvm::Value* n = b_.CreateFSub(shifted, b_.splat(kRoundMagic));
  llvm::Value* r = b_.fma(n, b_.splat(-kLn2High), x);
  r = b_.fma(n, b_.splat(-kLn2Low), r);
  llvm::Value* tail = b_.fma(b_.CreateFMul(r, r), polynomial(r, kExp), r);
  llvm::Value* mantissa = add(tail, 1);

  llvm::Value* bits = b_.CreateBitCast(shifted, b_.int_vector_type());
  llvm::Value* exponent =
      b_.CreateSub(bits, llvm::ConstantInt::get(b_.int_vector_type(), kRoundMagicBits));
  llvm::Value* half = b_.CreateAShr(exponent, 1);
  llvm::Value* rest = b_.CreateSub(exponent, half);
  return b_.CreateFMul(b_.CreateFMul(mantissa, power_of_two(half)), power_of_two(rest));
}

// Near 0 the difference e^x - 1 would cancel, so a polynomial takes over.
llvm::Value* VectorMath::elu(llvm::Value* x, float a) {
  llvm::Value* near = b_.fma(b_.CreateFMul(x, x), polynomial(x, kExpm1), x);
  llvm::Value* far = add(exp(x), -1);
  llvm::Value* expm1 = b_.CreateSelect(less(x, -0.5f), far, near);
  return b_.CreateSelect(less(x, 0), mul(expm1, a), x);
}

llvm::Value* VectorMath::sigmoid(llvm::Value* x) {
  return b_.CreateFDiv(b_.splat(1), add(exp(b_.CreateFNeg(x)), 1));
}

// tanh |x| = 1 - 2 / (e^(2|x|) + 1), and a polynomial where that would cancel.
llvm::Value* VectorMath::tanh(llvm::Value* x) {
  llvm::Value* z = b_.CreateFMul(x, x);
  llvm::Value* near = b_.fma(b_.CreateFMul(x, z), polynomial(z, kTanh), x);
  llvm::Value* size = abs(x);
  llvm::Value* denominator = add(exp(b_.CreateFAdd(size, size)), 1);
  llvm::Value* far = b_.CreateFSub(b_.splat(1), b_.CreateFDiv(b_.splat(2), denominator));
  far = b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, far, x);
  return b_.CreateSelect(less(size, 0.625f), near, far);
}

// From 4 on erf rounds to 1.
llvm::Value* VectorMath::erf(llvm::Value* x) {
  llvm::Value* near = b_.fma(x, polynomial(b_.CreateFMul(x, x), kErf), x);
  llvm::Value* size = abs(x);
  llvm::Value* bounded = max(min(size, 4), 1);
  llvm::Value* decay = exp(b_.CreateFNeg(b_.CreateFMul(bounded, bounded)));
  llvm::Value* ratio = polynomial(b_.CreateFDiv(b_.splat(1), bounded), kErfc);
  llvm::Value* far = b_.CreateFSub(b_.splat(1), b_.CreateFMul(decay, ratio));
  far = b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, far, x);
  return b_.CreateSelect(less(size, 1), near, far);
}

llvm::Value* VectorMath::gelu(llvm::Value* x) {
  llvm::Value* factor = add(erf(mul(x, 0.707106781f)), 1);
  return b_.CreateFMul(mul(x, 0.5f), factor);
}

llvm::Value* VectorMath::gelu_tanh(llvm::Value* x) {
  llvm::Value* cubic = b_.CreateFMul(mul(b_.CreateFMul(x, x), 0.044715f), x);
  llvm::Value* inner = mul(b_.CreateFAdd(x, cubic), 0.797884561f);
  return b_.CreateFMul(mul(x, 0.5f), add(tanh(inner), 1));
}

}  // namespace convgen::codegen
