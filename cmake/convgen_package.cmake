# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` installs: two libraries, each shared and static, of the objects that the
# folders' libraries have; headers, the command, and what find_package and pkg-config read.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(convgen_include_dir ${CMAKE_INSTALL_INCLUDEDIR}/convgen)
set(convgen_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/convgen)
set(convgen_generated_dir ${PROJECT_BINARY_DIR}/package)

# Before 1.0 a minor version may change the API, and with it the ABI.
set(CONVGEN_ABI_VERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(CONVGEN_SYMBOL_VERSION CONVGEN_${CONVGEN_ABI_VERSION})
set(convgen_exports ${convgen_generated_dir}/exports.map)
configure_file(${CMAKE_CURRENT_LIST_DIR}/exports.map ${convgen_exports} @ONLY)

# convgen_add_package_library(core FOLDERS ir runtime DEPENDENCIES fmt::fmt): libconvgen_core.so and
# libconvgen_core.a, exported as convgen::core_shared and convgen::core_static.
function(convgen_add_package_library name)
  cmake_parse_arguments(arg "" "" "FOLDERS;DEPENDENCIES" ${ARGN})
  list(TRANSFORM arg_FOLDERS REPLACE "(.+)" "$<TARGET_OBJECTS:convgen_\\1>" OUTPUT_VARIABLE objects)
  foreach(kind shared static)
    string(TOUPPER ${kind} KIND)
    set(library convgen_${name}_${kind})
    add_library(${library} ${KIND} ${objects})
    set_target_properties(${library} PROPERTIES
      OUTPUT_NAME convgen_${name} EXPORT_NAME ${name}_${kind} LINKER_LANGUAGE CXX)
    target_compile_features(${library} INTERFACE cxx_std_20)
    target_include_directories(${library} INTERFACE $<INSTALL_INTERFACE:${convgen_include_dir}>)
    target_link_libraries(${library} PRIVATE ${arg_DEPENDENCIES})
    install(TARGETS ${library} EXPORT convgen_${name}_${kind})
    install(EXPORT convgen_${name}_${kind}
      NAMESPACE convgen:: DESTINATION ${convgen_cmake_dir})
  endforeach()
  set_target_properties(convgen_${name}_shared PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${CONVGEN_ABI_VERSION}
    INSTALL_RPATH "$ORIGIN" LINK_DEPENDS ${convgen_exports})
  target_link_options(convgen_${name}_shared PRIVATE
    -Wl,--version-script=${convgen_exports} -Wl,--no-undefined
    -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,-z,text)
endfunction()

convgen_add_package_library(core
  FOLDERS ir generic runtime
  DEPENDENCIES fmt::fmt Pthreadpool::pthreadpool Threads::Threads)
convgen_add_package_library(jit
  FOLDERS codegen jit c
  DEPENDENCIES fmt::fmt LLVM Threads::Threads)
target_link_libraries(convgen_jit_shared PUBLIC convgen_core_shared)
target_link_libraries(convgen_jit_static PUBLIC convgen_core_static)

# The headers that users include, under the names they have here.
foreach(folder ir runtime jit)
  get_target_property(headers convgen_${folder} HEADER_SET)
  list(APPEND convgen_headers ${headers})
endforeach()
foreach(header target core_model schedule select_schedule kernel_abi compile)
  list(APPEND convgen_headers ${PROJECT_SOURCE_DIR}/codegen/${header}.h)
endforeach()
foreach(header ${convgen_headers})
  cmake_path(ABSOLUTE_PATH header BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
  cmake_path(GET header PARENT_PATH folder)
  cmake_path(GET folder FILENAME folder)
  install(FILES ${header} DESTINATION ${convgen_include_dir}/${folder})
endforeach()
install(
  FILES ${PROJECT_SOURCE_DIR}/runtime/convgen.hpp ${PROJECT_SOURCE_DIR}/runtime/convgen.h
  DESTINATION ${convgen_include_dir})

if(TARGET convgen_tool)
  install(TARGETS convgen_tool)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# find_package
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/convgen-config.cmake.in ${convgen_generated_dir}/convgen-config.cmake
  INSTALL_DESTINATION ${convgen_cmake_dir})
write_basic_package_version_file(
  ${convgen_generated_dir}/convgen-config-version.cmake COMPATIBILITY SameMinorVersion)
install(
  FILES
    ${convgen_generated_dir}/convgen-config.cmake
    ${convgen_generated_dir}/convgen-config-version.cmake
    ${CMAKE_CURRENT_LIST_DIR}/FindPthreadpool.cmake
    ${CMAKE_CURRENT_LIST_DIR}/convgen_add_bundle.cmake
  DESTINATION ${convgen_cmake_dir})

# pkg-config
set(convgen_pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH CONVGEN_PC_PREFIX /${convgen_pc_dir} /)
string(REGEX REPLACE "/$" "" CONVGEN_PC_PREFIX ${CONVGEN_PC_PREFIX})
get_target_property(CONVGEN_PC_LLVM LLVM LOCATION)
foreach(file convgen-core.pc convgen.pc)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${file}.in ${convgen_generated_dir}/${file} @ONLY)
  install(FILES ${convgen_generated_dir}/${file} DESTINATION ${convgen_pc_dir})
endforeach()
