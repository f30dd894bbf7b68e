# SPDX-License-Identifier: Apache-2.0
# convgen_add_bundle(net CONVS net.conv [MCPU x86-64-v2 x86-64-v3] [MTRIPLE T] [MATTR +v]
#                    [CONSTANT_WEIGHTS w.npy] [TOOL path])
# makes a target `net` to link, and include "net.h" from, whose library convgen makes at build time from
# the convolutions of files. docs/ahead_of_time.md.
function(convgen_add_bundle name)
  cmake_parse_arguments(arg "" "MTRIPLE;MATTR;CONSTANT_WEIGHTS;TOOL" "CONVS;MCPU" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_CONVS)
    message(FATAL_ERROR "convgen_add_bundle(${name}): expected CONVS, found ${ARGN}")
  endif()
  if(arg_TOOL)
    set(tool ${arg_TOOL})
  elseif(TARGET convgen_tool)
    set(tool convgen_tool)  # CMake puts its path in place, and builds it first
  else()
    find_program(CONVGEN_TOOL convgen REQUIRED)
    set(tool ${CONVGEN_TOOL})
  endif()
  set(directory ${CMAKE_CURRENT_BINARY_DIR}/${name}_bundle)
  set(files)
  set(options)
  foreach(file IN LISTS arg_CONVS)
    get_filename_component(path ${file} ABSOLUTE)
    list(APPEND files ${path})
    list(APPEND options @${path})
  endforeach()
  if(arg_MCPU)
    list(JOIN arg_MCPU "," levels)
    list(APPEND options --mcpu=${levels})
  endif()
  if(arg_MTRIPLE)
    list(APPEND options --mtriple=${arg_MTRIPLE})
  endif()
  if(arg_MATTR)
    list(APPEND options --mattr=${arg_MATTR})
  endif()
  if(arg_CONSTANT_WEIGHTS)
    get_filename_component(path ${arg_CONSTANT_WEIGHTS} ABSOLUTE)
    list(APPEND files ${path})
    list(APPEND options --constant-weights=${path})
  endif()
  file(MAKE_DIRECTORY ${directory})
  add_custom_command(
    OUTPUT ${directory}/lib${name}.a ${directory}/${name}.h
    COMMAND ${tool} bundle ${options} -o ${directory}/lib${name}.a
    DEPENDS ${files} ${tool}
    VERBATIM)
  add_custom_target(${name}_bundle DEPENDS ${directory}/lib${name}.a ${directory}/${name}.h)
  add_library(${name} STATIC IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES
    IMPORTED_LOCATION ${directory}/lib${name}.a INTERFACE_INCLUDE_DIRECTORIES ${directory})
  add_dependencies(${name} ${name}_bundle)
endfunction()
