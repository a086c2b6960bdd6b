// Median filter and noise enhancement on the CPU; lib/ops/noise_cpu.py builds and calls it, lib/ops/noise.py documents
// it. A contiguous image holds its columns one value apart, a channels_last image C values apart; with that distance,
// `step`, and with planes of height x width x step values, one code serves both formats.
// The image is cut into tiles that fit into a core's own cache. A tile is copied, with its border, into a flat block of
// float32; a neighbour is then a constant distance away everywhere, and long loops without cases do the work.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

namespace {

using std::int64_t;
using std::uint8_t;
using std::uint16_t;
using std::uint32_t;

constexpr int64_t CHUNK = 1024;  // values that go through all steps together; a multiple of every vector's length

// Written so that compilers make single vector instructions of them; they lose a NaN (see `spread_nan`).
inline float minimum(float a, float b) { return a < b ? a : b; }
inline float maximum(float a, float b) { return a > b ? a : b; }

// The loops that do the work stay functions of their own: only then do compilers see that their arguments do not overlap.
#define KERNEL __attribute__((noinline))

// Sort the K values above each other for `count` rows of n columns: rows[y] .. rows[y + K - 1] to row y of K planes.
template <int K>
KERNEL void sort_columns(const float *const *rows, int64_t count, int64_t n, float *sorted, int64_t plane,
                         int64_t stride);
// The median of each window of K sorted columns, `step` apart, for `count` rows of n values.
template <int K>
KERNEL void median_of_columns(const float *sorted, int64_t plane, int64_t stride, int64_t step, int64_t count,
                              int64_t n, float *median, int64_t median_stride);

#include "networks.h"  // both, for K = 3, 5 and 7, written by lib/ops/noise_cpu.py from lib/ops/selection.py

enum Type { FLOAT32, BFLOAT16, FLOAT16 };

struct Task {
  const void *x, *grad;
  const float *weight, *bias;
  void *out;
  uint8_t *index;
  float *grad_weight, *grad_bias;
  int64_t planes, height, width, step, channels;
  int type, threads;
};

template <class To, class From>
inline To bits(From value) {
  static_assert(sizeof(To) == sizeof(From), "");
  To result;
  std::memcpy(&result, &value, sizeof(To));
  return result;
}

inline float from_bfloat16(uint16_t value) { return bits<float>(uint32_t(value) << 16); }

inline uint16_t to_bfloat16(float value) {
  const uint32_t b = bits<uint32_t>(value);
  return value != value ? 0x7fc0 : (b + 0x7fff + ((b >> 16) & 1)) >> 16;
}

inline float from_float16(uint16_t value) {
  const uint32_t magnitude = value & 0x7fff;
  const float scaled = bits<float>(magnitude << 13) * 0x1p112f;  // moves the exponent's bias from 15 to 127
  const uint32_t b = magnitude < 0x7c00 ? bits<uint32_t>(scaled) : (magnitude << 13) | 0x7f800000;
  return bits<float>(b | uint32_t(value & 0x8000) << 16);
}

inline uint16_t to_float16(float value) {
  const uint32_t b = bits<uint32_t>(value), magnitude = b & 0x7fffffff;
  const uint32_t normal = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  const uint32_t subnormal = bits<uint32_t>(bits<float>(magnitude) + 0.5f) - 0x3f000000;  // the addition rounds
  const uint32_t finite = magnitude < 0x38800000 ? subnormal : std::min(normal, 0x7c00u);
  return (magnitude > 0x7f800000 ? 0x7e00 : magnitude >= 0x47800000 ? 0x7c00 : finite) | (b >> 16 & 0x8000);
}

// 1 / (1 + exp(-x)), relative error below 1e-6; NaN stays NaN.
inline float sigmoid(float x) {
  float z = -x;
  z = z > 88 ? 88 : z;
  z = z < -87 ? -87 : z;
  const float rounded = z * 1.44269504f + 12582912;  // the low bits now hold n of exp(z) = 2^n * exp(rest)
  const float n = rounded - 12582912;
  const float rest = (z - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.98412698e-4f;
  p = p * rest + 1.38888889e-3f;
  p = p * rest + 8.33333333e-3f;
  p = p * rest + 4.16666667e-2f;
  p = p * rest + 1.66666667e-1f;
  p = p * rest + 0.5f;
  p = p * rest + 1;
  p = p * rest + 1;
  const float power = bits<float>((bits<int32_t>(rounded) - 0x4b400000 + 127) << 23);
  return 1 / (1 + p * power);
}

// Positions beyond the border mirror those inside it; the border itself is not repeated.
inline int64_t mirror(int64_t i, int64_t size) { return i < 0 ? -i : i < size ? i : 2 * (size - 1) - i; }

inline void load(uint8_t *to, const uint8_t *from, int64_t n, int) { std::memcpy(to, from, n); }

inline void load(float *to, const float *from, int64_t n, int) { std::memcpy(to, from, n * sizeof(float)); }

void load(float *__restrict to, const uint16_t *__restrict from, int64_t n, int type) {
  if (type == BFLOAT16)
    for (int64_t j = 0; j < n; j++) to[j] = from_bfloat16(from[j]);
  else
    for (int64_t j = 0; j < n; j++) to[j] = from_float16(from[j]);
}

void store(void *to, int64_t offset, const float *__restrict from, int64_t n, int type) {
  uint16_t *__restrict half = static_cast<uint16_t *>(to) + offset;
  if (type == FLOAT32)
    std::memcpy(static_cast<float *>(to) + offset, from, n * sizeof(float));
  else if (type == BFLOAT16)
    for (int64_t j = 0; j < n; j++) half[j] = to_bfloat16(from[j]);
  else
    for (int64_t j = 0; j < n; j++) half[j] = to_float16(from[j]);
}

// A thread's working memory, kept from call to call: n values from a cache line on, and on both sides `slack` for what
// chunks read and write beyond the end and nobody uses.
template <class T>
T *memory(int slot, int64_t n, int64_t slack) {
  static thread_local struct {
    std::unique_ptr<T[]> start;
    int64_t size = 0;
  } slots[8];
  auto &s = slots[slot];
  const int64_t line = 64 / sizeof(T), front = (slack + line - 1) / line * line;
  if (s.size < front + n + slack) {
    s.size = front + n + slack;
    s.start.reset(new T[s.size + line]());
  }
  return s.start.get() + front + (64 - reinterpret_cast<uintptr_t>(s.start.get()) % 64) % 64 / sizeof(T);
}

struct Span {
  int64_t first, last;
  int64_t size() const { return last - first; }
  Span grown(int64_t by) const { return {first - by, last + by}; }
  Span within(int64_t size) const { return {std::max<int64_t>(first, 0), std::min(last, size)}; }
};

// How a plane is cut depends on its shape alone, so that the sums of gradients, one a tile, do not depend on the number
// of threads. No tile is thinner than the border of a window.
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

// Copy the block from a plane of `from`; beyond the image, up to `radius`, what is mirrored there, else zeros.
template <class To, class From>
void read(const Task &t, const Block &block, int64_t plane, const From *from, int64_t radius, To *to) {
  const int64_t step = t.step;
  const Span inside = block.x.within(t.width);
  for (int64_t y = block.y.first; y < block.y.last; y++) {
    if (y < -radius || y >= t.height + radius) {
      std::fill_n(to + block.at(y, block.x.first), block.stride, To(0));
      continue;
    }
    const From *const row = from + (plane * t.height + mirror(y, t.height)) * t.width * step;
    const auto pixel = [&](int64_t x) {
      To *const there = to + block.at(y, x);
      if (x < -radius || x >= t.width + radius)
        std::fill_n(there, step, To(0));
      else
        load(there, row + mirror(x, t.width) * step, step, t.type);
    };
    for (int64_t x = block.x.first; x < inside.first; x++) pixel(x);
    load(to + block.at(y, inside.first), row + inside.first * step, inside.size() * step, t.type);
    for (int64_t x = inside.last; x < block.x.last; x++) pixel(x);
  }
}

void read(const Task &t, const Block &block, int64_t plane, const void *from, int64_t radius, float *to) {
  if (t.type == FLOAT32)
    read(t, block, plane, static_cast<const float *>(from), radius, to);
  else
    read(t, block, plane, static_cast<const uint16_t *>(from), radius, to);
}

KERNEL bool any_nan(const float *values, int64_t n) {
  int found = 0;
  for (int64_t j = 0; j < n; j++) found |= values[j] != values[j];
  return found;
}

// The network's minima and maxima lose a NaN. With one in the tile, each window that holds it is given it back here.
template <int K>
KERNEL void spread_nan(const float *x, int64_t stride, int64_t step, float *__restrict median) {
  for (int i = 0; i < K * K; i++) {
    const float *const v = x + i / K * stride + i % K * step;
    for (int64_t j = 0; j < CHUNK; j++) median[j] = v[j] != v[j] ? v[j] : median[j];
  }
}

// Which neighbour is the median: the first in reading order that equals it, or for a NaN the first that is one.
template <int K, bool Nan>
KERNEL void find(const float *__restrict x, int64_t stride, int64_t step, const float *__restrict median,
          uint8_t *__restrict index) {
  for (int64_t j = 0; j < CHUNK; j++) {
    const float m = median[j];
    int found = 0;
#pragma GCC unroll 49
    for (int i = K * K - 1; i >= 0; i--) {
      const float v = x[j + i / K * stride + i % K * step];
      found = (v == m) | (Nan & (v != v)) ? i : found;
    }
    index[j] = found;
  }
}

KERNEL void enhance(const float *__restrict x, const float *median, const float *__restrict weight,
             const float *__restrict bias, float *out, int64_t n) {
#pragma GCC ivdep
  for (int64_t j = 0; j < n; j++) out[j] = x[j] + weight[j] * sigmoid(x[j] - median[j]) + bias[j];
}

// The weights of a plane's channels, one after the other, again and again: enough for a chunk from any channel on.
void repeat(const Task &t, const float *from, int64_t plane, float *to) {
  if (t.step == 1) return (void)std::fill_n(to, CHUNK + 1, from[plane % t.channels]);
  for (int64_t j = 0; j < CHUNK + t.step; j += t.step) std::copy_n(from, std::min(t.step, CHUNK + t.step - j), to + j);
}

template <int K>
struct Forward {
  static constexpr int64_t radius = K / 2;

  explicit Forward(const Task &t)
      : t(t), tiles(t, radius), row(CHUNK + 2 * radius * t.step) {
    const int64_t size = tiles.values(radius, t.step), slack = CHUNK + K * t.step;
    x = memory<float>(0, size, slack);
    result = memory<float>(1, size, slack);
    sorted = memory<float>(2, K * row, 0);
    median = memory<float>(3, CHUNK, 0);
    weight = memory<float>(4, CHUNK + t.step, 0);
    bias = memory<float>(5, CHUNK + t.step, 0);
    index = memory<uint8_t>(0, t.index ? size : 0, slack);
  }

  void run(int64_t tile) {
    const int64_t plane = tiles.plane(tile);
    if (t.weight && plane != last_plane) {
      repeat(t, t.weight, plane, weight);
      repeat(t, t.bias, plane, bias);
    }
    last_plane = plane;
    if (!direct(plane, tiles.y(tile), tiles.x(tile))) copied(plane, tiles.y(tile), tiles.x(tile));
  }

  // Straight from x to out; false where that is not possible, for an index, another type or a NaN.
  bool direct(int64_t plane, Span ys, Span xs) {
    if (t.index || t.type != FLOAT32) return false;
    const Span rows = ys.grown(radius).within(t.height);
    const int64_t step = t.step, length = t.width * step, n = xs.size() * step;
    const float *const from = static_cast<const float *>(t.x) + plane * t.height * length;
    float *const to = static_cast<float *>(t.out) + (plane * t.height + ys.first) * length + xs.first * step;
    const Span read = xs.grown(radius), inside = read.within(t.width);
    const bool whole = tiles.columns == 1;
    for (int64_t y = rows.first; y < (whole ? rows.first + 1 : rows.last); y++)
      if (any_nan(from + y * length + inside.first * step, inside.size() * step * (whole ? rows.size() : 1))) return false;
    const int64_t stride = (read.size() * step + 15) / 16 * 16;
    const int64_t group = std::max<int64_t>(1, 2 * CHUNK / stride), sorted_plane = group * stride;
    float *const sorted = memory<float>(6, K * sorted_plane, 0);
    const float **const source = memory<const float *>(0, group + K, 0);
    for (int64_t y = 0; y < ys.size(); y += group) {
      const int64_t count = std::min(group, ys.size() - y);
      for (int64_t i = 0; i < count + K - 1; i++)
        source[i] = from + mirror(ys.first + y - radius + i, t.height) * length + inside.first * step;
      sort_columns<K>(source, count, inside.size() * step, sorted + (inside.first - read.first) * step, sorted_plane,
                      stride);
      for (int64_t x = read.first; x < inside.first; x++)
        spread(sorted, sorted_plane, stride, count, (-x - read.first) * step, (x - read.first) * step);
      for (int64_t x = inside.last; x < read.last; x++)
        spread(sorted, sorted_plane, stride, count, (mirror(x, t.width) - read.first) * step, (x - read.first) * step);
      float *const out = to + y * length;
      median_of_columns<K>(sorted, sorted_plane, stride, step, count, n, out, length);
      if (t.weight)
        for (int64_t i = 0; i < count; i++)
          enhance(source[i + radius] + (xs.first - inside.first) * step, out + i * length, n);
    }
    return true;
  }

  void spread(float *sorted, int64_t sorted_plane, int64_t stride, int64_t count, int64_t from, int64_t to) const {
    for (int k = 0; k < K; k++)
      for (int64_t y = 0; y < count; y++) {
        float *const line = sorted + k * sorted_plane + y * stride;
        if (t.step == 1)
          line[to] = line[from];
        else
          std::copy_n(line + from, t.step, line + to);
      }
  }
  void enhance(const float *x, float *out, int64_t n) const {
    const int64_t chunk = std::max<int64_t>(1, CHUNK / t.step) * t.step;
    for (int64_t j = 0; j < n; j += chunk) ::enhance(x + j, out + j, weight, bias, out + j, std::min(chunk, n - j));
  }

  // Through a flat block, in which NaN are looked after and the median's index is found.
  void copied(int64_t plane, Span ys, Span xs) {
    const Block block(ys.grown(radius), xs.grown(radius), t.step);
    const int64_t centre = radius * (block.stride + t.step);  // from a window's first value to its middle
    read(t, block, plane, t.x, radius, x);
    const bool nan = any_nan(x, block.size());
    for (int64_t j = 0; j < ys.size() * block.stride; j += CHUNK) {
      float *const middle = t.weight ? median : result + j;
      const float *source[K];
      for (int i = 0; i < K; i++) source[i] = x + j + i * block.stride;
      sort_columns<K>(source, 1, row, sorted, row, 0);
      median_of_columns<K>(sorted, row, 0, t.step, 1, CHUNK, middle, 0);
      if (nan) spread_nan<K>(x + j, block.stride, t.step, middle);
      if (t.index) (nan ? find<K, true> : find<K, false>)(x + j, block.stride, t.step, middle, index + j);
      if (t.weight) ::enhance(x + j + centre, middle, weight + j % t.step, bias + j % t.step, result + j, CHUNK);
    }
    const int64_t n = xs.size() * t.step;
    for (int64_t y = ys.first; y < ys.last; y++) {
      const int64_t to = ((plane * t.height + y) * t.width + xs.first) * t.step;
      const int64_t from = (y - ys.first) * block.stride;
      store(t.out, to, result + from, n, t.type);
      if (t.index) std::memcpy(t.index + to, index + from, n);
    }
  }

  const Task &t;
  const Tiles tiles;
  const int64_t row;
  int64_t last_plane = -1;
  float *x, *result, *sorted, *median, *weight, *bias;
  uint8_t *index;
};

template <int K>
void forward(const Task &t) {
  const int64_t count = Tiles(t, K / 2).count;
#pragma omp parallel num_threads(t.threads)
  {
    Forward<K> forward(t);
#pragma omp for schedule(dynamic)
    for (int64_t tile = 0; tile < count; tile++) forward.run(tile);
  }
}

// The noise of each value, x - x[neighbour]; x and index point to the middle of the windows.
template <int K>
KERNEL void noise(const float *__restrict x, int64_t stride, int64_t step, const uint8_t *__restrict index,
           float *__restrict out) {
  if (K == 3) {
    for (int64_t j = 0; j < CHUNK; j++) {
      const int found = index[j];
      float v = x[j - stride - step];
#pragma GCC unroll 9
      for (int i = 1; i < K * K; i++) {
        const float u = x[j + (i / K - 1) * stride + (i % K - 1) * step];
        v = found == i ? u : v;
      }
      out[j] = x[j] - v;
    }
  } else {
    int32_t at[256] = {};
    for (int i = 0; i < K * K; i++) at[i] = (i / K - K / 2) * stride + (i % K - K / 2) * step;
    for (int64_t j = 0; j < CHUNK; j++) out[j] = x[j] - x[j + at[index[j]]];
  }
}

// From the noise to what each window sends to the neighbour that is its median.
inline float sent_by(float grad, float weight, float s) { return grad * weight * s * (1 - s); }

KERNEL void send(const float *__restrict grad, const float *__restrict weight, const float *__restrict noise,
          float *__restrict sent, int64_t n) {
  for (int64_t j = 0; j < n; j++) sent[j] = sent_by(grad[j], weight[j], sigmoid(noise[j]));
}

// The same, with what the windows add to the gradients of weight and bias.
KERNEL void send_and_sum(const float *__restrict grad, const float *__restrict weight, const float *__restrict noise,
                  float *__restrict sent, float *__restrict weight_sum, float *__restrict bias_sum, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    const float s = sigmoid(noise[j]);
    weight_sum[j] += grad[j] * s;
    bias_sum[j] += grad[j];
    sent[j] = sent_by(grad[j], weight[j], s);
  }
}

// What each value receives from the windows whose median it is.
template <int K>
KERNEL void collect(const float *__restrict sent, const uint8_t *__restrict index, int64_t stride, int64_t step,
             float *__restrict sum) {
  for (int64_t j = 0; j < CHUNK; j++) {
    float s = 0;
#pragma GCC unroll 49
    for (int i = 0; i < K * K; i++) {
      const int64_t from = j - (i / K - K / 2) * stride - (i % K - K / 2) * step;
      const float g = sent[from];
      s += index[from] == i ? g : 0;
    }
    sum[j] = s;
  }
}

// The rows or columns of a tile, and beyond the image's border those that mirror some of them.
Span targets(Span tile, int64_t size, int64_t radius) {
  return {tile.first ? tile.first : -radius, tile.last < size ? tile.last : size + radius};
}

// Add what was sent beyond the border to the values that are mirrored there.
void fold(const Block &block, Span tile_y, Span tile_x, Span y, Span x, float *sum) {
  const auto add = [&](int64_t to, int64_t from, int64_t n) {
    for (int64_t j = 0; j < n; j++) sum[to + j] += sum[from + j];
  };
  for (int64_t row = y.first; row < y.last; row++) {
    for (int64_t i = x.first; i < tile_x.first; i++) add(block.at(row, -i), block.at(row, i), block.step);
    for (int64_t i = tile_x.last; i < x.last; i++)
      add(block.at(row, 2 * (tile_x.last - 1) - i), block.at(row, i), block.step);
  }
  const int64_t n = tile_x.size() * block.step;
  for (int64_t i = y.first; i < tile_y.first; i++) add(block.at(-i, tile_x.first), block.at(i, tile_x.first), n);
  for (int64_t i = tile_y.last; i < y.last; i++)
    add(block.at(2 * (tile_y.last - 1) - i, tile_x.first), block.at(i, tile_x.first), n);
}

template <int K>
void backward(const Task &t) {
  const int64_t radius = K / 2, step = t.step, slack = CHUNK + K * step;
  const Tiles tiles(t, radius);
  const int64_t chunk = std::max<int64_t>(1, CHUNK / step) * step;  // whole pixels: a place of it has one channel
  std::unique_ptr<double[]> sums(t.weight ? new double[2 * tiles.count * step] : nullptr);
#pragma omp parallel num_threads(t.threads)
  {
    const int64_t size = tiles.values(3 * radius, step);
    float *const x = memory<float>(0, t.weight ? size : 0, slack), *const grad = memory<float>(1, size, slack);
    float *const sent = memory<float>(2, size, slack), *const sum = memory<float>(3, size, slack);
    float *const weight = memory<float>(4, CHUNK + step, 0);
    float *const weight_sum = memory<float>(5, chunk, 0), *const bias_sum = memory<float>(6, chunk, 0);
    uint8_t *const index = memory<uint8_t>(0, size, slack);
#pragma omp for schedule(dynamic)
    for (int64_t tile = 0; tile < tiles.count; tile++) {
      const int64_t plane = tiles.plane(tile);
      const Span ys = tiles.y(tile), xs = tiles.x(tile);
      const Span to_y = targets(ys, t.height, radius), to_x = targets(xs, t.width, radius);
      const Block block(to_y.grown(2 * radius), to_x.grown(2 * radius), step);
      const auto row = [&](int64_t y) { return block.at(y, block.x.first); };
      read(t, block, plane, static_cast<const uint8_t *>(t.index), 0, index);
      read(t, block, plane, t.grad, 0, t.weight ? grad : sent);
      if (t.weight) {
        const Span from_y = to_y.grown(radius).within(t.height), from_x = to_x.grown(radius).within(t.width);
        read(t, block, plane, t.x, radius, x);
        repeat(t, t.weight, plane, weight);
        float *const noises = sum;
        for (int64_t j = row(from_y.first); j < row(from_y.last); j += CHUNK)
          noise<K>(x + j, block.stride, step, index + j, noises + j);
        std::fill_n(sent, block.size(), 0.f);
        std::fill_n(weight_sum, chunk, 0.f);
        std::fill_n(bias_sum, chunk, 0.f);
        for (int64_t y = from_y.first; y < from_y.last; y++) {
          const auto pass = [&](int64_t first, int64_t last, bool own) {
            const int64_t end = block.at(y, last);
            for (int64_t j = block.at(y, first); j < end; j += chunk) {
              const int64_t n = std::min(chunk, end - j);
              if (own)
                send_and_sum(grad + j, weight, noises + j, sent + j, weight_sum, bias_sum, n);
              else
                send(grad + j, weight, noises + j, sent + j, n);
            }
          };
          const bool own = ys.first <= y && y < ys.last;
          pass(from_x.first, xs.first, false);
          pass(xs.first, xs.last, own);
          pass(xs.last, from_x.last, false);
        }
        for (int64_t c = 0; c < step; c++) {
          double *const w = &sums[2 * (tile * step + c)];
          w[0] = w[1] = 0;
          for (int64_t j = c; j < std::min(chunk, xs.size() * step); j += step) w[0] += weight_sum[j], w[1] += bias_sum[j];
        }
      }
      for (int64_t j = row(to_y.first); j < row(to_y.last); j += CHUNK)
        collect<K>(sent + j, index + j, block.stride, step, sum + j);
      fold(block, ys, xs, to_y, to_x, sum);
      for (int64_t y = ys.first; y < ys.last; y++) {
        const int64_t j = block.at(y, xs.first), n = xs.size() * step;
        if (t.weight)
          for (int64_t i = j; i < j + n; i++) sum[i] = grad[i] + sent[i] - sum[i];
        store(t.out, ((plane * t.height + y) * t.width + xs.first) * step, sum + j, n, t.type);
      }
    }
  }
  if (!t.weight) return;
  for (int64_t c = 0; c < t.channels; c++) {
    double w = 0, b = 0;
    const int64_t per_plane = tiles.rows * tiles.columns;
    for (int64_t plane = c / step; plane < t.planes; plane += t.channels / step)
      for (int64_t tile = plane * per_plane; tile < (plane + 1) * per_plane; tile++) {
        w += sums[2 * (tile * step + c % step)];
        b += sums[2 * (tile * step + c % step) + 1];
      }
    t.grad_weight[c] = w;
    t.grad_bias[c] = b;
  }
}

}  // namespace

