// SPDX-License-Identifier: Apache-2.0
// oneDNN as a worker of bench/peers.py (protocol: peers/worker.py): `onednn_bench any|nhwc`.
// Direct algorithm, f32, weights in the primitive's own order, reorders outside the timer.
// OMP_NUM_THREADS sets the threads. Needs oneDNN 2.x or 3.x and nothing of convgen.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

using dnnl::convolution_forward;
using dnnl::memory;
using Clock = std::chrono::steady_clock;
using Tag = memory::format_tag;

// As in tools/bench_runner.
constexpr double kSampleUs = 100;
constexpr size_t kMinSamples = 3;

// The words of `prepare`.
struct Layer {
  std::map<std::string, int64_t> values;

  explicit Layer(std::istream& words) {
    for (std::string word; words >> word;) {
      const size_t equals = word.find('=');
      if (equals == std::string::npos) throw std::runtime_error("expected key=number: " + word);
      values[word.substr(0, equals)] = std::stoll(word.substr(equals + 1));
    }
  }
  int64_t operator[](const char* key) const { return values.at(key); }

  int64_t icg() const { return (*this)["ic"] / (*this)["groups"]; }
  memory::dims src_dims() const {
    return {(*this)["n"], (*this)["ic"], (*this)["ih"], (*this)["iw"]};
  }
  memory::dims dst_dims() const {
    return {(*this)["n"], (*this)["oc"], (*this)["oh"], (*this)["ow"]};
  }
  memory::dims weights_dims() const {
    const int64_t groups = (*this)["groups"], oc = (*this)["oc"];
    if (groups == 1) return {oc, icg(), (*this)["kh"], (*this)["kw"]};
    return {groups, oc / groups, icg(), (*this)["kh"], (*this)["kw"]};
  }
};

memory::desc describe(const memory::dims& dims, Tag tag) {
  return {dims, memory::data_type::f32, tag};
}

convolution_forward::primitive_desc make_primitive_desc(const Layer& layer, Tag activations,
                                                        const dnnl::engine& engine) {
  const memory::desc src = describe(layer.src_dims(), activations);
  const memory::desc weights = describe(layer.weights_dims(), Tag::any);
  const memory::desc dst = describe(layer.dst_dims(), activations);
  const memory::dims strides{layer["sh"], layer["sw"]};
  const memory::dims dilations{layer["dh"] - 1, layer["dw"] - 1};  // 0 = dense here
  const memory::dims begin{layer["pad_top"], layer["pad_left"]};
  // What the output leaves of the image's end is no padding to oneDNN, which demands equality.
  const auto end = [&](const char* in, const char* out, const char* k, int axis) {
    return (layer[out] - 1) * strides[axis] + (layer[k] - 1) * (dilations[axis] + 1) + 1 -
           layer[in] - begin[axis];
  };
  const memory::dims pads_end{end("ih", "oh", "kh", 0), end("iw", "ow", "kw", 1)};
  constexpr auto kKind = dnnl::prop_kind::forward_inference;
  constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine, kKind, kAlgorithm, src, weights, dst, strides, dilations, begin, pads_end};
#else
  return {{kKind, kAlgorithm, src, weights, dst, strides, dilations, begin, pads_end}, engine};
#endif
}

// One layer, ready to run.
class Runner {
 public:
  Runner(const Layer& layer, Tag activations)
      : layer_(layer),
        desc_(make_primitive_desc(layer, activations, engine_)),
        primitive_(desc_),
        src_(random_memory(describe(layer.src_dims(), Tag::nhwc), 1)),
        weights_(random_memory(plain_weights(), 2)),
        args_{{DNNL_ARG_SRC, reordered(src_, desc_.src_desc())},
              {DNNL_ARG_WEIGHTS, reordered(weights_, desc_.weights_desc())},
              {DNNL_ARG_DST, memory(desc_.dst_desc(), engine_)}} {
    run();
    check();
  }

  std::string implementation() const { return desc_.impl_info_str(); }

