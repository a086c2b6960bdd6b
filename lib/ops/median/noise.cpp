// Median filter and noise enhancement on the CPU; cpu.py builds and calls it, lib/ops/denoise.py documents it. A
// contiguous image holds its columns one value apart, a channels_last image C values apart: with that distance, `step`,
// and planes of height x width x step values, one code serves both formats.
// The image is cut into tiles that fit into a core's own cache. A tile is copied, with its border, into a flat block of
// float32. There a neighbour is a constant distance away, so that long loops without branches do the work.
// noise_forward.h holds the forward pass. Below is the backward pass: each window sends its gradient to the neighbour
// that is its median.

#include "noise_forward.h"

namespace {

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

// What a window sends to the neighbour that is its median; s: sigmoid of the noise.
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

// The rows or columns of a tile, and those beyond the image's border that mirror some of them.
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
      add(block.at(row, mirror(i, tile_x.last)), block.at(row, i), block.step);
  }
  const int64_t n = tile_x.size() * block.step;
  for (int64_t i = y.first; i < tile_y.first; i++) add(block.at(-i, tile_x.first), block.at(i, tile_x.first), n);
  for (int64_t i = tile_y.last; i < y.last; i++)
    add(block.at(mirror(i, tile_y.last), tile_x.first), block.at(i, tile_x.first), n);
}

template <int K>
void backward(const Task &t) {
  const int64_t radius = K / 2, step = t.step, slack = CHUNK + K * step;
  const Tiles tiles(t, radius);
  const int64_t chunk = std::max<int64_t>(1, CHUNK / step) * step;  // whole pixels: place i has channel i % step
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
      read<uint8_t>(t, block, plane, t.index, 0, index);
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
              if (own) send_and_sum(grad + j, weight, noises + j, sent + j, weight_sum, bias_sum, n);
              else send(grad + j, weight, noises + j, sent + j, n);
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
        std::copy_n(sum + j, n, t.out + ((plane * t.height + y) * t.width + xs.first) * step);
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
    t.grad_weight[c] = w, t.grad_bias[c] = b;
  }
}

}  // namespace

extern "C" void noise_forward(const Task *t) {
  (t->size == 3 ? forward<3> : t->size == 5 ? forward<5> : forward<7>)(*t);
}

extern "C" void noise_backward(const Task *t) {
  (t->size == 3 ? backward<3> : t->size == 5 ? backward<5> : backward<7>)(*t);
}
