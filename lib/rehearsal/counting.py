"""What a step of a network takes on a GPU, counted operator by operator with tensors that have shapes and no values.

PyTorch's fake tensors keep devices, dtypes, autocast and lifetimes, so that the real network, its loss and its backward
pass run unchanged; lib.ops.median.op registers what its own operators return. Nothing is computed and no GPU is needed.
Count in a process of its own, because fake constants would stay in the caches of lib (such as dct.dct_filters).
"""

import copy
import functools
import weakref
from dataclasses import dataclass

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import conv_flop_count, flop_registry

aten = torch.ops.aten
KINDS = ("bfloat16", "tf32", "float32")  # of arithmetic: PyTorch lets cuDNN's convolutions of float32 use TF32
NO_KERNEL = ("aten::empty", "aten::new_empty", "aten::detach", "prim::")  # prefixes of operators without a kernel


@dataclass(frozen=True)
class Gpu:
    """A GPU by its data sheet, and the share of its peaks that is reached; the default is NVIDIA's H200."""

    name: str = "H200"
    tflops: tuple = (989.0, 494.0, 67.0)  # peak of each of KINDS, dense
    bandwidth: float = 4.8  # TB/s
    utilisation: float = 0.4  # share of both peaks: what well-batched convolutions reach; an assumption, not measured
    launch: float = 1e-5  # seconds that PyTorch takes to start an operator: the floor of each; an assumption, too


@dataclass(frozen=True)
class Work:
    """What an image takes: arrays over the operators of a step (FLOPs, bytes moved, position in KINDS), and memory.

    forward: number of operators in the forward pass, which come first. Memory, in bytes: weights; fixed, for a training
    with any batch (weights and averages of the optimiser; gradients take the place of activations); image, for each
    image of a training batch; scored, for each image of a batch of `at_once` that is scored.
    """

    flops: np.ndarray
    bytes: np.ndarray
    kind: np.ndarray
    forward: int
    weights: float
    fixed: float
    image: float
    scored: float
    at_once: int = 1

    def seconds(self, gpu, batch, pixels=1.0, training=True):
        """Return the seconds of a step: the sum over its operators of the slowest of arithmetic, memory and launch.

        pixels: of an image, relative to those it was counted with. Scoring is in float32, without autocast.
        """
        flops, moved, kind = self._part(training)
        share, scale = gpu.utilisation * 1e12, batch * pixels
        peak = np.array(gpu.tflops)[kind]
        return np.maximum(np.maximum(flops / peak, moved / gpu.bandwidth) * scale / share, gpu.launch).sum()

    def total_flops(self, training=True):
        """Return the FLOPs of an image."""
        return self._part(training)[0].sum()

    def _part(self, training):
        if training:
            return self.flops, self.bytes, self.kind
        low = self.kind[: self.forward] == 0
        wide = np.where(low, 2, 1) * self.bytes[: self.forward]
        return self.flops[: self.forward], wide, np.where(low, 1, self.kind[: self.forward])


class Counter(TorchDispatchMode):
    """A context that records FLOPs, bytes and kind of arithmetic of each operator, and the peak of the bytes alive."""

    def __init__(self):
        super().__init__()
        self.operators, self.live, self.peak, self.held = [], 0, 0, weakref.WeakSet()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.ops.prim.device.default:  # two thirds of all calls
            return args[0].fake_device
        out = function(*args, **kwargs)
        made = [each for each in tree_leaves(out) if isinstance(each, torch.Tensor)]
        for tensor in made:
            self.hold(tensor)
        if not (function.is_view or function.name().startswith(NO_KERNEL)):
            given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
            flops = _flops(function, args, kwargs, out)
            moved = sum(tensor.numel() * tensor.element_size() for tensor in (*given, *made))
            half = any(tensor.dtype == torch.bfloat16 for tensor in given)
            conv = function in (aten.convolution.default, aten.convolution_backward.default)
            self.operators.append((flops, moved, 0 if half else 1 if conv else 2))
        return out

    def hold(self, tensor):
        """Count the memory of a tensor until it is freed; views share theirs."""
        storage = tensor.untyped_storage()
        if storage not in self.held:
            self.held.add(storage)
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._free, storage.nbytes())

    def _free(self, size):
        self.live -= size


def _flops(function, args, kwargs, out):
    if function is aten.convolution_backward.default:  # PyTorch's formula treats grouped convolutions as dense ones
        grad, x, weight = (args[place].shape for place in range(3))
        return conv_flop_count(x, weight, grad, transposed=args[7]) * sum(args[10][:2])
    formula = flop_registry.get(function.overloadpacket)
    return formula(*args, **kwargs, out_val=out) if formula else 0


@functools.cache
def _fake():
    return FakeTensorMode()  # one for the whole process, because of the caches


def count(model, loss, batch, states=2):
    """Return the Work of a training step under bfloat16 autocast; its memory in scoring is that of float32.

    model: a real network; loss(model, batch): as in lib.training.fit; batch: {name: tensor (N,...) of any values};
    states: averages that the optimiser keeps of each weight, 2 for Adam, 1 for SGD with momentum.
    """
    with FakeCopyMode(_fake()):
        model, batch = copy.deepcopy((model, batch))
    images, counter = len(next(iter(batch.values()))), Counter()
    learned = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    with _fake(), counter:
        for tensor in (*model.parameters(), *model.buffers()):
            counter.hold(tensor)
        weights = counter.live
        with torch.no_grad():
            getattr(model.eval(), "opinions", functools.partial(loss, model))(batch)
        scored, counter.peak, counter.operators = counter.peak, counter.live, []
        with torch.autocast("cpu", torch.bfloat16):
            losses = loss(model.train(), batch)
        forward = len(counter.operators)
        (losses["loss"] if isinstance(losses, dict) else losses).backward()
    flops, moved, kind = np.array(counter.operators, float).T
    memory = weights, weights + states * learned, (counter.peak - weights) / images, (scored - weights) / images
    at_once = getattr(model, "at_once", 1)
    return Work(flops / images, moved / images, kind.astype(int), forward, *memory, at_once)
