"""What is special to embedding_bag and segment_reduce: bags of any size, absent entries, ties, any number of threads."""

import pytest
import torch
import torch.nn.functional as F
from cases import TRITON, rungs
from torch._subclasses import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

import scratchnet
from scratchnet import nn, profile, segment_reduce
from scratchnet.columns import kernel
from scratchnet.functions.embedding_bag import _kept_starts
from scratchnet.nn.functional import embedding_bag
from scratchnet.ops import OPS
from scratchnet.ops.embedding_bag import MODES, EmbeddingBagOptions

RUNGS = rungs("embedding_bag")
BACKENDS = (*RUNGS, "numpy", "reference", None)
COLUMNS = (*RUNGS, TRITON)
INF, NAN = float("inf"), float("nan")
BAGS = {
    "offsets": (torch.randint(6, (40,)), torch.tensor([0, 0, 3, 17, 17, 18]), {}),
    "last offset": (
        torch.randint(6, (40,), dtype=torch.int32),
        torch.tensor([0, 9, 9, 40], dtype=torch.int32),
        {"include_last_offset": True},
    ),
    "rows": (torch.randint(6, (7, 5)), None, {}),
    "padding": (torch.randint(6, (5, 4)).fill_diagonal_(2), None, {"padding_idx": -4}),
    "one long bag": (torch.randint(6, (3000,)), torch.zeros(1, dtype=torch.int64), {"padding_idx": 0}),
    "nothing but padding": (torch.full((3, 2), 1), None, {"padding_idx": 1}),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("columns", (1, 33, 150))
@pytest.mark.parametrize("bags", BAGS)
@pytest.mark.parametrize("mode, weighted", (("sum", False), ("sum", True), ("mean", False), ("max", False)))
def test_equals_torch(mode, weighted, bags, columns, backend):
    index, offsets, options = BAGS[bags]
    table, scale = torch.randn(columns, 6, dtype=torch.float64).t(), torch.randn(index.shape, dtype=torch.float64)
    results = []
    for call in (embedding_bag, F.embedding_bag):
        leaves = [table.clone().requires_grad_(), scale.clone().requires_grad_()]
        with scratchnet.backend(backend):
            y = call(index, leaves[0], offsets, mode=mode, per_sample_weights=leaves[1] if weighted else None, **options)
            y.backward(torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape))
        results.append([y.detach(), *[leaf.grad for leaf in leaves[: 1 + weighted]]])
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", (*BACKENDS, TRITON))
def test_of_equals_the_first_is_the_largest(backend):
    """And NaN, where it is the first of its bag: torch's comparison is v > best."""
    table = torch.tensor([[NAN, 1.0, -INF], [2.0, NAN, -INF], [2.0, 3.0, -INF]], requires_grad=True)
    with scratchnet.backend(backend):
        y = embedding_bag(torch.tensor([0, 1, 2, 1, 2, 1]), table, torch.tensor([0, 3, 6]), mode="max")
        y.backward(torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0], [64.0, 64.0, 64.0]]))
    torch.testing.assert_close(y, torch.tensor([[NAN, 3.0, -INF], [2.0, NAN, -INF], [0, 0, 0]]), equal_nan=True)
    assert torch.equal(table.grad, torch.tensor([[1.0, 0, 4.0], [8.0, 16.0, 32.0], [0, 2.0, 0]]))


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
@pytest.mark.parametrize("backend", RUNGS)
def test_sixteen_bit_sums_are_rounded_once(backend, dtype):
    """4,096 ones: a 16-bit sum stops growing at 256 (bfloat16) or 2,048 (float16)."""
    table, index = torch.ones(3, 40, dtype=dtype, requires_grad=True), torch.ones(1, 4096, dtype=torch.int64)
    with scratchnet.backend(backend):
        y = embedding_bag(index, table, mode="sum")
        y.sum().backward()
    assert torch.equal(y, torch.full((1, 40), 4096, dtype=dtype))
    assert torch.equal(table.grad, torch.tensor([[0.0], [4096.0], [0.0]]).to(dtype).expand(3, 40))


