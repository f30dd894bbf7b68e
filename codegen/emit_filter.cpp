// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_filter.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "codegen/emit_epilogue.h"
#include "codegen/loop_nest.h"

namespace convgen::codegen {
namespace {

using Taps = std::vector<FilterTap>;

// Where float 0 of source rows lies, by their distance from the first row a block reads, and plane.
using Rows = std::map<std::pair<int64_t, int64_t>, llvm::Value*>;

// Output rows oh, oh + 1, ... of an image.
struct Block {
  llvm::Value* image;
  llvm::Value* oh;
  int rows;
  bool streams = false;  // where dst is aligned; of few rows, more code is not worth it
};

// A tile whose sources begin `x` floats behind each row's start.
struct Sources {
  const Rows& rows;
  llvm::Value* x;
  int64_t stride_h;  // rows of src from one row of outputs to the next
  int64_t floats;    // that may be loaded from x on, at shift 0
};

// Sums of 0 x every float that tiles are the first to read, at the ends of a row all they read: 0
// exactly if all of it is finite.
struct Probes {
  const Taps* taps = nullptr;  // that read; null: nothing is probed
  bool all = false;
  Values sums;  // by run
};

class FilterEmitter {
 public:
  FilterEmitter(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                const FilterPlan& plan, bool assume_finite, const KernelPointers& pointers)
      : b_(b),
        conv_(conv),
        schedule_(schedule),
        plan_(plan),
        g_(plan.geometry),
        assume_finite_(assume_finite),
        pointers_(pointers),
        scratch_(filter_scratch(conv, plan.geometry, schedule)),
        tiles_(filter_tiles(plan.geometry, schedule)),
        epilogue_(b, conv, schedule, {}, pointers) {
    if (schedule.passes == 2) {
      factors_ = *plan.factors;
      factors_.row = merge_twins(conv, factors_.row);
    }
  }

  void emit(llvm::Value* begin, llvm::Value* end);

 private:
  void for_each(llvm::Value* first, llvm::Value* last, llvm::StringRef name,
                llvm::function_ref<void(llvm::Value* i)> body) {
    emit_for(b_, {first, last}, name, {},
             [&](llvm::Value* i, Values) { return body(i), Values(); });
  }
  int runs() const { return schedule_.tile_pixels / schedule_.lanes; }
  llvm::Value* scratch_at(int64_t floats) { return b_.at(pointers_.scratch, floats); }
  bool reads_above_or_below() const;

  void fill(int64_t first, int64_t floats, float value);
  void load_operands();
  void emit_task(llvm::Value* task);
  void emit_block(const Block& block, const FilterPass& pass);
  void emit_exactly(const Block& block, const FilterPass& pass);
  llvm::Value* is_not_finite(const Block& block, const FilterPass& pass);
  llvm::Value* any_nan(const Values& probes);

  Rows rows_of(const Block& block, const Taps& taps);
  Values emit_rows(const Block& block, const FilterPass& pass, const Taps& taps, bool with_probe,
                   llvm::StringRef name = "tile");
  void emit_border_tile(const Block& block, const FilterPass& pass, const Taps& taps,
                        const Rows& rows, int64_t tile, Probes& probes);
  Rows copy_with_borders(const Rows& rows, int64_t tile);
  void emit_in_two_passes(const Block& block, const FilterPass& pass);
  Rows sum_columns(const Block& block, Values& probes);
  void sum_rows(const Block& block, const FilterPass& pass, const Rows& sums);

  using Load = llvm::function_ref<llvm::Value*(int64_t plane, int64_t shift, int64_t run)>;
  using Tiles = llvm::function_ref<Values(Stores stores, Values probes)>;
  Values emit_either_way(const Block& block, Values probes, Tiles tiles);
  Values emit_products(const Block& block, const Taps& taps, const Sources& sources,
                       Probes& probes);
  void probe_row(const Block& block, const Sources& sources, int64_t row, Probes& probes,
                 Load load);
  llvm::Value* add_product(const FilterTap& tap, int64_t run, llvm::Value* x, llvm::Value* sum);
  llvm::Value* weight_vector(const FilterTap& tap, int64_t run);
  void emit_outputs(const Block& block, const FilterPass& pass, const Values& acc,
                    llvm::Value* column, int64_t floats, Stores stores);

