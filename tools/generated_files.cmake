# SPDX-License-Identifier: Apache-2.0
# The manual page and the shells' completions: the tool that was built prints them, and
# cmake --install puts them where man, bash, zsh and fish look.
include(GNUInstallDirs)

# convgen_print(FILE DESTINATION ARGUMENT...): what `convgen ARGUMENT...` prints, as DESTINATION/FILE.
function(convgen_print file destination)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${file})
  add_custom_command(OUTPUT ${output}
    COMMAND convgen_tool ${ARGN} > ${output}
    DEPENDS convgen_tool COMMENT "Printing ${file}" VERBATIM)
  install(FILES ${output} DESTINATION ${destination})
  set_property(GLOBAL APPEND PROPERTY convgen_printed ${output})
endfunction()

convgen_print(convgen.1 ${CMAKE_INSTALL_MANDIR}/man1 man)
convgen_print(convgen ${CMAKE_INSTALL_DATADIR}/bash-completion/completions completion bash)
convgen_print(_convgen ${CMAKE_INSTALL_DATADIR}/zsh/site-functions completion zsh)
convgen_print(convgen.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d completion fish)

get_property(printed GLOBAL PROPERTY convgen_printed)
add_custom_target(convgen_printed_files ALL DEPENDS ${printed})
