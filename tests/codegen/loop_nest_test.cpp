// SPDX-License-Identifier: Apache-2.0
// Emitted loops and branches, run by LLVM's IR interpreter: trip counts, carried values, and which
// blocks are left out where constants decide.
#include "codegen/loop_nest.h"

#include <gtest/gtest.h>
#include <llvm/ExecutionEngine/ExecutionEngine.h>
#include <llvm/ExecutionEngine/GenericValue.h>
#include <llvm/ExecutionEngine/Interpreter.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>

#include <optional>

#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

// A module with one function i64 f(i64 a, i64 b), whose body a test emits.
class Emission {
 public:
  Emission()
      : module_(std::make_unique<llvm::Module>("test", context_)),
        b_(*module_, testing::target_of("x86-64-v2"), 4) {
    auto* i64 = b_.getInt64Ty();
    function_ = llvm::Function::Create(llvm::FunctionType::get(i64, {i64, i64}, false),
                                       llvm::GlobalValue::ExternalLinkage, "f", *module_);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", function_));
  }

  KernelBuilder& b() { return b_; }
  llvm::Value* arg(int i) { return function_->getArg(i); }

  // Ends the function; what the verifier says, "" if nothing.
  std::string finish(llvm::Value* result) {
    b_.CreateRet(result);
    std::string text;
    llvm::raw_string_ostream stream(text);
    llvm::verifyModule(*module_, &stream);
    return text;
  }

  int blocks() const { return static_cast<int>(function_->size()); }
  int phis() const {
    int count = 0;
    for (const llvm::BasicBlock& block : *function_)
      for (const llvm::Instruction& instruction : block)
        count += llvm::isa<llvm::PHINode>(instruction);
    return count;
  }

  // Gives the module away.
  int64_t run(int64_t a, int64_t b) {
    if (!engine_) {
      LLVMLinkInInterpreter();
      std::string error;
      engine_.reset(llvm::EngineBuilder(std::move(module_))
                        .setEngineKind(llvm::EngineKind::Interpreter)
                        .setErrorStr(&error)
                        .create());
      if (!engine_) throw std::runtime_error(error);
    }
    std::vector<llvm::GenericValue> args(2);
    args[0].IntVal = llvm::APInt(64, static_cast<uint64_t>(a), true);
    args[1].IntVal = llvm::APInt(64, static_cast<uint64_t>(b), true);
    return engine_->runFunction(function_, args).IntVal.getSExtValue();
  }

 private:
  llvm::LLVMContext context_;
  std::unique_ptr<llvm::Module> module_;
  KernelBuilder b_;
  llvm::Function* function_;
  std::unique_ptr<llvm::ExecutionEngine> engine_;
};

// state = 31 * state + i + 1: tells trip count, values and order apart.
int64_t mix(int64_t state, int64_t i) { return 31 * state + i + 1; }

int64_t expected_loop(int64_t begin, int64_t end, int64_t step) {
  int64_t state = 7;
  for (int64_t i = begin; i < end; i += step) state = mix(state, i);
  return state;
}

auto mixing_body(KernelBuilder& b) {
  return [&b](llvm::Value* i, Values carried) {
    llvm::Value* next = b.CreateMul(carried[0], b.index(31));
    return Values{b.add_index(b.add_index(next, i), b.index(1))};
  };
}

const int64_t kBounds[] = {-3, 0, 1, 2, 7, 8};

class LoopStep : public ::testing::TestWithParam<int64_t> {};

TEST_P(LoopStep, BoundsAtRunTime) {
  Emission e;
  const Values out =
      emit_for(e.b(), {e.arg(0), e.arg(1), GetParam()}, "i", {e.b().index(7)}, mixing_body(e.b()));
  ASSERT_EQ(e.finish(out[0]), "");
  for (int64_t begin : kBounds)
    for (int64_t end : kBounds)
      EXPECT_EQ(e.run(begin, end), expected_loop(begin, end, GetParam())) << begin << ":" << end;
}

