import matplotlib.pyplot as plt
import torch

from lib import ops
from lib.benchmarks import ops as benchmarks_ops


def test_the_ways_that_are_timed_against_each_other_compute_the_same():
    rgb, weight = torch.rand(2, 3, 16, 24), torch.randn(64, 192, 1, 1)
    ours = ops.frequency_stem(rgb, weight)
    for other in (benchmarks_ops.stem_by_unfold, benchmarks_ops.stem_by_groups):
        torch.testing.assert_close(other(rgb, weight), ours, atol=1e-4, rtol=1e-4)


def test_the_compiled_network_computes_what_our_kernels_do():
    x, weight, bias = torch.randn(2, 3, 8, 9), *torch.randn(2, 3).unbind()
    assert torch.equal(benchmarks_ops.by_network()(x), ops.median_filter(x))
    torch.testing.assert_close(benchmarks_ops.by_network()(x, weight, bias), ops.noise_enhance(x, weight, bias))


def test_the_table_has_a_row_for_each_operation_and_the_roofline_a_mark_for_each():
    measured = benchmarks_ops.table("cpu", rounds=1, shapes=((1, 4, 8, 8),), images=(1, 3, 16, 16))
    assert len(measured) == 4 and (measured[["reference", "ours", "floor"]] > 0).all(axis=None)
    assert measured["compiled"].isna().all()
    ratio = measured["reference"] / measured["ours"]
    assert torch.allclose(torch.tensor(measured["reference / ours"].values), torch.tensor(ratio.values))
    fig, ax = plt.subplots()
    benchmarks_ops.roofline(measured, ax, peak=100)
    assert len(ax.get_legend_handles_labels()[1]) == 4
    plt.close(fig)


def test_torch_compile_is_timed_beside_the_operations_that_are_not_matrix_products():
    with torch.compiler.set_stance("force_eager"):
        measured = benchmarks_ops.table("cpu", rounds=1, shapes=((1, 4, 8, 8),), images=(1, 3, 16, 16), compiled=True)
    noise = measured[measured["operation"] != "frequency_stem + backward"]
    assert (noise[["compiled", "compiled / ours", "first compiled call, s"]] > 0).all(axis=None) and len(noise) == 3
    assert tuple(measured.columns) == benchmarks_ops.COLUMNS


def test_candidates_are_timed_in_turn_so_that_a_busy_machine_meets_all_alike():
    order = []
    times = benchmarks_ops.paired({n: lambda n=n: order.append(n) for n in "ab"}, torch.device("cpu"), rounds=3)
    assert order == list("ab" * 4) and set(times) == {"a", "b"}
