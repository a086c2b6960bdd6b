"""Selection networks: the few minima and maxima that find the median of a k x k window."""

import functools

import numpy as np


@functools.cache
def sort_network(size):
    """Return Batcher's odd-even merge sort of `size` values as pairs (i, j): i gets the minimum, j the maximum.

    Source: Batcher, "Sorting networks and their applications", AFIPS 1968.
    """
    pairs, run = [], 1
    while run < size:
        gap = run
        while gap:
            for start in range(gap % run, size - gap, 2 * gap):
                for i in range(start, min(start + gap, size - gap)):
                    if i // (2 * run) == (i + gap) // (2 * run):
                        pairs.append((i, i + gap))
            gap //= 2
        run *= 2
    return tuple(pairs)


@functools.cache
def median_network(size):
    """Return how to find the median of a size x size window whose columns are sorted (row 0 holds the minima).

    The values are numbered: value row * size + column is an input, each further one is the minimum or maximum of two
    before it. Returns a tuple of (name, a, b) with name "min" or "max", in the order of their numbers; the last is the
    median. 12 operations for size 3, 106 for 5, 348 for 7; the first call for size 7 takes a second.

    Where rows are sorted too, value (i, j) has (i + 1)(j + 1) values that are at most as large, itself counted; with
    too many of them, or too many on the other side, it cannot be the median. The others are sorted among themselves.
    What the median does not need of all that is dropped: by the 0-1 principle an operation is known by what it does to
    zeros and ones, so one whose results are those of an earlier value, or of operands nearer the inputs, is replaced.
    """
    middle = (size * size + 1) // 2
    rows = [(row * size + i, row * size + j) for row in range(size) for i, j in sort_network(size)]
    candidates = [
        row * size + column
        for row in range(size)
        for column in range(size)
        if (row + 1) * (column + 1) <= middle and (size - row) * (size - column) <= middle
    ]
    pairs = rows + [(candidates[i], candidates[j]) for i, j in sort_network(len(candidates))]

    network = _Network(_zeros_and_ones(size))
    wires = list(range(size * size))
    for i, j in pairs:
        wires[i], wires[j] = network.add("min", wires[i], wires[j]), network.add("max", wires[i], wires[j])
    return network.needed_by(wires[candidates[len(candidates) // 2]])


class _Network:
    """Operations under construction; results[v] is what value v is for every input of zeros and ones, a bit each."""

    def __init__(self, inputs):
        self.inputs = len(inputs)
        self.results = inputs
        self.operations = []
        self.values = {result.tobytes(): value for value, result in enumerate(inputs)}

    def add(self, name, a, b):
        result = self._apply(name, a, b)
        value = self.values.setdefault(result.tobytes(), len(self.results))
        if value == len(self.results):
            self.results.append(result)
            self.operations.append((name, *self._nearest_inputs(name, a, b, result)))
        return value

    def needed_by(self, value):
        needed = {value}
        for v in range(value, self.inputs - 1, -1):
            if v in needed:
                needed.update(self.operations[v - self.inputs][1:])
        inputs = range(self.inputs)
        number = dict(zip([*inputs, *sorted(needed.difference(inputs))], range(len(self.results)), strict=False))
        chosen = (self.operations[v - self.inputs] for v in sorted(needed.difference(inputs)))
        return tuple((name, number[a], number[b]) for name, a, b in chosen)

    def _apply(self, name, a, b):
        return (np.bitwise_and if name == "min" else np.bitwise_or)(self.results[a], self.results[b])

    def _nearest_inputs(self, name, a, b, result):
        pairs = sorted(((p, q) for p in self._origins(a) for q in self._origins(b)), key=sum)
        same = next(pair for pair in pairs if pair == (a, b) or np.array_equal(self._apply(name, *pair), result))
        return same if same == (a, b) else self._nearest_inputs(name, *same, result)

    def _origins(self, value):
        return (value, *self.operations[value - self.inputs][1:]) if value >= self.inputs else (value,)


def _zeros_and_ones(size):
    """Return every window of zeros and ones with sorted columns, packed in bits: one array for each value."""
    ones = np.indices((size + 1,) * size, dtype=np.uint8).reshape(size, -1)  # how many in each column
    return [np.packbits(ones[column] >= size - row) for row in range(size) for column in range(size)]