def test_the_same_bits_for_any_number_of_threads():
    """A bag with a third of all entries, a row that occurs in every bag."""
    table, index = torch.randn(4000, 96), torch.randint(4000, (30_000,))
    index[::7] = 5
    offsets = torch.cat((torch.tensor([0, 10_000]), torch.randint(10_000, 30_000, (900,)).sort().values))
    scale, before, results = torch.randn(30_000), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found = []
            for mode in ("sum", "mean", "max"):
                leaves = [table.clone().requires_grad_(), scale.clone().requires_grad_()][: 1 + (mode == "sum")]
                with scratchnet.backend("cpp"):
                    y = embedding_bag(index, leaves[0], offsets, mode=mode, per_sample_weights=(*leaves, None)[1])
                found += [y.detach(), *torch.autograd.grad(y.sin().sum(), leaves)]
            results.append(found)
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=0)
    sums = lambda table, scale: F.embedding_bag(index, table, offsets, mode="sum", per_sample_weights=scale)
    exact = sums(table.double(), scale.double())  # of 10,000 terms no two float32 sums agree to the last digits
    error, own = ((y - exact).abs().max() for y in (results[0][0], sums(table, scale)))
    assert error <= 2 * own


@pytest.mark.parametrize("backend", (*BACKENDS, TRITON))
@pytest.mark.parametrize("shape", ((9,), (9, 4), (9, 2, 3)), ids=str)
@pytest.mark.parametrize("reduce", ("sum", "mean"))
def test_segments_equal_torch(reduce, shape, backend):
    data, lengths = torch.randn(shape, dtype=torch.float64), torch.tensor([0, 4, 1, 0, 4])
    offsets, results = torch.tensor([0, 0, 4, 5, 5, 9]), []
    for call, given in (
        (segment_reduce, {"lengths": lengths}),
        (segment_reduce, {"offsets": offsets}),
        (torch.segment_reduce, {"lengths": lengths}),
    ):
        leaf = data.clone().requires_grad_()
        with scratchnet.backend(backend):
            y = call(leaf, reduce, **given)
            (grad,) = torch.autograd.grad(y, leaf, torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape))
        results.append((y.detach(), grad))
    torch.testing.assert_close(results[0], results[2], equal_nan=True)
    torch.testing.assert_close(results[1], results[2], equal_nan=True)
    for part in ([1, 3, 3, 7], [4, 4], [9, 9, 9]):  # the other rows belong to no segment
        with scratchnet.backend(backend):
            ours = segment_reduce(data, reduce, offsets=torch.tensor(part))
        torch.testing.assert_close(ours, torch.segment_reduce(data, reduce, offsets=torch.tensor(part)), equal_nan=True)


def test_segments_that_do_not_fit_raise_as_in_torch():
    data = torch.ones(4, 2)
    for given, words in (([3, 2], "to sum to data.size.0., 4: got 5"), ([5, -1], "contains negative value"), ([], "Expected")):
        for call, said in ((torch.segment_reduce, ""), (segment_reduce, words)):
            with pytest.raises(RuntimeError, match=said):
                call(data, "sum", lengths=torch.tensor(given, dtype=torch.int64))
    for offsets in ([1, 5], [-1, 4]):  # torch reads past data
        with pytest.raises(RuntimeError, match=r"segment_reduce\(\): argument 'offsets'.* from 0 to data.size.0., 4: got"):
            segment_reduce(data, "sum", offsets=torch.tensor(offsets))
    assert torch.equal(segment_reduce(data, "max", lengths=torch.tensor([4])), torch.ones(1, 2))
    assert torch.equal(segment_reduce(data, "sum", lengths=torch.tensor([[1, 1]] * 4), axis=1), data)


