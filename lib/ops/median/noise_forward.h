// Part of noise.cpp: the median of each window, and the enhanced image.

#include "noise_tiles.h"

namespace {

// sort: pairs of values; median: {maximum or not, two values}. cpu.py writes both from selection.py, for K = 3, 5, 7.
template <int K>
struct Network;
#include "networks.h"

// Call f with 0, 1, ... each a constant for the compiler, so that a network becomes straight lines without an array.
template <class F, int... I>
inline INLINE void each(std::integer_sequence<int, I...>, F f) { (f(std::integral_constant<int, I>()), ...); }
template <int N>
using Numbers = std::make_integer_sequence<int, N>;

// Sort the K values above each other for `count` rows of n columns: rows[y] .. rows[y + K - 1] to row y of K planes.
template <int K>
KERNEL void sort_columns(const float *const *rows, int64_t count, int64_t n, float *sorted, int64_t plane,
                         int64_t stride) {
  for (int64_t y = 0; y < count; y++) {
    const float *from[K];
    each(Numbers<K>(), [&](auto i) INLINE { from[i] = rows[y + i]; });
    float *const to = sorted + y * stride;
#pragma GCC ivdep
    for (int64_t j = 0; j < n; j++) {
      float v[K];
      each(Numbers<K>(), [&](auto i) INLINE { v[i] = from[i][j]; });
      each(Numbers<std::size(Network<K>::sort)>(), [&](auto i) INLINE {
        float &a = v[Network<K>::sort[i][0]], &b = v[Network<K>::sort[i][1]];
        const float low = minimum(a, b), high = maximum(a, b);
        a = low, b = high;
      });
      each(Numbers<K>(), [&](auto i) INLINE { to[i * plane + j] = v[i]; });
    }
  }
}

// The median of each window of K sorted columns, `step` apart, for `count` rows of n values.
template <int K>
KERNEL void median_of_columns(const float *__restrict sorted, int64_t plane, int64_t stride, int64_t step,
                              int64_t count, int64_t n, float *__restrict median, int64_t median_stride) {
  constexpr int operations = std::size(Network<K>::median);
  for (int64_t y = 0; y < count; y++) {
    const float *__restrict s = sorted + y * stride;
    float *__restrict to = median + y * median_stride;
#pragma GCC ivdep
    for (int64_t j = 0; j < n; j++) {
      float v[K * K + operations];
      each(Numbers<K * K>(), [&](auto i) INLINE { v[i] = s[i / K * plane + i % K * step + j]; });
      each(Numbers<operations>(), [&](auto i) INLINE {
        constexpr auto &operation = Network<K>::median[i];
        const float a = v[operation[1]], b = v[operation[2]];
        v[K * K + i] = operation[0] ? maximum(a, b) : minimum(a, b);
      });
      to[j] = v[K * K + operations - 1];
    }
  }
}

KERNEL bool any_nan(const float *values, int64_t n) {
  int found = 0;
  for (int64_t j = 0; j < n; j++) found |= values[j] != values[j];
  return found;
}

// The network's minima and maxima lose a NaN. If a tile holds one, all windows that contain it get it back here.
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

// The weights of a plane's channels, repeated often enough for a chunk that begins at any channel.
void repeat(const Task &t, const float *from, int64_t plane, float *to) {
  if (t.step == 1) return (void)std::fill_n(to, CHUNK + 1, from[plane % t.channels]);
  for (int64_t j = 0; j < CHUNK + t.step; j += t.step) std::copy_n(from, std::min(t.step, CHUNK + t.step - j), to + j);
}

template <int K>
struct Forward {
  static constexpr int64_t radius = K / 2;
  const Task &t;
  const Tiles tiles{t, radius};
  const int64_t row = CHUNK + 2 * radius * t.step, size = tiles.values(radius, t.step), slack = CHUNK + K * t.step;
  float *const x = memory<float>(0, size, slack), *const result = memory<float>(1, size, slack);
  float *const sorted = memory<float>(2, K * row, 0), *const median = memory<float>(3, CHUNK, 0);
  float *const weight = memory<float>(4, CHUNK + t.step, 0), *const bias = memory<float>(5, CHUNK + t.step, 0);
  uint8_t *const index = memory<uint8_t>(0, t.index ? size : 0, slack);
  int64_t last_plane = -1;

  void run(int64_t tile) {
    const int64_t plane = tiles.plane(tile);
    if (t.weight && plane != last_plane) repeat(t, t.weight, plane, weight), repeat(t, t.bias, plane, bias);
    last_plane = plane;
    if (!direct(plane, tiles.y(tile), tiles.x(tile))) copied(plane, tiles.y(tile), tiles.x(tile));
  }

  // Straight from x to out; false if an index is wanted or a NaN is there, which need `copied`.
  bool direct(int64_t plane, Span ys, Span xs) {
    if (t.index) return false;
    const Span rows = ys.grown(radius).within(t.height);
    const int64_t step = t.step, length = t.width * step, n = xs.size() * step;
    const float *const from = t.x + plane * t.height * length;
    float *const to = t.out + (plane * t.height + ys.first) * length + xs.first * step;
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
      float *const first = sorted + (inside.first - read.first) * step;
      sort_columns<K>(source, count, inside.size() * step, first, sorted_plane, stride);
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
        if (t.step == 1) line[to] = line[from];
        else std::copy_n(line + from, t.step, line + to);
      }
  }

  void enhance(const float *x, float *out, int64_t n) const {
    const int64_t chunk = std::max<int64_t>(1, CHUNK / t.step) * t.step;
    for (int64_t j = 0; j < n; j += chunk) ::enhance(x + j, out + j, weight, bias, out + j, std::min(chunk, n - j));
  }

  // Through a flat block, in which NaN are restored and the median's index is found.
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
      std::copy_n(result + from, n, t.out + to);
      if (t.index) std::memcpy(t.index + to, index + from, n);
    }
  }
};

template <int K>
void forward(const Task &t) {
  const int64_t count = Tiles(t, K / 2).count;
#pragma omp parallel num_threads(t.threads)
  {
    Forward<K> forward{t};
#pragma omp for schedule(dynamic)
    for (int64_t tile = 0; tile < count; tile++) forward.run(tile);
  }
}

}  // namespace
