// SPDX-License-Identifier: Apache-2.0
// convgen run: computes one convolution on tensors from .npy files. What the conv text leaves out
// of src and weights follows from the files.
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "ir/conv_spec.h"
#include "ir/interpreter.h"
#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/thread_pool.h"
#include "tools/command.h"
#include "tools/constant_weights_args.h"
#include "tools/conv_args.h"
#include "tools/npy.h"

namespace convgen::tool {
namespace {

struct RunOptions {
  std::string conv;
  std::string src, weights, bias, add, scale;  // .npy files
  std::string dst;
  std::string engine = "jit";
  std::string schedule;
  ConstantWeightsArgs constants;
  int threads = 0;
};

// The tensors as read; empty data where the chain uses none.
struct Inputs {
  NpyArray src, weights, bias, add, scale;

  ir::TensorInputs pointers() const {
    // A tensor without elements is there all the same, and null would say that it is missing.
    static constexpr float kNothing = 0;
    const auto start = [](const NpyArray& array) {
      return array.data.empty() ? &kNothing : array.data.data();
    };
    return {start(src), start(weights), start(bias), start(add), start(scale)};
  }
};

// --- What the text leaves out ---

// The layout of a tensor that the text does not mention: TensorFlow's.
std::string default_layout(const std::string& op, bool is_weights) {
  const size_t rank = op.starts_with("conv1d") ? 1 : op.starts_with("conv2d") ? 2 : 3;
  const std::string spatial = std::string("dhw").substr(3 - rank);
  return is_weights ? spatial + "io" : "n" + spatial + "c";
}

// Completes `tensor` from the shape of its file; where both say dims, they must agree.
Status complete(ir::TensorSpec& tensor, const std::string& name, const std::string& layout,
                const std::string& file, const std::vector<int64_t>& shape) {
  if (tensor.type.empty()) tensor.type = "f32";
  if (tensor.layout.empty()) tensor.layout = layout;
  if (tensor.dims.empty() && shape.size() != layout.size()) {
    return invalid_argument(fmt::format("{}: {} holds {} dimensions ({}), layout {} needs {}", name,
                                        file, shape.size(), print_dims(shape), tensor.layout,
                                        layout.size()));
  }
  if (tensor.dims.empty()) tensor.dims = shape;
  if (tensor.dims == shape) return Status();
  return invalid_argument(fmt::format("{}: the conv says {}, {} holds {}", name,
                                      print_dims(tensor.dims), file, print_dims(shape)));
}

Result<ir::Conv> make_conv(const ConvText& text, ir::ConvSpec spec, const RunOptions& options,
                           const Inputs& inputs) {
  Status status =
      complete(spec.src, "src", default_layout(spec.op, false), options.src, inputs.src.shape);
  if (status.ok()) {
    status = complete(spec.weights, "weights", default_layout(spec.op, true), options.weights,
                      inputs.weights.shape);
  }
  if (!status.ok()) return located(text, status);
  Result<ir::Conv> conv = ir::make_conv(spec);
  if (!conv.ok()) return located(text, conv.status());
  return conv;
}

// --- The files ---

// A file is given exactly where the chain uses its tensor.
Status check_given(const ir::ConvSpec& spec, ir::PostOpKind kind, const std::string& name,
                   const std::string& file) {
  bool used = false;
  for (const ir::PostOp& op : spec.post) used |= op.kind == kind;
  if (used == !file.empty()) return Status();
  return invalid_argument(
      used ? fmt::format("--{0}: is missing, post= uses {0}", name)
           : fmt::format("--{}: {} is given, but post= of the conv does not use it", name, file));
}

Status check_files(const ir::ConvSpec& spec, const RunOptions& options) {
  Status status = check_given(spec, ir::PostOpKind::kBias, "bias", options.bias);
  if (status.ok()) status = check_given(spec, ir::PostOpKind::kAdd, "add", options.add);
  if (status.ok()) status = check_given(spec, ir::PostOpKind::kScale, "scale", options.scale);
  int from_stdin = options.conv == "-" || options.conv == "@-";
  for (const std::string* file :
       {&options.src, &options.weights, &options.bias, &options.add, &options.scale}) {
    from_stdin += *file == "-";
  }
  if (status.ok() && from_stdin > 1) {
    return invalid_argument("-: only one of the conv and the tensors can come from standard input");
  }
  return status;
}

Status read_tensor(const std::string& file, NpyArray& array) {
  Result<NpyArray> read = read_npy(file);
  if (read.ok()) array = std::move(*read);
  return read.status();
}

// Reads a tensor whose shape follows from the conv. An empty name reads nothing.
Status read_shaped(const std::string& name, const std::string& file,
                   const std::vector<int64_t>& shape, NpyArray& array) {
  if (file.empty()) return Status();
  if (Status status = read_tensor(file, array); !status.ok()) return status;
  if (array.shape == shape) return Status();
  return invalid_argument(fmt::format("{}: {} holds {}, expected {}", name, file,
                                      print_dims(array.shape), print_dims(shape)));
}

Status read_post_tensors(const RunOptions& options, const ir::Conv& conv, Inputs& inputs) {
  Status status = read_shaped("bias", options.bias, {conv.oc}, inputs.bias);
  if (status.ok()) status = read_shaped("add", options.add, conv.dst_dims(), inputs.add);
  if (status.ok()) status = read_shaped("scale", options.scale, {conv.oc}, inputs.scale);
  return status;
}

// --- Computing ---

std::vector<float> run_interpreter(const ir::Conv& conv, const Inputs& inputs) {
  const ir::Reference reference = ir::interpret(conv, inputs.pointers());
  std::vector<float> dst;
  dst.reserve(reference.y.size());
  for (const double y : reference.y) dst.push_back(static_cast<float>(y));
  return dst;
}

Result<std::vector<float>> run_kernel(const ir::Conv& conv, const Inputs& inputs,
                                      const RunOptions& options) {
  const Result<int> threads = resolve_threads(options.threads);
  if (!threads.ok()) return threads.status();
  const Result<Engine> engine = Engine::create();
  if (!engine.ok()) return engine.status();
  const EngineKind kind = options.engine == "jit" ? EngineKind::kJit : EngineKind::kGeneric;
  const CompileOptions how{.engine = kind, .schedule = options.schedule, .threads = *threads};
  const bool constant = !options.constants.file.empty();
  const Result<Kernel> kernel =
      constant
          ? engine->compile(
                conv, ConstantWeights{inputs.weights.data, options.constants.assume_finite}, how)
          : engine->compile(conv, how);
  warn_of_store(*engine);
  if (!kernel.ok()) return kernel.status();
  note_fallback(kind, kernel->engine_name());

  std::vector<float> dst;
  dst.reserve(1);  // not null even where there is nothing to write
  dst.resize(static_cast<size_t>(conv.dst_elements()));
  const ir::TensorInputs tensors = inputs.pointers();
  ThreadPool pool(*threads);
  const ParallelFor parallel_for = pool.parallel_for();
  const Status status = kernel->run({.src = tensors.src,
                                     .weights = constant ? nullptr : tensors.weights,
                                     .packed = nullptr,
                                     .bias = tensors.bias,
                                     .add = tensors.add,
                                     .scale = tensors.scale,
                                     .dst = dst.data(),
                                     .scratch = nullptr},
                                    *threads > 1 ? &parallel_for : nullptr);
  if (!status.ok()) return status;
  return dst;
}

// The weights come from just one of two files.
Status check_weights_args(const RunOptions& options) {
  if (Status status = check_constant_weights(options.constants); !status.ok()) return status;
  const bool constant = !options.constants.file.empty();
  if (constant == options.weights.empty()) return Status();
  return invalid_argument(constant ? "--weights: are given, and --constant-weights too"
                                   : "--weights: are missing, or --constant-weights");
}

Outcome run(const RunOptions& given) {
  RunOptions options = given;
  if (Status status = check_weights_args(options); !status.ok()) return status;
  if (options.weights.empty()) options.weights = options.constants.file;
  if (!options.schedule.empty() && options.engine != "jit") {
    return invalid_argument("--schedule: only the jit engine takes one");
  }
  const Result<ConvText> text = read_conv_arg(options.conv);
  if (!text.ok()) return text.status();
  const Result<ir::ConvSpec> spec = ir::parse_conv_spec(text->text);
  if (!spec.ok()) return located(*text, spec.status());
  if (Status status = check_files(*spec, options); !status.ok()) return status;

  Inputs inputs;
  if (Status status = read_tensor(options.src, inputs.src); !status.ok()) return status;
  if (Status status = read_tensor(options.weights, inputs.weights); !status.ok()) return status;
  const Result<ir::Conv> conv = make_conv(*text, *spec, options, inputs);
  if (!conv.ok()) return conv.status();
  if (Status status = check_memory(*conv); !status.ok()) return status;
  if (Status status = read_post_tensors(options, *conv, inputs); !status.ok()) return status;

  Result<std::vector<float>> dst = options.engine == "interpreter"
                                       ? run_interpreter(*conv, inputs)
                                       : run_kernel(*conv, inputs, options);
  if (!dst.ok()) return dst.status();
  if (Status s = write_npy(options.dst, {conv->dst_dims(), std::move(*dst)}); !s.ok()) return s;
  return kDone;
}

}  // namespace

void add_run(CLI::App& app, Outcome& outcome) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "compute a convolution on .npy files");
  command->group(kComputeGroup);
  const auto add_file = [&](const char* name, std::string& file, const char* help) {
    return command->add_option(name, file, help)->type_name("F.npy");
  };
  command->add_option("CONV", options->conv, kConvHelp)->required();
  add_file("--src", options->src, "input tensor")->required();
  add_file("--weights", options->weights, "filter tensor");
  add_file("--bias", options->bias, "bias, one number per output channel");
  add_file("--add", options->add, "residual tensor, of dst's shape");
  add_file("--scale", options->scale, "scale, one number per output channel");
  add_file("--dst", options->dst, "file to write the result to, as <f4")->required();
  add_engine(*command, options->engine, {"jit", "generic", "interpreter"});
  add_threads(*command, options->threads);
  add_schedule(*command, options->schedule);
  add_constant_weights(*command, options->constants);
  set_examples(*command, {"convgen run 'conv2d pads=same post=bias,relu' --src x.npy --weights "
                          "w.npy --bias b.npy --dst y.npy",
                          "convgen run 'conv2d groups=3 pads=same' --src photo.npy "
                          "--constant-weights edge.npy --dst edges.npy"});
  command->callback([options, &outcome] { outcome = run(*options); });
}

}  // namespace convgen::tool
