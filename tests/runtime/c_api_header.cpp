// SPDX-License-Identifier: Apache-2.0
// The same file as C++.
#include "tests/runtime/c_api_header.c"
