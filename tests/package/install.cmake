# SPDX-License-Identifier: Apache-2.0
# cmake -DBUILD=... -DPREFIX=... -P: installs the build into an empty prefix.
file(REMOVE_RECURSE ${PREFIX})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX}
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
