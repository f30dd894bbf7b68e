# SPDX-License-Identifier: Apache-2.0
# The importer's tests; without the component, that its absence is said.
if(CONVGEN_BUILD_ONNX)
  # ONNX's own test data, of Debian's libonnx-testdata; where it is not, its tests are skipped.
  find_path(CONVGEN_ONNX_TESTDATA node/test_basic_conv_with_padding/model.onnx
    PATHS /usr/share/libonnx-testdata/data DOC "ONNX's backend test data")
  set(testdata ${CONVGEN_ONNX_TESTDATA})
  if(NOT testdata)
    set(testdata "")
  endif()
  convgen_add_test(onnx_import
    SOURCES
      tools/onnx_import/model_builder.cpp tools/onnx_import/reference.cpp
      tools/onnx_import/backend_test.cpp tools/onnx_import/cmd_import_test.cpp
      tools/onnx_import/conv_node_test.cpp tools/onnx_import/external_data_test.cpp
      tools/onnx_import/fusion_test.cpp tools/onnx_import/malformed_test.cpp
      tools/onnx_import/inference_process_test.cpp
      tools/onnx_import/network_test.cpp tools/onnx_import/shapes_test.cpp
    LIBRARIES convgen_onnx_import convgen_kernel_test_support convgen_tool_support onnx)
  target_compile_definitions(convgen_onnx_import_test
    PRIVATE CONVGEN_TOOL_PATH="$<TARGET_FILE:convgen_tool>" CONVGEN_ONNX_TESTDATA="${testdata}")
  add_dependencies(convgen_onnx_import_test convgen_tool)
else()
  convgen_add_test(onnx_import
    SOURCES
      tools/onnx_import/import_unavailable_test.cpp
      ${PROJECT_SOURCE_DIR}/tools/onnx_import/import_unavailable.cpp
    LIBRARIES convgen::ir)
endif()
