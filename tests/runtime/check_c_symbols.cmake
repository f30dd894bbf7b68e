# SPDX-License-Identifier: Apache-2.0
# cmake -DNM=... -DHEADER=... -DLIBRARY=... -DPROGRAM=... -P: a library that holds the C interface
# exports the functions of convgen.h, and no C name beside them; and the test program calls all.
file(STRINGS ${HEADER} declared REGEX "^CONVGEN_C_API ")
list(TRANSFORM declared REPLACE "^CONVGEN_C_API .*(convgen_[a-z_]+)\\(.*" "\\1")
list(SORT declared)
list(LENGTH declared count)
if(count LESS 30)
  message(FATAL_ERROR "only ${count} functions found in ${HEADER}")
endif()

# names(OUT FILE ARGS...): the symbols that nm ARGS finds, without those of C++ and of the toolchain.
function(names out file)
  execute_process(COMMAND ${NM} ${ARGN} --format=posix ${file} OUTPUT_VARIABLE text
                  COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" lines "${text}")
  list(TRANSFORM lines REPLACE " .*" "")
  list(FILTER lines EXCLUDE REGEX "^_|:$")
  list(SORT lines)
  set(${out} ${lines} PARENT_SCOPE)
endfunction()

names(exported ${LIBRARY} --dynamic --defined-only)
if(NOT exported STREQUAL declared)
  message(FATAL_ERROR "declared in convgen.h: ${declared}\nexported: ${exported}")
endif()

names(called ${PROGRAM} --undefined-only)
list(FILTER called INCLUDE REGEX "^convgen_")
if(NOT called STREQUAL declared)
  list(REMOVE_ITEM declared ${called})
  message(FATAL_ERROR "the test program never calls: ${declared}")
endif()
