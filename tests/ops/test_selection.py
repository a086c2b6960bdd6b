import itertools

import numpy as np
import pytest

from lib.ops.median.selection import median_network, sort_network


@pytest.mark.parametrize("size", range(1, 10))
def test_the_sorting_network_sorts_all_zeros_and_ones_and_so_everything(size):
    for values in itertools.product((0, 1), repeat=size):
        wires = list(values)
        for i, j in sort_network(size):
            wires[i], wires[j] = min(wires[i], wires[j]), max(wires[i], wires[j])
        assert wires == sorted(values)


@pytest.mark.parametrize(("size", "operations"), [(3, 12), (5, 106), (7, 348)])
def test_the_median_network_finds_the_median_of_sorted_columns_and_does_nothing_else(size, operations):
    windows = np.random.default_rng(0).normal(size=(500, size, size))
    values = list(np.sort(windows, axis=1).reshape(500, -1).T)
    for name, a, b in median_network(size):
        values.append((np.minimum if name == "min" else np.maximum)(values[a], values[b]))
    np.testing.assert_array_equal(values[-1], np.median(windows.reshape(500, -1), axis=1))
    assert len(median_network(size)) == operations
    used = {operand for _, *pair in median_network(size) for operand in pair}
    assert used == set(range(len(values) - 1))
