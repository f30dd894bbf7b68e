// SPDX-License-Identifier: Apache-2.0
// In place of the importer where convgen is built without onnx and protobuf.
#include "tools/onnx_import/import.h"

namespace convgen::onnx_import {

Result<ImportedModel> import_model(const std::string&, const ImportOptions&) {
  return unsupported(
      "import: this convgen was built without its ONNX component (CONVGEN_BUILD_ONNX, which takes "
      "libonnx-dev and libprotobuf-dev)");
}

}  // namespace convgen::onnx_import
