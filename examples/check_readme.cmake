# SPDX-License-Identifier: Apache-2.0
# cmake -DROOT=... -P: fails where README.md no longer quotes 01_hello_conv/main.cpp word for word.
file(READ ${ROOT}/README.md readme)
file(READ ${ROOT}/examples/01_hello_conv/main.cpp program)
string(FIND "${program}" "#include" begin)
string(SUBSTRING "${program}" ${begin} -1 program)
string(FIND "${readme}" "```cpp\n${program}```" found)
if(found EQUAL -1)
  message(FATAL_ERROR "README.md does not quote examples/01_hello_conv/main.cpp")
endif()