def test_the_layer_is_torchs_with_our_sums():
    torch.manual_seed(0)
    theirs = torch.nn.EmbeddingBag(7, 4, mode="sum", padding_idx=-2)
    torch.manual_seed(0)
    ours = nn.EmbeddingBag(7, 4, mode="sum", padding_idx=-2)
    assert repr(ours) == repr(theirs) and torch.equal(ours.weight, theirs.weight) and isinstance(ours, torch.nn.EmbeddingBag)
    index, offsets, scale = torch.tensor([1, 5, 6, 2, 2]), torch.tensor([0, 2]), torch.rand(5)
    torch.testing.assert_close(ours(index, offsets, scale), theirs(index, offsets, scale))
    assert not nn.EmbeddingBag.from_pretrained(theirs.weight.detach()).weight.requires_grad
    model = torch.nn.Sequential(torch.nn.EmbeddingBag(7, 4), torch.nn.Linear(4, 2))
    expected = model(index.view(1, -1))
    scratchnet.accelerate(model)
    assert type(model[0]).__module__.startswith("scratchnet")
    torch.testing.assert_close(model(index.view(1, -1)), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", (None, -1))
@pytest.mark.parametrize("dtype", (torch.int64, torch.int32))
def test_the_bits_of_a_small_call_are_torchs(mode, padding, dtype, monkeypatch):
    """It goes to torch's operator without torch's function."""
    monkeypatch.setattr(profile, "ours", lambda *call: False)
    table, index = torch.randn(5, 3, requires_grad=True), torch.tensor([[0, 4, 3], [1, 1, 4]], dtype=dtype)
    starts = torch.tensor([0, 2, 6], dtype=dtype)
    for last in (False, True):
        for input, offsets in ((index, None), (index.T, None), (index.reshape(-1), starts)):
            options = {"offsets": offsets, "mode": mode, "padding_idx": padding, "include_last_offset": last}
            results = []
            for function in (scratchnet.backend(None)(embedding_bag), F.embedding_bag):
                y = function(input, table, **options)
                results.append((y, *torch.autograd.grad(y.square().sum(), table)))
            torch.testing.assert_close(*results, rtol=0, atol=0)


def test_what_a_small_call_keeps_serves_every_later_one(monkeypatch):
    """Where the bags begin, made in inference mode, beside a fake tensor or under a mode, is saved for a gradient later."""
    monkeypatch.setattr(profile, "ours", lambda *call: False)
    table, index = torch.randn(5, 3, requires_grad=True), torch.tensor([[0, 4, 3], [1, 1, 4]])
    for first in (
        torch.inference_mode(),
        FakeTensorMode(allow_non_fake_inputs=True),
        torch.device("meta"),
        FlopCounterMode(display=False),
    ):
        _kept_starts.cache_clear()
        with scratchnet.backend(None), first:
            embedding_bag(index, table, mode="sum")
        with scratchnet.backend(None):
            y = embedding_bag(index, table, mode="sum")
        torch.testing.assert_close(y, F.embedding_bag(index, table, mode="sum"), rtol=0, atol=0)
        (grad,) = torch.autograd.grad(y.sum(), table)
        assert grad[:, 0].tolist() == [1, 2, 0, 1, 2]


def test_a_wrong_index_is_found_before_max_norm_shrinks_a_row():
    for function, error in ((nn.functional.embedding, IndexError), (embedding_bag, IndexError)):
        table = torch.ones(5, 3)
        with scratchnet.backend(None), pytest.raises(error, match="index out of range.*5"):
            function(torch.tensor([[0, 5]]), table, max_norm=0.5)
        assert torch.equal(table, torch.ones(5, 3))


def test_what_is_torchs_own():
    table, index = torch.randn(5, 3, requires_grad=True), torch.tensor([[0, 1], [1, 4]])
    (sparse,) = torch.autograd.grad(embedding_bag(index, table, sparse=True, mode="sum").sum(), table)
    assert sparse.is_sparse and torch.equal(sparse.to_dense()[:, 0], torch.tensor([1.0, 2.0, 0, 0, 1.0]))
    ours, theirs = torch.ones(5, 3), torch.ones(5, 3)
    assert torch.equal(embedding_bag(index, ours, max_norm=0.5), F.embedding_bag(index, theirs, max_norm=0.5))
    assert torch.equal(ours, theirs) and ours[0, 0] < 1
    none = torch.zeros(0, dtype=torch.int64)
    assert torch.equal(embedding_bag(none, table, none[:0].new_zeros(2)), torch.zeros(2, 3))


def raw(backend, direction):
    """The kernel itself; options as mode and padding_idx."""
    column, _, rung = backend.partition(":")
    return kernel(OPS["embedding_bag"], column, direction, int(rung) if rung else None)


@pytest.mark.parametrize("backend", COLUMNS)
@pytest.mark.parametrize(
    "index, offsets", (([0, 5], [0, 2]), ([-1, 0], [0, 2]), ([0, 1], [1, 2]), ([0, 1], [0, 3]), ([0, 1, 2], [0, 2, 1]))
)
def test_the_raw_kernels_find_what_is_out_of_range(index, offsets, backend):
    table, index, offsets = torch.ones(5, 3), torch.tensor(index), torch.tensor(offsets)
    for mode in (0, 1, 2):
        with pytest.raises(IndexError, match=r"index.* out of range"):
            raw(backend, "forward")(table, index, offsets, None, EmbeddingBagOptions(mode, -1))
    which = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(IndexError, match="out of range"):
        grad = torch.ones(len(offsets) - 1, 3)
        raw(backend, "backward")(grad, table, index, offsets, None, which, EmbeddingBagOptions(0, -1), True, False)


@pytest.mark.parametrize("backend", RUNGS)
def test_a_maximum_knows_rows_beyond_2_31(backend):
    """A table of so many rows that they do not fit into 32 bits, all of them one row of memory."""
    last = 2**31 + 8
    table = torch.linspace(-1, 1, 150).expand(last + 1, 150)
    index, offsets = torch.tensor([3, last, last - 2**31, last]), torch.tensor([0, 1, 3, 4])
    y, which = raw(backend, "forward")(table, index, offsets, None, EmbeddingBagOptions(2, 3))
    assert torch.equal(y, table[:1] * torch.tensor([[0.0], [1.0], [1.0]]))
    assert which.tolist() == [[-1] * 150, [last] * 150, [last] * 150]


@pytest.mark.parametrize("backend", COLUMNS)
def test_what_lies_behind_the_last_bag_is_not_read(backend):
    index, scale, options = torch.tensor([0, 1, 99]), torch.tensor([2.0, 3.0, NAN]), EmbeddingBagOptions(0, -1)
    table = torch.tensor([[1.0], [10.0]])
    for offsets, wanted in (([0, 2], [[32.0]]), ([0], [])):
        offsets = torch.tensor(offsets)
        y, which = raw(backend, "forward")(table, index, offsets, scale, options)
        assert y.tolist() == wanted
        grads = raw(backend, "backward")(torch.ones_like(y), table, index, offsets, scale, which, options, True, True)
        assert [g.flatten().tolist() for g in grads] == ([[2.0, 3.0], [1.0, 10.0, 0.0]] if wanted else [[0.0, 0.0], [0.0] * 3])


def test_offsets_that_fall_are_refused():
    """No row of wrong calls: torch reads past its index there, and whether it raises depends on what it finds."""
    with pytest.raises(RuntimeError, match=r"argument 'offsets': .*have to rise.*\[0, 2, 1\].*cumsum"):
        embedding_bag(torch.tensor([0, 1, 2]), torch.randn(5, 2), torch.tensor([0, 2, 1]))
