// SPDX-License-Identifier: Apache-2.0
// The floating-point modes of a thread: rounding, flush-to-zero, which exceptions trap. A caller
// may have set any. What is kept for others must not depend on them, and what it asks of other
// threads must be done by them too.
#pragma once

#include <fenv.h>

namespace convgen {

// The modes a program starts with until the end of the scope, then those before, flags among them.
class DefaultFloatModes {
 public:
  DefaultFloatModes() {
    fegetenv(&before_);
    fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatModes() { fesetenv(&before_); }
  DefaultFloatModes(const DefaultFloatModes&) = delete;
  DefaultFloatModes& operator=(const DefaultFloatModes&) = delete;

 private:
  fenv_t before_;
};

// The modes of the thread that made it, for others to work by.
class FloatModes {
 public:
  FloatModes() { fegetmode(&modes_); }

  // Those modes until the end of the scope. Flags stay as the work leaves them.
  class Scope {
   public:
    explicit Scope(const FloatModes& modes) {
      fegetmode(&before_);
      fesetmode(&modes.modes_);
    }
    ~Scope() { fesetmode(&before_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    femode_t before_;
  };

 private:
  femode_t modes_;
};

}  // namespace convgen
