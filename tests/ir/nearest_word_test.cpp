// SPDX-License-Identifier: Apache-2.0
// Which slips are understood, and that nothing is suggested where a guess would mislead.
#include "ir/nearest_word.h"

#include <gtest/gtest.h>

#include <vector>

namespace convgen::ir {
namespace {

const std::vector<std::string_view> kWords = {"same",    "same_lower", "valid",
                                              "strides", "dilations",  "--constant-weights",
                                              "znver4",  "znver5"};

TEST(NearestWord, UnderstandsSlipsOfTheKeyboard) {
  EXPECT_EQ(nearest_word(kWords, "stride"), "strides") << "a letter missing";
  EXPECT_EQ(nearest_word(kWords, "vallid"), "valid") << "one too many";
  EXPECT_EQ(nearest_word(kWords, "sane"), "same") << "a wrong one";
  EXPECT_EQ(nearest_word(kWords, "smae"), "same") << "two swapped are one slip";
  EXPECT_EQ(nearest_word(kWords, "dilatoin"), "dilations") << "two slips in a long word";
  EXPECT_EQ(nearest_word(kWords, "--cosntant_wieghts"), "--constant-weights") << "three";
  EXPECT_EQ(nearest_word(kWords, "VALID"), "valid") << "case is no slip";
}

TEST(NearestWord, CompletesWhatIsCutShort) {
  EXPECT_EQ(nearest_word(kWords, "dil"), "dilations");
  EXPECT_EQ(nearest_word(kWords, "--const"), "--constant-weights");
  EXPECT_EQ(nearest_word(kWords, "di"), "") << "of two letters, everything is the beginning";
}

TEST(NearestWord, SuggestsNothingThatWouldMislead) {
  EXPECT_EQ(nearest_word(kWords, "znver6"), "") << "two are equally near";
  EXPECT_EQ(nearest_word(kWords, "znver"), "") << "two begin like that";
  EXPECT_EQ(nearest_word(kWords, "sbmf"), "") << "two slips in four letters";
  EXPECT_EQ(nearest_word(kWords, "vaqqqd"), "");
  EXPECT_EQ(nearest_word(kWords, ""), "");
  EXPECT_EQ(nearest_word({}, "same"), "");
  EXPECT_EQ(nearest_word(kWords, std::string(100'000, 's')), "");
}

TEST(NearestWord, DoesNotDependOnTheOrderOfWords) {
  const std::vector<std::string_view> backwards(kWords.rbegin(), kWords.rend());
  for (const char* found : {"stride", "smae", "VALID", "dil", "znver6", "same_lowe", "sam"})
    EXPECT_EQ(nearest_word(backwards, found), nearest_word(kWords, found)) << found;
}

TEST(NearestWord, EndsAMessage) {
  EXPECT_EQ(did_you_mean(kWords, "smae"), "; did you mean 'same'?");
  EXPECT_EQ(did_you_mean(kWords, "nonsense"), "");
}

}  // namespace
}  // namespace convgen::ir