TEST_P(LoopStep, OneBoundAtRunTime) {
  for (int64_t bound : kBounds) {
    Emission from, to;
    const Values a = emit_for(from.b(), {from.b().index(bound), from.arg(1), GetParam()}, "i",
                              {from.b().index(7)}, mixing_body(from.b()));
    ASSERT_EQ(from.finish(a[0]), "");
    const Values z = emit_for(to.b(), {to.arg(0), to.b().index(bound), GetParam()}, "i",
                              {to.b().index(7)}, mixing_body(to.b()));
    ASSERT_EQ(to.finish(z[0]), "");
    for (int64_t other : kBounds) {
      EXPECT_EQ(from.run(0, other), expected_loop(bound, other, GetParam()));
      EXPECT_EQ(to.run(other, 0), expected_loop(other, bound, GetParam()));
    }
  }
}

TEST_P(LoopStep, ConstantBoundsEmitNoEntryTest) {
  const int64_t step = GetParam();
  for (int64_t begin : kBounds)
    for (int64_t end : kBounds)
      for (bool unroll : {false, true}) {
        Emission e;
        const LoopRange range{e.b().index(begin), e.b().index(end), step, unroll};
        const Values out = emit_for(e.b(), range, "i", {e.b().index(7)}, mixing_body(e.b()));
        ASSERT_EQ(e.finish(out[0]), "");
        const bool loops = !unroll && end - begin > step;
        EXPECT_EQ(e.blocks(), loops ? 3 : 1) << begin << ":" << end << " unroll " << unroll;
        EXPECT_EQ(e.phis(), loops ? 2 : 0);
        EXPECT_EQ(e.run(0, 0), expected_loop(begin, end, step)) << begin << ":" << end;
      }
}

INSTANTIATE_TEST_SUITE_P(Steps, LoopStep, ::testing::Values(1, 2, 3, 8));

TEST(EmitFor, LoopsNestAndCarrySeveralValues) {
  Emission e;
  KernelBuilder& b = e.b();
  // for i in [0, a) { x += i; for j in [i, b) { y += x * j; x += 1 } }
  Values out = emit_for(
      b, {b.index(0), e.arg(0)}, "i", {b.index(0), b.index(0)}, [&](llvm::Value* i, Values at) {
        at[0] = b.add_index(at[0], i);
        return emit_for(b, {i, e.arg(1)}, "j", at, [&](llvm::Value* j, Values in) {
          llvm::Value* y = b.add_index(in[1], b.CreateMul(in[0], j));
          return Values{b.add_index(in[0], b.index(1)), y};
        });
      });
  ASSERT_EQ(e.finish(b.add_index(b.CreateMul(out[0], b.index(1000003)), out[1])), "");
  for (int64_t a : {0, 1, 3, 6})
    for (int64_t c : {0, 1, 4, 9}) {
      int64_t x = 0, y = 0;
      for (int64_t i = 0; i < a; ++i) {
        x += i;
        for (int64_t j = i; j < c; ++j) y += x * j, x += 1;
      }
      EXPECT_EQ(e.run(a, c), x * 1000003 + y) << a << " " << c;
    }
}

TEST(EmitFor, CarriesNothingWhereNothingIsGiven) {
  Emission e;
  const Values out =
      emit_for(e.b(), {e.arg(0), e.arg(1)}, "i", {}, [](llvm::Value*, Values) { return Values(); });
  EXPECT_TRUE(out.empty());
  ASSERT_EQ(e.finish(e.b().index(5)), "");
  EXPECT_EQ(e.run(0, 100), 5);
}

TEST(EmitFor, ValuesNotTouchedComeBack) {
  Emission e;
  const Values out = emit_for(e.b(), {e.arg(0), e.arg(1)}, "i", {e.b().index(11), e.arg(0)},
                              [](llvm::Value*, Values at) { return at; });
  ASSERT_EQ(e.finish(e.b().add_index(out[0], out[1])), "");
  EXPECT_EQ(e.run(3, 9), 14);
  EXPECT_EQ(e.run(9, 3), 20);
}

// Of three carried values only the one that changes is a phi besides the counter; a value that is
// handed on in another's place stays right.
TEST(EmitFor, CarriesOnlyWhatTheBodyChanges) {
  Emission e;
  KernelBuilder& b = e.b();
  const Values out = emit_for(b, {b.index(0), b.index(3), 1}, "i", {e.arg(0), b.index(5), e.arg(1)},
                              [&](llvm::Value*, Values at) {
                                return Values{at[0], b.add_index(at[1], at[2]), at[2]};
                              });
  EXPECT_EQ(out[0], e.arg(0));
  EXPECT_EQ(e.phis(), 2);
  ASSERT_EQ(e.finish(b.add_index(out[0], out[1])), "");
  EXPECT_EQ(e.run(1000, 10), 1000 + 5 + 3 * 10);

  Emission swapped;
  KernelBuilder& s = swapped.b();
  const Values last = emit_for(s, {s.index(0), s.index(3), 1}, "i", {swapped.arg(0), s.index(5)},
                               [&](llvm::Value*, Values at) {
                                 return Values(2, at[0]);
                               });
  ASSERT_EQ(swapped.finish(last[1]), "");
  EXPECT_EQ(swapped.run(42, 0), 42);
}

