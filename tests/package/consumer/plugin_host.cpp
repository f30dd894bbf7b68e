// plugin_host PLUGIN reload        loads the plug-in, runs and unloads it, 100 times
// plugin_host PLUGIN exit          ends while it compiles
// plugin_host PLUGIN llvm-before   loads another LLVM for all to see, then the plug-in
// plugin_host PLUGIN llvm-after    the other way round
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

template <typename Function>
Function find(void* library, const char* name) {
  auto* address = reinterpret_cast<Function>(dlsym(library, name));
  if (address == nullptr) std::printf("%s\n", dlerror()), std::exit(1);
  return address;
}

void* load(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) std::printf("%s\n", dlerror()), std::exit(1);
  return library;
}

int call(void* plugin, const char* name) { return find<int (*)()>(plugin, name)(); }

int reload(const char* path) {
  for (int i = 0; i < 100; ++i) {
    void* plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin == nullptr) return std::printf("%s\n", dlerror()), 1;
    if (call(plugin, "plugin_run") != 0) return std::printf("wrong at load %d\n", i), 1;
    if (dlclose(plugin) != 0) return 1;
    if (dlopen("libconvgen_jit.so.0.1", RTLD_NOW | RTLD_NOLOAD) != nullptr)
      return std::printf("the library was not unloaded\n"), 1;
  }
  return 0;
}

void* load_other_llvm() {
  for (const char* name : {"libLLVM-15.so.1", "libLLVM-14.so.1", "libLLVM-16.so.1",
                           "libLLVM-17.so.1", "libLLVM.so.18.1", "libLLVM.so.20.1"})
    if (void* llvm = dlopen(name, RTLD_NOW | RTLD_GLOBAL)) return llvm;
  std::printf("SKIP: no LLVM but 19 is installed (Debian: libllvm15)\n");
  std::exit(0);
}

// Makes a module by the other LLVM and prints it, through its C API.
bool other_llvm_works(void* llvm) {
  void* context = find<void* (*)()>(llvm, "LLVMContextCreate")();
  void* module = find<void* (*)(const char*, void*)>(llvm, "LLVMModuleCreateWithNameInContext")(
      "of_the_other", context);
  char* text = find<char* (*)(void*)>(llvm, "LLVMPrintModuleToString")(module);
  const bool right = std::strstr(text, "of_the_other") != nullptr;
  find<void (*)(char*)>(llvm, "LLVMDisposeMessage")(text);
  find<void (*)(void*)>(llvm, "LLVMDisposeModule")(module);
  find<void (*)(void*)>(llvm, "LLVMContextDispose")(context);
  return right;
}

int with_other_llvm(const char* path, bool before) {
  void* llvm = before ? load_other_llvm() : nullptr;
  if (before && !other_llvm_works(llvm)) return 1;
  void* plugin = load(path);
  if (!before && call(plugin, "plugin_run") != 0) return 1;
  if (!before) llvm = load_other_llvm();
  if (call(plugin, "plugin_run") != 0) return std::printf("the kernel is wrong\n"), 1;
  return other_llvm_works(llvm) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string what = argv[2];
  if (what == "reload") return reload(argv[1]);
  if (what == "exit") return call(load(argv[1]), "plugin_leave_work");
  if (what == "llvm-before") return with_other_llvm(argv[1], true);
  if (what == "llvm-after") return with_other_llvm(argv[1], false);
  return 2;
}
