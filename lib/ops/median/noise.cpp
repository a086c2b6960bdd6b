// Median filter and noise enhancement on the CPU; lib/ops/median/cpu.py builds and calls it, lib/ops/noise.py documents
// it. A contiguous image holds its columns one value apart, a channels_last image C values apart; with that distance,
// `step`, and with planes of height x width x step values, one code serves both formats.
// The image is cut into tiles that fit into a core's own cache. A tile is copied, with its border, into a flat block of
// float32; a neighbour is then a constant distance away everywhere, and long loops without cases do the work.

#include "noise_backward.h"
#include "noise_forward.h"

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