  double batch_us(int64_t calls) {
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < calls; ++i) run();
    return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
  }

 private:
  void run() {
    primitive_.execute(stream_, args_);
    stream_.wait();
  }

  memory::desc plain_weights() const {
    return describe(layer_.weights_dims(), layer_["groups"] == 1 ? Tag::oihw : Tag::goihw);
  }

  memory random_memory(const memory::desc& desc, uint64_t seed) {
    memory result(desc, engine_);
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    auto* values = static_cast<float*>(result.get_data_handle());
    std::generate_n(values, desc.get_size() / sizeof(float), [&] { return uniform(random); });
    return result;
  }

  memory reordered(memory& from, const memory::desc& desc) {
    memory to(desc, engine_);
    dnnl::reorder(from, to).execute(stream_, from, to);
    stream_.wait();
    return to;
  }

  // A few outputs against the plain sum, so that what is timed is the convolution asked for.
  void check() {
    memory plain = reordered(args_.at(DNNL_ARG_DST), describe(layer_.dst_dims(), Tag::nhwc));
    const auto* dst = static_cast<const float*>(plain.get_data_handle());
    const int64_t outputs = layer_["n"] * layer_["oh"] * layer_["ow"] * layer_["oc"];
    std::mt19937_64 random(3);
    for (int i = 0; i < 16; ++i) {
      const auto at = static_cast<int64_t>(random() % static_cast<uint64_t>(outputs));
      if (!(std::abs(dst[at] - sum_at(at)) <= 1e-2)) throw std::runtime_error("wrong result");
    }
  }

  // The output at an nhwc index.
  double sum_at(int64_t index) const {
    const int64_t oc = index % layer_["oc"], ow = index / layer_["oc"] % layer_["ow"];
    const int64_t oh = index / layer_["oc"] / layer_["ow"] % layer_["oh"];
    const int64_t n = index / layer_["oc"] / layer_["ow"] / layer_["oh"];
    const auto* src = static_cast<const float*>(src_.get_data_handle());
    const auto* weights = static_cast<const float*>(weights_.get_data_handle());
    const int64_t first = oc / (layer_["oc"] / layer_["groups"]) * layer_.icg();
    double sum = 0;
    for (int64_t kh = 0; kh < layer_["kh"]; ++kh) {
      for (int64_t kw = 0; kw < layer_["kw"]; ++kw) {
        const int64_t ih = oh * layer_["sh"] + kh * layer_["dh"] - layer_["pad_top"];
        const int64_t iw = ow * layer_["sw"] + kw * layer_["dw"] - layer_["pad_left"];
        if (ih < 0 || ih >= layer_["ih"] || iw < 0 || iw >= layer_["iw"]) continue;
        const int64_t pixel = (n * layer_["ih"] + ih) * layer_["iw"] + iw;
        for (int64_t c = 0; c < layer_.icg(); ++c) {
          const int64_t tap = ((oc * layer_.icg() + c) * layer_["kh"] + kh) * layer_["kw"] + kw;
          sum += static_cast<double>(src[pixel * layer_["ic"] + first + c]) * weights[tap];
        }
      }
    }
    return sum;
  }

  Layer layer_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  convolution_forward::primitive_desc desc_;
  convolution_forward primitive_;
  memory src_, weights_;
  std::unordered_map<int, memory> args_;
};

// "MIN MEDIAN SAMPLES".
std::string measure(Runner& runner, double seconds) {
  int64_t calls = 1;
  runner.batch_us(1);
  while (runner.batch_us(calls) < kSampleUs) calls *= 2;
  std::vector<double> samples;
  const Clock::time_point start = Clock::now();
  while (samples.size() < kMinSamples ||
         std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
    samples.push_back(runner.batch_us(calls) / static_cast<double>(calls));
  }
  std::sort(samples.begin(), samples.end());
  std::ostringstream text;
  text << samples.front() << ' ' << samples[samples.size() / 2] << ' ' << samples.size();
  return text.str();
}

std::string answer(std::optional<Runner>& runner, Tag activations, std::istream& line) {
  std::string command;
  line >> command;
  if (command == "prepare") {
    runner.emplace(Layer(line), activations);
    return runner->implementation();
  }
  if (command == "finish") return "nan nan 0";
  double seconds = 0;
  if (command != "measure" || !runner || !(line >> seconds)) {
    throw std::runtime_error("expected prepare, measure SECONDS or finish");
  }
  return measure(*runner, seconds);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string layout = argc == 2 ? argv[1] : "";
  if (layout != "any" && layout != "nhwc") {
    std::cerr << "usage: onednn_bench any|nhwc\n";
    return 2;
  }
  const dnnl_version_t* version = dnnl_version();
  std::cout << "ok " << version->major << '.' << version->minor << '.' << version->patch
            << std::endl;
  std::optional<Runner> runner;
  for (std::string text; std::getline(std::cin, text);) {
    std::istringstream line(text);
    try {
      std::cout << "ok " << answer(runner, layout == "any" ? Tag::any : Tag::nhwc, line)
                << std::endl;
    } catch (const std::exception& error) {
      std::cout << "error " << error.what() << std::endl;
    }
  }
}
