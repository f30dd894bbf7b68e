// SPDX-License-Identifier: Apache-2.0
// The names of the status codes and one maker for each.
#include "ir/status.h"

namespace convgen {

std::string_view status_code_name(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kInvalidArgument:
      return "invalid_argument";
    case StatusCode::kUnsupported:
      return "unsupported";
    case StatusCode::kCompileFailed:
      return "compile_failed";
    case StatusCode::kResourceExhausted:
      return "resource_exhausted";
    case StatusCode::kIoError:
      return "io_error";
    case StatusCode::kInternal:
      return "internal";
  }
  return "unknown";  // a number that was cast to StatusCode
}

Status invalid_argument(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}

Status unsupported(std::string message) {
  return Status(StatusCode::kUnsupported, std::move(message));
}

Status compile_failed(std::string message) {
  return Status(StatusCode::kCompileFailed, std::move(message));
}

Status resource_exhausted(std::string message) {
  return Status(StatusCode::kResourceExhausted, std::move(message));
}

Status io_error(std::string message) { return Status(StatusCode::kIoError, std::move(message)); }

Status internal_error(std::string message) {
  return Status(StatusCode::kInternal, std::move(message));
}

}  // namespace convgen
