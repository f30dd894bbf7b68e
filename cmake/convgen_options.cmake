# SPDX-License-Identifier: Apache-2.0
# What every target of convgen is compiled with, and convgen_add_library, which says it once.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

add_library(convgen_options INTERFACE)
target_compile_options(convgen_options INTERFACE
  -Wall -Wextra -Wshadow -Werror=unused-result
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>
  # g++ 12 warns of its own std::string operator+ (GCC bug 105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
  $<$<BOOL:${CONVGEN_WERROR}>:-Werror>)
if(CONVGEN_SANITIZER)
  target_compile_options(convgen_options INTERFACE
    -fsanitize=${CONVGEN_SANITIZER} -fno-omit-frame-pointer)
  target_link_options(convgen_options INTERFACE -fsanitize=${CONVGEN_SANITIZER})
endif()
if(CONVGEN_SANITIZER MATCHES "address")
  # Kernels, which no compiler of the build sees, are instrumented too: runtime/sanitizer.h.
  target_compile_definitions(convgen_options INTERFACE CONVGEN_SANITIZE_ADDRESS)
endif()
if(CONVGEN_SANITIZER MATCHES "undefined")
  target_compile_options(convgen_options INTERFACE
    -fno-sanitize-recover=all
    # Not part of `undefined`: a number of a text or file that no integer can hold.
    -fsanitize=float-cast-overflow
    # The standard library's preconditions, such as an index within its vector.
    $<$<COMPILE_LANGUAGE:CXX>:-D_GLIBCXX_ASSERTIONS>
    # clang's alone: a call through a pointer reads the type before the function, where code of the
    # JIT has none.
    $<$<CXX_COMPILER_ID:Clang>:-fno-sanitize=function>)
endif()
if(CONVGEN_COVERAGE)
  target_compile_options(convgen_options INTERFACE
    -fprofile-instr-generate -fcoverage-mapping
    # Counters lie in a mapped file, so that those of forked processes count too.
    -mllvm -runtime-counter-relocation)
  target_link_options(convgen_options INTERFACE -fprofile-instr-generate)
endif()

# convgen_add_library(ir SOURCES a.cpp HEADERS a.h): the target convgen_ir, alias convgen::ir,
# whose headers are included as "ir/a.h".
function(convgen_add_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;HEADERS" ${ARGN})
  add_library(convgen_${name} ${arg_SOURCES})
  add_library(convgen::${name} ALIAS convgen_${name})
  target_sources(convgen_${name} PUBLIC
    FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${arg_HEADERS})
  target_link_libraries(convgen_${name} PRIVATE convgen_options)
endfunction()