  KernelBuilder& b_;
  const ir::Conv& conv_;
  const Schedule& schedule_;
  const FilterPlan& plan_;
  const FilterGeometry& g_;
  const bool assume_finite_;
  const KernelPointers& pointers_;
  const FilterScratch scratch_;
  const FilterTiles tiles_;
  FilterFactors factors_;
  EpilogueEmitter epilogue_;
  llvm::Value* streams_ = nullptr;  // whether this call's dst is aligned; null: nothing streams
  std::vector<EpilogueEmitter::OperandsList> operands_;  // of each pass, by vector of a tile
};

// --- Tasks and blocks of rows ---

void FilterEmitter::emit(llvm::Value* begin, llvm::Value* end) {
  load_operands();
  if (schedule_.stores == Stores::kStreaming) streams_ = b_.is_aligned(pointers_.dst);
  if (reads_above_or_below()) fill(0, scratch_.border, conv_.pad_value);
  if (schedule_.passes == 2)
    fill(scratch_.sums - scratch_.sums_margin, schedule_.tile_vectors * scratch_.sums_pitch, 0);
  for_each(begin, end, "task", [&](llvm::Value* task) { emit_task(task); });
  if (streams_ != nullptr) b_.order_streams();
}

bool FilterEmitter::reads_above_or_below() const {
  const int64_t below = (conv_.out.h - 1) * conv_.strides.h - conv_.pads_begin.h +
                        (conv_.kernel.h - 1) * conv_.dilations.h;
  return conv_.pads_begin.h > 0 || below >= conv_.in.h;
}

void FilterEmitter::fill(int64_t first, int64_t floats, float value) {
  for_each(b_.index(0), b_.index(floats / schedule_.lanes), "fill", [&](llvm::Value* i) {
    b_.store_packed(b_.splat(value), b_.at(scratch_at(first), b_.scale_index(i, schedule_.lanes)));
  });
}

// What the post-ops take besides sums does not change from tile to tile.
void FilterEmitter::load_operands() {
  for (const FilterPass& pass : plan_.passes) {
    EpilogueEmitter::OperandsList list;
    for (int64_t vector = 0; vector < int64_t{runs()} * pass.outputs; ++vector)
      list.push_back(epilogue_.load_repeating(pass.first_channel, g_.period * pass.outputs,
                                              vector * schedule_.lanes));
    operands_.push_back(std::move(list));
  }
}

void FilterEmitter::emit_task(llvm::Value* task) {
  const int64_t rows = schedule_.rows_per_task, together = schedule_.tile_vectors;
  const int64_t blocks = (conv_.out.h + rows - 1) / rows;
  llvm::Value* image = task;
  llvm::Value* first = b_.scale_index(b_.take_factor(image, blocks), rows);
  llvm::Value* last = b_.min_index(b_.add_index(first, b_.index(rows)), b_.index(conv_.out.h));
  llvm::Value* full = b_.CreateUDiv(b_.sub_index(last, first), b_.index(together));
  for (const FilterPass& pass : plan_.passes) {
    for_each(b_.index(0), full, "oh.block", [&](llvm::Value* i) {
      emit_block({image, b_.add_index(first, b_.scale_index(i, together)),
                  static_cast<int>(together), streams_ != nullptr},
                 pass);
    });
    const bool rest = rows % together != 0 || conv_.out.h % rows % together != 0;
    if (!rest) continue;
    for_each(b_.add_index(first, b_.scale_index(full, together)), last, "oh", [&](llvm::Value* oh) {
      emit_block({image, oh, 1}, pass);
    });
  }
}

// Zero weights are left out as long as all they would multiply is finite. That shows while the rows
// are computed, or, where dst may hold what `add` reads, must be known before.
void FilterEmitter::emit_block(const Block& block, const FilterPass& pass) {
  const auto quickly = [&](bool with_probe) {
    if (schedule_.passes == 1)
      return emit_rows(block, pass, merge_twins(conv_, pass.taps), with_probe);
    emit_in_two_passes(block, pass);
    return Values();
  };
  if (!pass.has_zeros() || assume_finite_) {
    quickly(false);
    return;
  }
  const bool first_look = schedule_.passes == 2 || conv_.uses(ir::PostOpKind::kAdd);
  llvm::Value* not_finite = first_look ? is_not_finite(block, pass) : any_nan(quickly(true));
  emit_if(
      b_, not_finite, "not.finite", {}, [&](Values) { return emit_exactly(block, pass), Values(); },
      [&](Values) { return first_look ? quickly(false) : Values(); });
}

void FilterEmitter::emit_exactly(const Block& block, const FilterPass& pass) {
  for_each(b_.index(0), b_.index(block.rows), "exact", [&](llvm::Value* row) {
    emit_rows({block.image, b_.add_index(block.oh, row), 1}, pass, pass.all_taps, false,
              "exact.tile");
  });
}

llvm::Value* FilterEmitter::any_nan(const Values& probes) {
  llvm::Value* all = probes[0];
  for (size_t i = 1; i < probes.size(); ++i) all = b_.CreateFAdd(all, probes[i]);
  return b_.any_nan(all);
}

// 0 x src, added up, is 0 exactly if all of it is finite.
llvm::Value* FilterEmitter::is_not_finite(const Block& block, const FilterPass& pass) {
  const Rows rows = rows_of(block, pass.all_taps);
  const int64_t lanes = schedule_.lanes;
  Values probes(1, b_.zero());
  for (const auto& [place, row] : rows) {
    const auto probe = [&](llvm::Value* at, int64_t floats, llvm::Value* sum) {
      const int count = static_cast<int>(std::min(floats, lanes));
      return b_.fma(b_.load_lanes(b_.at(row, at), count), b_.zero(), sum);
    };
    probes = emit_for(b_, {b_.index(0), b_.index(g_.in_floats / lanes)}, "probe", probes,
                      [&](llvm::Value* i, Values sums) {
                        return Values{probe(b_.scale_index(i, lanes), lanes, sums[0])};
                      });
    const int64_t rest = g_.in_floats % lanes;
    if (rest > 0) probes[0] = probe(b_.index(g_.in_floats - rest), rest, probes[0]);
  }
  return any_nan(probes);
}

// --- Rows ---

// A row above or below the image is the row of pad_value.
Rows FilterEmitter::rows_of(const Block& block, const Taps& taps) {
  Rows rows;
  llvm::Value* first =
      b_.sub_index(b_.scale_index(block.oh, conv_.strides.h), b_.index(conv_.pads_begin.h));
  llvm::Value* image = b_.at(pointers_.src, b_.scale_index(block.image, g_.src_image));
  for (int r = 0; r < block.rows; ++r)
    for (const FilterTap& tap : taps) {
      const int64_t row = r * conv_.strides.h + tap.row;
      llvm::Value*& at = rows[{row, tap.plane}];
      if (at != nullptr) continue;
      llvm::Value* ih = b_.add_index(first, b_.index(row));
      at = b_.at(image, b_.add_index(b_.index(tap.plane * g_.src_plane),
                                     b_.scale_index(ih, g_.in_floats)));
      if (reads_above_or_below())
        at = b_.CreateSelect(b_.CreateICmpULT(ih, b_.index(conv_.in.h)), at, scratch_at(0));
    }
  return rows;
}

// Returns what the probes of all tiles add up to, by run.
Values FilterEmitter::emit_rows(const Block& block, const FilterPass& pass, const Taps& taps,
                                bool with_probe, llvm::StringRef name) {
  const Rows rows = rows_of(block, with_probe ? pass.all_taps : taps);
  const int64_t floats = schedule_.tile_pixels;
  Probes probes;
  if (with_probe) probes = {&pass.all_taps, false, Values(runs(), b_.zero())};
  for (int64_t tile = 0; tile < tiles_.first_inner; ++tile)
    emit_border_tile(block, pass, taps, rows, tile, probes);
  const auto emit_tile = [&](llvm::Value* tile, Stores stores, Values sums) {
    Probes inner{probes.taps, false, sums};
    llvm::Value* column = b_.scale_index(tile, floats);
    const Sources sources{rows, column, conv_.strides.h, floats};
    emit_outputs(block, pass, emit_products(block, taps, sources, inner), column, floats, stores);
    return inner.sums;
  };
  probes.sums = emit_either_way(block, probes.sums, [&](Stores stores, Values all) {
    return emit_for(b_, {b_.index(tiles_.first_inner), b_.index(tiles_.last_inner)}, name, all,
                    [&](llvm::Value* tile, Values sums) { return emit_tile(tile, stores, sums); });
  });
  for (int64_t tile = tiles_.last_inner; tile < tiles_.count; ++tile)
    emit_border_tile(block, pass, taps, rows, tile, probes);
  return probes.sums;
}

void FilterEmitter::emit_border_tile(const Block& block, const FilterPass& pass, const Taps& taps,
                                     const Rows& rows, int64_t tile, Probes& probes) {
  const int64_t column = tile * schedule_.tile_pixels;
  const Rows copies = copy_with_borders(rows, tile);
  const Sources sources{copies, b_.index(-g_.first_shift), conv_.strides.h, schedule_.tile_pixels};
  const int64_t floats = std::min<int64_t>(schedule_.tile_pixels, g_.out_floats - column);
  probes.all = true;
  const Values acc = emit_products(block, taps, sources, probes);
  const auto emit = [&](Stores stores, Values) {
    return emit_outputs(block, pass, acc, b_.index(column), floats, stores), Values();
  };
  // What stays behind in the cache of a line whose rest streams has to be written first.
  if (floats % schedule_.lanes == 0)
    emit_either_way(block, {}, emit);
  else
    emit(Stores::kCached, {});
}

// The floats a tile reads of each row, pad_value where they lie outside.
Rows FilterEmitter::copy_with_borders(const Rows& rows, int64_t tile) {
  const int64_t lanes = schedule_.lanes;
  const int64_t begin = tile * schedule_.tile_pixels + g_.first_shift;
  Rows copies;
  for (const auto& [place, row] : rows) {
    llvm::Value* copy =
        scratch_at(scratch_.border + static_cast<int64_t>(copies.size()) * scratch_.border_pitch);
    for (int64_t at = 0; at < scratch_.border_pitch; at += lanes) {
      const int64_t column = begin + at;
      const auto lane = [&](int64_t x) {
        return static_cast<int>(std::clamp<int64_t>(x - column, 0, lanes));
      };
      const int first = lane(0), last = std::max(first, lane(g_.in_floats));
      llvm::Value* x = b_.splat(conv_.pad_value);
      if (first < last) {
        llvm::Value* real = b_.load_lanes_between(b_.at(row, column), first, last);
        x = last - first == lanes ? real : b_.select_lanes(first, last, real, x);
      }
      b_.store_packed(x, b_.at(copy, at));
    }
    copies[place] = copy;
  }
  return copies;
}

// --- Two passes ---

// Sums of the first pass that are not finite may have overflowed, or hide which product was NaN:
// their rows are computed in one pass.
void FilterEmitter::emit_in_two_passes(const Block& block, const FilterPass& pass) {
  Values probes(runs(), b_.zero());
  const Rows sums = sum_columns(block, probes);
  if (!factors_.sums_may_overflow) return sum_rows(block, pass, sums);
  emit_if(
      b_, any_nan(probes), "overflow", {},
      [&](Values) { return emit_exactly(block, pass), Values(); },
      [&](Values) { return sum_rows(block, pass, sums), Values(); });
}

void FilterEmitter::sum_rows(const Block& block, const FilterPass& pass, const Rows& sums) {
  const int64_t floats = schedule_.tile_pixels;
  const auto emit = [&](llvm::Value* column, int64_t count, Stores stores) {
    const Sources sources{sums, column, 1, floats};
    Probes none;
    emit_outputs(block, pass, emit_products(block, factors_.row, sources, none), column, count,
                 stores);
  };
  const int64_t full = g_.out_floats / floats;
  emit_either_way(block, {}, [&](Stores stores, Values) {
    for_each(b_.index(0), b_.index(full), "tile",
             [&](llvm::Value* tile) { emit(b_.scale_index(tile, floats), floats, stores); });
    return Values();
  });
  if (const int64_t rest = g_.out_floats % floats; rest > 0)
    emit(b_.index(full * floats), rest, Stores::kCached);
}

// The sums along the columns of every row of the block, zeros left and right of them. Probes become
// the sums of 0 x all of them, by run.
Rows FilterEmitter::sum_columns(const Block& block, Values& probes) {
  const Rows rows = rows_of(block, factors_.column);
  const int64_t floats = schedule_.tile_pixels, lanes = schedule_.lanes;
  Rows sums;
  for (int r = 0; r < block.rows; ++r)
    sums[{r, 0}] = scratch_at(scratch_.sums + r * scratch_.sums_pitch);
  const auto emit = [&](llvm::Value* column, int64_t count, Values probed) {
    Probes none;
    const Values acc =
        emit_products(block, factors_.column, {rows, column, conv_.strides.h, count}, none);
    for (int r = 0; r < block.rows; ++r)
      for (int64_t run = 0; run * lanes < count; ++run) {
        llvm::Value* sum = acc[r * runs() + run];
        b_.store_packed(sum, b_.at(sums[{r, 0}], b_.add_index(column, b_.index(run * lanes))));
        if (factors_.sums_may_overflow) probed[run] = b_.fma(sum, b_.zero(), probed[run]);
      }
    return probed;
  };
  const int64_t full = g_.in_floats / floats;
  probes = emit_for(b_, {b_.index(0), b_.index(full)}, "column", probes,
                    [&](llvm::Value* tile, Values probed) {
                      return emit(b_.scale_index(tile, floats), floats, probed);
                    });
  if (const int64_t rest = g_.in_floats % floats; rest > 0)
    probes = emit(b_.index(full * floats), rest, probes);
  return sums;
}

// --- Tiles ---

// Code for either kind of store, where a block streams.
Values FilterEmitter::emit_either_way(const Block& block, Values probes, Tiles tiles) {
  if (!block.streams) return tiles(Stores::kCached, probes);
  return emit_if(
      b_, streams_, "stream", probes, [&](Values at) { return tiles(Stores::kStreaming, at); },
      [&](Values at) { return tiles(Stores::kCached, at); });
}

// acc[(row * outputs + output) * runs + run]. Source row by source row, for all rows of outputs
// that see it, so that each is loaded once; of every sum in the order of its taps.
Values FilterEmitter::emit_products(const Block& block, const Taps& taps, const Sources& sources,
                                    Probes& probes) {
  const int64_t lanes = schedule_.lanes;
  Values acc(static_cast<size_t>(block.rows * g_.outputs * runs()), nullptr);
  std::set<int64_t> rows;
  for (const auto& [place, base] : sources.rows) rows.insert(place.first);
  for (const int64_t row : rows) {
    std::map<std::tuple<int64_t, int64_t, int64_t>, llvm::Value*> loaded;
    const auto load = [&](int64_t plane, int64_t shift, int64_t run) {
      llvm::Value*& x = loaded[{plane, shift, run}];
      if (x != nullptr) return x;
      llvm::Value* column = b_.add_index(sources.x, b_.index(shift + run * lanes));
      const int64_t count = std::min(lanes, sources.floats - run * lanes);
      return x = b_.load_lanes(b_.at(sources.rows.at({row, plane}), column),
                               static_cast<int>(count), "x");
    };
    for (const FilterTap& tap : taps) {
      const int64_t distance = row - tap.row;
      const int64_t r = distance / sources.stride_h;
      if (distance < 0 || distance % sources.stride_h != 0 || r >= block.rows) continue;
      for (int64_t run = 0; run * lanes < sources.floats; ++run) {
        llvm::Value*& sum = acc[(r * g_.outputs + tap.output) * runs() + run];
        llvm::Value* x = load(tap.plane, tap.shift, run);
        for (const int64_t shift : tap.twins) x = b_.CreateFAdd(x, load(tap.plane, shift, run));
        sum = add_product(tap, run, x, sum);
      }
    }
    if (probes.taps != nullptr) probe_row(block, sources, row, probes, load);
    b_.fence();
  }
  for (llvm::Value*& sum : acc)
    if (sum == nullptr) sum = b_.zero();
  return acc;
}

void FilterEmitter::probe_row(const Block& block, const Sources& sources, int64_t row,
                              Probes& probes, Load load) {
  std::map<int64_t, std::pair<int64_t, int64_t>> reach;  // of planes: first and last shift
  for (const FilterTap& tap : *probes.taps)
    for (int r = 0; r < block.rows; ++r) {
      if (tap.row + r * sources.stride_h != row) continue;
      auto& [first, last] = reach.try_emplace(tap.plane, tap.shift, tap.shift).first->second;
      first = std::min(first, tap.shift);
      last = std::max(last, tap.shift);
    }
  for (const auto& [plane, shifts] : reach)
    for (int run = 0; run < runs(); ++run) {
      llvm::Value*& sum = probes.sums[run];
      sum = b_.fma(load(plane, shifts.first, run), b_.zero(), sum);
      if (probes.all && shifts.second != shifts.first)
        sum = b_.fma(load(plane, shifts.second, run), b_.zero(), sum);
    }
}

llvm::Value* FilterEmitter::add_product(const FilterTap& tap, int64_t run, llvm::Value* x,
                                        llvm::Value* sum) {
  const bool plain = tap.weights.size() == 1;
  llvm::Value* next;
  if (plain && tap.weights[0] == 1)
    next = sum == nullptr ? x : b_.CreateFAdd(sum, x);
  else if (plain && tap.weights[0] == -1)
    next = sum == nullptr ? b_.CreateFNeg(x) : b_.CreateFSub(sum, x);
  else
    next = sum == nullptr ? b_.CreateFMul(x, weight_vector(tap, run))
                          : b_.fma(x, weight_vector(tap, run), sum);
  if (tap.inside.empty()) return next;
  const auto inside = [&](int lane) {
    return tap.inside[static_cast<size_t>((run * schedule_.lanes + lane) % g_.period)];
  };
  return b_.select_where(inside, next, sum == nullptr ? b_.zero() : sum);
}

llvm::Value* FilterEmitter::weight_vector(const FilterTap& tap, int64_t run) {
  if (tap.weights.size() == 1) return b_.splat(tap.weights[0]);
  return b_.constant_lanes(
      [&](int lane) { return tap.weight((run * schedule_.lanes + lane) % g_.period); });
}

void FilterEmitter::emit_outputs(const Block& block, const FilterPass& pass, const Values& acc,
                                 llvm::Value* column, int64_t floats, Stores stores) {
  const size_t number = static_cast<size_t>(&pass - plan_.passes.data());
  const int64_t row_floats = g_.out_floats * pass.outputs;
  llvm::Value* image =
      b_.add_index(b_.scale_index(block.image, g_.dst_image), b_.index(pass.dst_plane));
  for (int r = 0; r < block.rows; ++r) {
    Values vectors;
    for (int64_t run = 0; run * schedule_.lanes < floats; ++run) {
      Values outputs;
      for (int output = 0; output < pass.outputs; ++output)
        outputs.push_back(acc[(r * pass.outputs + output) * runs() + run]);
      vectors.append(b_.interleave(outputs));
    }
    llvm::Value* oh = b_.add_index(block.oh, b_.index(r));
    llvm::Value* dst = b_.add_index(b_.add_index(image, b_.scale_index(oh, row_floats)),
                                    b_.scale_index(column, pass.outputs));
    epilogue_.emit_side_by_side(
        vectors, floats * pass.outputs, dst,
        [&](int64_t vector) { return operands_[number][vector]; }, stores);
  }
}

}  // namespace

void emit_filter(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                 const FilterPlan& plan, bool assume_finite, const KernelPointers& pointers,
                 llvm::Value* begin, llvm::Value* end) {
  FilterEmitter(b, conv, schedule, plan, assume_finite, pointers).emit(begin, end);
}

}  // namespace convgen::codegen
