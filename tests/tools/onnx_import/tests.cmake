# SPDX-License-Identifier: Apache-2.0
# ONNX's own test data, of Debian's libonnx-testdata; without it those tests are skipped.
find_path(CONVGEN_ONNX_TESTDATA node/test_basic_conv_with_padding/model.onnx
  PATHS /usr/share/libonnx-testdata/data DOC "ONNX's backend test data")
if(CONVGEN_ONNX_TESTDATA)
  set(testdata ${CONVGEN_ONNX_TESTDATA})
endif()

convgen_add_test(onnx_import
  SOURCES
    tools/onnx_import/model_builder.cpp tools/onnx_import/reference.cpp
    tools/onnx_import/backend_test.cpp tools/onnx_import/fusion_test.cpp
    tools/onnx_import/network_test.cpp
  LIBRARIES convgen_onnx_import convgen_kernel_test_support convgen_tool_support onnx)
target_compile_definitions(convgen_onnx_import_test
  PRIVATE CONVGEN_TOOL_PATH="$<TARGET_FILE:convgen_tool>" CONVGEN_ONNX_TESTDATA="${testdata}")
add_dependencies(convgen_onnx_import_test convgen_tool)
