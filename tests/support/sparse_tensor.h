// SPDX-License-Identifier: Apache-2.0
// Tensors of many GiB that take next to no memory: pages that nobody wrote are all the same page of
// zeros. An unreadable page stands behind the last element.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace convgen::testing {

class SparseTensor {
 public:
  explicit SparseTensor(int64_t elements) : elements_(elements) {
    const int64_t bytes = elements * static_cast<int64_t>(sizeof(float));
    mapping_bytes_ = static_cast<size_t>((bytes + page_ - 1) / page_ * page_ + page_);
    mapping_ = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping_ == MAP_FAILED) return;
    char* const guard = static_cast<char*>(mapping_) + mapping_bytes_ - page_;
    madvise(mapping_, mapping_bytes_, MADV_NOHUGEPAGE);  // a write is a page, not 2 MiB
    if (mprotect(guard, static_cast<size_t>(page_), PROT_NONE) != 0)
      throw std::runtime_error("no page may be protected");
    data_ = reinterpret_cast<float*>(guard - bytes);
  }
  ~SparseTensor() {
    if (mapping_ != MAP_FAILED) munmap(mapping_, mapping_bytes_);
  }
  SparseTensor(const SparseTensor&) = delete;
  SparseTensor& operator=(const SparseTensor&) = delete;

  // False where the system refuses so many addresses.
  bool exists() const { return data_ != nullptr; }
  float* data() const { return data_; }
  int64_t elements() const { return elements_; }

  void make_read_only() {
    if (mprotect(mapping_, mapping_bytes_ - static_cast<size_t>(page_), PROT_READ) != 0)
      throw std::runtime_error("no page may be protected");
  }

  // Where elements that are not 0 are, in ascending order.
  std::vector<int64_t> nonzero_places() const {
    const auto pages = mapping_bytes_ / static_cast<size_t>(page_) - 1;
    std::vector<unsigned char> resident(pages);
    if (mincore(mapping_, pages * static_cast<size_t>(page_), resident.data()) != 0)
      throw std::runtime_error("mincore");
    std::vector<int64_t> places;
    const int64_t per_page = page_ / static_cast<int64_t>(sizeof(float));
    const int64_t first = data_ - static_cast<float*>(mapping_);  // floats before the tensor
    for (size_t page = 0; page < pages; ++page) {
      if ((resident[page] & 1) == 0) continue;
      const int64_t begin = static_cast<int64_t>(page) * per_page - first;
      for (int64_t i = begin < 0 ? 0 : begin; i < begin + per_page && i < elements_; ++i)
        if (data_[i] != 0) places.push_back(i);
    }
    return places;
  }

 private:
  int64_t page_ = sysconf(_SC_PAGESIZE);
  int64_t elements_;
  void* mapping_ = MAP_FAILED;
  size_t mapping_bytes_ = 0;
  float* data_ = nullptr;
};

}  // namespace convgen::testing
