// Part of noise.cpp: how a plane is cut into tiles, and how their values are read.

#include <stdint.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace {

constexpr int64_t CHUNK = 1024;  // values that go through all steps together; a multiple of every vector's length

// Compilers make single vector instructions of these; they lose a NaN (see `spread_nan`).
inline float minimum(float a, float b) { return a < b ? a : b; }
inline float maximum(float a, float b) { return a > b ? a : b; }

// Loops that do the work are never inlined: only then do compilers see that their arguments do not overlap.
#define KERNEL __attribute__((noinline))
#define INLINE __attribute__((always_inline))

// One call, filled in by cpu.py. No weight: the median alone is wanted. No index: no gradient will follow.
struct Task {
  const float *x, *grad, *weight, *bias;
  float *out;
  uint8_t *index;
  float *grad_weight, *grad_bias;
  int64_t planes, height, width, step, channels, size, threads;
};

// 1 / (1 + exp(-x)), relative error below 1e-6; NaN stays NaN.
inline float sigmoid(float x) {
  float z = -x;
  z = z > 88 ? 88 : z;
  z = z < -87 ? -87 : z;
  const float rounded = z * 1.44269504f + 12582912;  // the low bits now hold n of exp(z) = 2^n * exp(rest)
  const float n = rounded - 12582912;
  const float rest = (z - n * 0.693359375f) + n * 2.12194440e-4f;
  const float high = ((1.98412698e-4f * rest + 1.38888889e-3f) * rest + 8.33333333e-3f) * rest + 4.16666667e-2f;
  const float p = (((high * rest + 1.66666667e-1f) * rest + 0.5f) * rest + 1) * rest + 1;
  int32_t bits;
  std::memcpy(&bits, &rounded, sizeof bits);
  bits = (bits - 0x4b400000 + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return 1 / (1 + p * power);
}

// Positions beyond the border mirror those inside it; the border itself is not repeated.
inline int64_t mirror(int64_t i, int64_t size) { return i < 0 ? -i : i < size ? i : 2 * (size - 1) - i; }

// A thread's memory, kept from call to call: n values that begin at a cache line, with `slack` on both sides, which
// chunks may read and write but whose values are never used.
template <class T>
T *memory(int slot, int64_t n, int64_t slack) {
  static thread_local std::vector<T> slots[8];
  const int64_t line = 64 / sizeof(T), front = (slack + line - 1) / line * line, size = front + n + slack + line;
  auto &s = slots[slot];
  if (int64_t(s.size()) < size) s = std::vector<T>(size);
  return s.data() + front + (64 - reinterpret_cast<uintptr_t>(s.data()) % 64) % 64 / sizeof(T);
}

struct Span {
  int64_t first, last;
  int64_t size() const { return last - first; }
  Span grown(int64_t by) const { return {first - by, last + by}; }
  Span within(int64_t size) const { return {std::max<int64_t>(first, 0), std::min(last, size)}; }
};

// How a plane is cut depends on its shape alone, so that the sums of gradients, one for each tile, do not depend on the
// number of threads. No tile is thinner than the border of a window.
struct Tiles {
  Tiles(const Task &t, int64_t radius) : height(t.height), width(t.width) {
    columns = std::max<int64_t>(1, width / std::max(8 * radius, 2048 / t.step));
    rows = std::max<int64_t>(1, height / std::max(8 * radius, 32768 / (width / columns * t.step)));
    count = t.planes * rows * columns;
  }
  int64_t plane(int64_t tile) const { return tile / (rows * columns); }
  Span y(int64_t tile) const { return part(tile / columns % rows, rows, height); }
  Span x(int64_t tile) const { return part(tile % columns, columns, width); }
  // The most values that a tile has when it is grown by `by` rows and columns on each side.
  int64_t values(int64_t by, int64_t step) const {
    return (height / rows + 1 + 2 * by) * (width / columns + 1 + 2 * by) * step;
  }

  int64_t height, width, rows, columns, count;

 private:
  static Span part(int64_t i, int64_t parts, int64_t size) { return {i * size / parts, (i + 1) * size / parts}; }
};

// A flat copy of rows y and columns x of a plane, which may reach beyond its border.
struct Block {
  Block(Span y, Span x, int64_t step) : y(y), x(x), step(step), stride(x.size() * step) {}
  int64_t at(int64_t row, int64_t column) const { return (row - y.first) * stride + (column - x.first) * step; }
  int64_t size() const { return y.size() * stride; }

  Span y, x;
  int64_t step, stride;
};

// Copy the block from a plane of `from`; beyond the image come `radius` mirrored values, then zeros.
template <class T>
void read(const Task &t, const Block &block, int64_t plane, const T *from, int64_t radius, T *to) {
  const int64_t step = t.step;
  const Span inside = block.x.within(t.width);
  for (int64_t y = block.y.first; y < block.y.last; y++) {
    if (y < -radius || y >= t.height + radius) {
      std::fill_n(to + block.at(y, block.x.first), block.stride, T(0));
      continue;
    }
    const T *const row = from + (plane * t.height + mirror(y, t.height)) * t.width * step;
    const auto pixel = [&](int64_t x) {
      if (x < -radius || x >= t.width + radius) std::fill_n(to + block.at(y, x), step, T(0));
      else std::copy_n(row + mirror(x, t.width) * step, step, to + block.at(y, x));
    };
    for (int64_t x = block.x.first; x < inside.first; x++) pixel(x);
    std::copy_n(row + inside.first * step, inside.size() * step, to + block.at(y, inside.first));
    for (int64_t x = inside.last; x < block.x.last; x++) pixel(x);
  }
}

}  // namespace
