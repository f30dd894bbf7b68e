# SPDX-License-Identifier: Apache-2.0
# check_short(SOURCE): a first program in C++ takes at most 15 lines.
function(check_short source)
  file(STRINGS ${source} lines)
  list(LENGTH lines count)
  if(count GREATER 15)
    message(FATAL_ERROR "${source} has ${count} lines")
  endif()
endfunction()

# check_hello(PROGRAM LIBRARY): what a program against an installed convgen must be: right, and
# without LLVM where it is made with core.
function(check_hello program library)
  execute_process(COMMAND ${program} OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  set(expected_core "generic: 0 1 7 7 5 13 23 19 31")
  set(expected_jit "jit: 0 1 7 7 5 13 23 19 31")
  if(NOT output STREQUAL expected_${library})
    message(FATAL_ERROR "${program} printed \"${output}\", expected \"${expected_${library}}\"")
  endif()
  execute_process(COMMAND ldd ${program} OUTPUT_VARIABLE libraries COMMAND_ERROR_IS_FATAL ANY)
  if(library STREQUAL "core" AND libraries MATCHES "LLVM")
    message(FATAL_ERROR "${program} loads LLVM:\n${libraries}")
  elseif(library STREQUAL "jit" AND NOT libraries MATCHES "LLVM")
    message(FATAL_ERROR "ldd does not see LLVM where it must be:\n${libraries}")
  endif()
endfunction()