// Both return 0, or 1 where there is no code for `size`. weight == nullptr: the median alone. index == nullptr: nothing
// to store, no gradient will be asked for.
extern "C" int noise_forward(const void *x, const float *weight, const float *bias, void *out, uint8_t *index,
                             int64_t planes, int64_t height, int64_t width, int64_t step, int64_t channels, int type,
                             int size, int threads) {
  const Task t{x, nullptr, weight, bias, out, index, nullptr, nullptr, planes, height, width, step, channels, type,
               threads};
  if (size == 3) return forward<3>(t), 0;
  if (size == 5) return forward<5>(t), 0;
  if (size == 7) return forward<7>(t), 0;
  return 1;
}

extern "C" int noise_backward(const void *grad, const void *x, const float *weight, uint8_t *index, void *grad_x,
                              float *grad_weight, float *grad_bias, int64_t planes, int64_t height, int64_t width,
                              int64_t step, int64_t channels, int type, int size, int threads) {
  const Task t{x, grad, weight, nullptr, grad_x, index, grad_weight, grad_bias, planes, height, width, step, channels,
               type, threads};
  if (size == 3) return backward<3>(t), 0;
  if (size == 5) return backward<5>(t), 0;
  if (size == 7) return backward<7>(t), 0;
  return 1;
}
