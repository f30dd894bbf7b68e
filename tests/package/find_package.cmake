# SPDX-License-Identifier: Apache-2.0
# cmake -DPREFIX=... -DLIBRARY=core|jit -DKIND=shared|static -DWORK=... -DCXX=... -P: builds the
# project in consumer/ by find_package, and runs it.
include(${CMAKE_CURRENT_LIST_DIR}/check_hello.cmake)
set(source ${CMAKE_CURRENT_LIST_DIR}/consumer)
file(REMOVE_RECURSE ${WORK})
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${source} -B ${WORK} -G Ninja -DCMAKE_CXX_COMPILER=${CXX}
    -DCMAKE_PREFIX_PATH=${PREFIX} -DLIBRARY=${LIBRARY} -DKIND=${KIND}
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}
  OUTPUT_VARIABLE output RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${output}")
endif()
check_short(${source}/hello_${LIBRARY}.cpp)
check_hello(${WORK}/hello ${LIBRARY})
if(LIBRARY STREQUAL "jit")
  check_hello(${WORK}/hello_c ${LIBRARY})
endif()
