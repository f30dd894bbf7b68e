# SPDX-License-Identifier: Apache-2.0
# A program for each kind of input, convgen_fuzz_NAME. Under the preset `fuzz` it is libFuzzer's;
# else it replays files, and CTest's fuzz_inputs.NAME those of ../corpus/NAME.
add_library(convgen_fuzz_support STATIC
  fuzz/inputs/expect.cpp fuzz/inputs/conv_rules.cpp)
target_include_directories(convgen_fuzz_support PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(convgen_fuzz_support PUBLIC convgen::ir PRIVATE convgen_options)
set_property(GLOBAL PROPERTY CONVGEN_FUZZ_TARGETS)

function(convgen_add_fuzz_target name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  set(target convgen_fuzz_${name})
  add_executable(${target} fuzz/inputs/${name}.cpp ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE convgen_fuzz_support ${arg_LIBRARIES} convgen_options)
  set_property(GLOBAL APPEND PROPERTY CONVGEN_FUZZ_TARGETS ${target})
  set(replay)
  if(CONVGEN_SANITIZER MATCHES fuzzer)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    set(replay -runs=0)
  else()
    target_sources(${target} PRIVATE fuzz/inputs/replay_main.cpp)
  endif()
  add_test(NAME fuzz_inputs.${name}
    COMMAND ${target} ${replay} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
  set_tests_properties(fuzz_inputs.${name} PROPERTIES TIMEOUT 600)
endfunction()

convgen_add_fuzz_target(conv_text)
convgen_add_fuzz_target(benchdnn)
convgen_add_fuzz_target(npy LIBRARIES convgen_tool_support)
convgen_add_fuzz_target(schedule LIBRARIES convgen::codegen)
convgen_add_fuzz_target(store_entry LIBRARIES convgen::jit convgen::codegen convgen_llvm)
convgen_add_fuzz_target(tuning_file LIBRARIES convgen::jit convgen::codegen)
convgen_add_fuzz_target(c_api
  SOURCES fuzz/inputs/c_api_cases.cpp fuzz/inputs/c_api_convs.cpp LIBRARIES convgen::c)
if(CONVGEN_BUILD_ONNX)
  convgen_add_fuzz_target(onnx LIBRARIES convgen_onnx_import onnx protobuf::libprotobuf)
endif()

get_property(targets GLOBAL PROPERTY CONVGEN_FUZZ_TARGETS)
add_custom_target(fuzz_inputs DEPENDS ${targets})
