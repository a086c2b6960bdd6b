// Median filter and noise enhancement on the CPU; lib/ops/median/cpu.py builds and calls it, lib/ops/noise.py documents
// it. A contiguous image holds its columns one value apart, a channels_last image C values apart; with that distance,
// `step`, and with planes of height x width x step values, one code serves both formats.
// The image is cut into tiles that fit into a core's own cache. A tile is copied, with its border, into a flat block of
// float32; a neighbour is then a constant distance away everywhere, and long loops without cases do the work.

#include "noise_backward.h"
#include "noise_forward.h"

extern "C" void noise_forward(const Task *t) {
  (t->size == 3 ? forward<3> : t->size == 5 ? forward<5> : forward<7>)(*t);
}

extern "C" void noise_backward(const Task *t) {
  (t->size == 3 ? backward<3> : t->size == 5 ? backward<5> : backward<7>)(*t);
}