TEST(EmitFor, ALoopThatIsKnownToEnterIsNotAsked) {
  Emission asked, entered;
  const auto emit = [](Emission& e, bool enters) {
    const LoopRange range{e.arg(0), e.arg(1), 1, false, enters};
    const Values out = emit_for(e.b(), range, "i", {e.b().index(7)}, mixing_body(e.b()));
    ASSERT_EQ(e.finish(out[0]), "");
  };
  emit(asked, false);
  emit(entered, true);
  EXPECT_LT(entered.blocks(), asked.blocks());
  EXPECT_LT(entered.phis(), asked.phis());
  EXPECT_EQ(entered.run(2, 6), expected_loop(2, 6, 1));
}

TEST(EmitIf, MergesOnlyWhatDiffers) {
  Emission e;
  KernelBuilder& b = e.b();
  const Values out = emit_if(
      b, b.CreateICmpSLT(e.arg(0), e.arg(1)), "less", {e.arg(0), e.arg(1)},
      [&](Values at) {
        return Values{at[0], b.index(1)};
      },
      [](Values at) { return at; });
  EXPECT_EQ(out[0], e.arg(0));
  EXPECT_EQ(e.phis(), 1);
  ASSERT_EQ(e.finish(out[1]), "");
  EXPECT_EQ(e.run(1, 2), 1);
  EXPECT_EQ(e.run(3, 2), 2);
}

TEST(EmitIf, TakesTheRightSide) {
  Emission e;
  KernelBuilder& b = e.b();
  const Values out = emit_if(
      b, b.CreateICmpSLT(e.arg(0), e.arg(1)), "less", {e.arg(0)},
      [&](Values at) { return Values{b.add_index(at[0], b.index(100))}; },
      [&](Values at) {
        // A side may hold blocks of its own.
        return emit_if(
            b, b.CreateICmpEQ(e.arg(0), e.arg(1)), "equal", at,
            [&](Values) { return Values{b.index(-1)}; }, [&](Values in) { return in; });
      });
  ASSERT_EQ(e.finish(out[0]), "");
  EXPECT_EQ(e.run(1, 2), 101);
  EXPECT_EQ(e.run(2, 2), -1);
  EXPECT_EQ(e.run(3, 2), 3);
}

TEST(EmitIf, AConstantConditionEmitsOneSide) {
  for (bool condition : {false, true}) {
    Emission e;
    KernelBuilder& b = e.b();
    int then_calls = 0, else_calls = 0;
    const Values out = emit_if(
        b, b.getInt1(condition), "known", {b.index(1)},
        [&](Values) { return ++then_calls, Values{b.index(2)}; },
        [&](Values) { return ++else_calls, Values{b.index(3)}; });
    ASSERT_EQ(e.finish(out[0]), "");
    EXPECT_EQ(then_calls, condition);
    EXPECT_EQ(else_calls, !condition);
    EXPECT_EQ(e.blocks(), 1);
    EXPECT_EQ(e.run(0, 0), condition ? 2 : 3);
  }
}

TEST(ConstantIndex, SeesConstantsOnly) {
  Emission e;
  KernelBuilder& b = e.b();
  EXPECT_EQ(constant_index(b.index(-5)), std::optional<int64_t>(-5));
  EXPECT_EQ(constant_index(b.add_index(b.index(2), b.scale_index(b.index(3), 4))),
            std::optional<int64_t>(14));
  EXPECT_EQ(constant_index(b.min_index(b.index(2), b.index(3))), std::optional<int64_t>(2));
  EXPECT_EQ(constant_index(b.max_index(b.index(2), b.index(3))), std::optional<int64_t>(3));
  EXPECT_EQ(constant_index(e.arg(0)), std::nullopt);
  ASSERT_EQ(e.finish(b.index(0)), "");
}

}  // namespace
}  // namespace convgen::codegen
