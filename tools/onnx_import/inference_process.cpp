// SPDX-License-Identifier: Apache-2.0
// fork, infer on the copy of the memory, and send the types through a pipe.
#include "tools/onnx_import/inference_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <onnx/shape_inference/implementation.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <string>

#include "tools/onnx_import/messages.h"
#include "tools/output_file.h"

namespace convgen::onnx_import {
namespace {

using onnx::GraphProto;
using onnx::ModelProto;
using tool::FileDescriptor;

constexpr char kInferred = 'I';
constexpr char kRefused = 'R';
constexpr rlim_t kSeconds = 5;             // of CPU time; ten thousand nodes take 0.2
constexpr size_t kMaxWords = 400;          // of onnx, which quote names of the model
constexpr size_t kMaxAnswer = 256u << 20;  // a child that was taken over answers anything

// --- In the child ---

// Crashes are expected: no handler, no core file, and an end to loops.
void restrain() {
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU}) {
    ::signal(signal, SIG_DFL);
  }
  const rlimit no_core = {0, 0}, cpu = {kSeconds, kSeconds};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::setrlimit(RLIMIT_CPU, &cpu);
}

std::string first_line(std::string text) { return text.substr(0, text.find('\n')); }

std::string answer(ModelProto& model) {
  // Since version 4 initializers need not be inputs too; before, those that are not have no type.
  model.set_ir_version(std::max<int64_t>(model.ir_version(), 4));
  try {
    const onnx::ShapeInferenceOptions options(false, 0, true);
    onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(), options);
  } catch (const std::exception& error) {
    return kRefused + first_line(error.what());
  }
  GraphProto& graph = *model.mutable_graph();
  graph.clear_node();
  graph.clear_initializer();
  graph.clear_sparse_initializer();
  return kInferred + graph.SerializeAsString();
}

[[noreturn]] void run_child(const ModelProto& model, int pipe) {
  restrain();
  int code = 1;
  try {
    // The child's memory is a copy, and its own to change.
    const std::string text = answer(const_cast<ModelProto&>(model));
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t count = ::write(pipe, text.data() + done, text.size() - done);
      if (count < 0 && errno != EINTR) break;
      if (count > 0) done += static_cast<size_t>(count);
    }
    if (done == text.size()) code = 0;
  } catch (...) {  // out of memory
  }
  ::_exit(code);
}

// --- In the parent ---

std::string read_answer(int pipe) {
  std::string text;
  char buffer[1 << 16];
  ptrdiff_t count;
  while ((count = tool::read_fully(pipe, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > kMaxAnswer) break;
  }
  return text;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string how_it_ended(int status) {
  if (!WIFSIGNALED(status)) return "ran out of memory";
  const int signal = WTERMSIG(status);
  if (signal == SIGXCPU || signal == SIGKILL) return "took too long";
  return fmt::format("crashed (signal {})", signal);
}

}  // namespace

Result<GraphProto> infer_in_child(const ModelProto& model) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return resource_exhausted(fmt::format("no pipe: {}", std::strerror(errno)));
  }
  const FileDescriptor reader(ends[0]);
  onnx::OpSchemaRegistry::Schema("Conv");  // fills the registry here, not in each child
  const pid_t child = ::fork();
  if (child < 0) {
    ::close(ends[1]);
    return resource_exhausted(fmt::format("no process: {}", std::strerror(errno)));
  }
  if (child == 0) run_child(model, ends[1]);
  ::close(ends[1]);
  const std::string text = read_answer(reader.get());
  if (text.size() > kMaxAnswer) ::kill(child, SIGKILL);
  const int status = wait_for(child);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || text.empty()) {
    return invalid_argument("the model is damaged: onnx's shape inference " + how_it_ended(status));
  }
  if (text[0] == kRefused)
    return invalid_argument("shape inference: " + plain_text(text.substr(1), kMaxWords));
  GraphProto graph;
  if (!graph.ParseFromArray(text.data() + 1, static_cast<int>(text.size() - 1))) {
    return invalid_argument("the model is damaged: onnx's shape inference answers nonsense");
  }
  return graph;
}

}  // namespace convgen::onnx_import
