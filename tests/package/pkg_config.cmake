# SPDX-License-Identifier: Apache-2.0
# cmake -DPREFIX=... -DPC=... -DLIBRARY=core|jit -DKIND=shared|static -DWORK=... -DCXX=... -P: compiles
# consumer/hello_*.cpp with what pkg-config says, and runs it. PC: the directory of the .pc files.
include(${CMAKE_CURRENT_LIST_DIR}/check_hello.cmake)
find_program(PKG_CONFIG pkg-config)
if(NOT PKG_CONFIG)
  message(STATUS "SKIP: pkg-config is not installed")
  return()
endif()
set(module_core convgen-core)
set(module_jit convgen)
set(kind_flags "")
if(KIND STREQUAL "static")
  set(kind_flags --static)
endif()
set(ENV{PKG_CONFIG_PATH} ${PC})
execute_process(COMMAND ${PKG_CONFIG} ${kind_flags} --cflags --libs ${module_${LIBRARY}}
  OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
if(KIND STREQUAL "static")  # both kinds are there, and linkers prefer the other one
  list(TRANSFORM flags REPLACE "^-l(convgen_.*)$" "-l:lib\\1.a")
endif()
file(MAKE_DIRECTORY ${WORK})
set(source ${CMAKE_CURRENT_LIST_DIR}/consumer/hello_${LIBRARY}.cpp)
cmake_path(GET PC PARENT_PATH libraries)
execute_process(
  COMMAND ${CXX} -std=c++20 ${source} -o ${WORK}/hello ${flags} -Wl,-rpath,${libraries}
  COMMAND_ERROR_IS_FATAL ANY)
check_hello(${WORK}/hello ${LIBRARY})
