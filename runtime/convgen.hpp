// SPDX-License-Identifier: Apache-2.0
// All of convgen's C++ API that an application needs; docs/embedding.md.
#pragma once

#include "ir/benchdnn.h"
#include "ir/conv_spec.h"
#include "ir/interpreter.h"
#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/kernel.h"
#include "runtime/thread_pool.h"
#include "runtime/tune.h"
#include "runtime/verify.h"
