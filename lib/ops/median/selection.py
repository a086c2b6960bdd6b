"""Selection networks: the few minima and maxima that find the median of a k x k window."""

import functools

import numpy as np

BITS = {"min": np.bitwise_and, "max": np.bitwise_or}


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

    Returns a tuple of operations (name, a, b), name "min" or "max". Their operands are numbers of values: row * size +
    column for the inputs, then one number for the result of each operation. The last result is the median.
    12 operations for size 3, 106 for 5, 348 for 7; the first call for size 7 takes a second.

    The rows are sorted, too. Then (i + 1)(j + 1) values, itself included, are not larger than value (i, j): if these
    are too many, or those that are not smaller, it cannot be the median. The remaining candidates are sorted among
    themselves, and only the operations that the median needs are kept.
    By the 0-1 principle, what an operation does to zeros and ones describes it fully. So an operation whose result
    equals an earlier value is left out, and the others read the earliest operands that give the same result.
    """
    middle, places = (size * size + 1) // 2, [divmod(value, size) for value in range(size * size)]
    rows = [(row * size + i, row * size + j) for row in range(size) for i, j in sort_network(size)]
    candidates = [
        row * size + column
        for row, column in places
        if (row + 1) * (column + 1) <= middle and (size - row) * (size - column) <= middle
    ]
    pairs = rows + [(candidates[i], candidates[j]) for i, j in sort_network(len(candidates))]

    # One bit for every window of zeros and ones with sorted columns: `results` holds each value in all of them.
    ones = np.indices((size + 1,) * size, dtype=np.uint8).reshape(size, -1)  # number of ones in each column
    results = [np.packbits(ones[column] >= size - row) for row, column in places]
    known = {result.tobytes(): value for value, result in enumerate(results)}
    operations = [()] * len(places)

    def add(name, a, b):
        result = BITS[name](results[a], results[b])
        value = known.setdefault(result.tobytes(), len(results))
        if value == len(results):
            results.append(result)
            operations.append((name, *_earliest(name, a, b, results, operations)))
        return value

    wires = list(range(len(places)))
    for i, j in pairs:
        wires[i], wires[j] = add("min", wires[i], wires[j]), add("max", wires[i], wires[j])

    needed = {wires[candidates[len(candidates) // 2]]}
    for value in reversed(range(len(places), len(operations))):
        if value in needed:
            needed.update(operations[value][1:])
    number = {value: n for n, value in enumerate(sorted(needed.union(range(len(places)))))}
    chosen = (operations[value] for value in sorted(needed) if value >= len(places))
    return tuple((name, number[a], number[b]) for name, a, b in chosen)


def _earliest(name, a, b, results, operations):
    """Return the operands nearest to the inputs whose minimum or maximum is the last of `results`."""
    origins = [(value, *operations[value][1:]) for value in (a, b)]
    pairs = sorted(((p, q) for p in origins[0] for q in origins[1]), key=sum)
    same = next((p, q) for p, q in pairs if np.array_equal(BITS[name](results[p], results[q]), results[-1]))
    return same if same == (a, b) else _earliest(name, *same, results, operations)
