"""What holds of the draws of any cohort, seed and number of processes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

from covidlit.datamodules.balance import balanced_order, draw_weights
from covidlit.datamodules.sampling import Draw, EpochSampler, draw_order

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=60)


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Class and centre of each scan; two to four classes, all of them in centre "a"."""
    n_classes = draw(st.integers(2, 4))
    rest = draw(
        st.lists(st.tuples(st.integers(0, n_classes - 1), st.sampled_from("abc")), max_size=60)
    )
    rows = [(name, "a") for name in range(n_classes)] + rest
    classes, centres = zip(*rows, strict=True)
    return np.array(classes), np.array(centres, dtype=object)


def draws_of(
    size: int, seed: int, epoch: int, batch: int, world_size: int, weights: object, classes: object
) -> list[list[Draw]]:
    """The batches of all processes together; `batch` per process."""
    shares = []
    for rank in range(world_size):
        sampler = EpochSampler(
            TensorDataset(torch.zeros(size)), seed=seed, rank=rank, world_size=world_size,
            weights=weights, classes=classes,  # type: ignore[arg-type]
        )  # fmt: skip
        sampler.set_epoch(epoch)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler)
    steps = range(0, len(shares[0]), batch)
    return [
        [one for together in zip(*(s[k : k + batch] for s in shares), strict=True)
         for one in together]
        for k in steps
    ]  # fmt: skip


@few
@given(size=st.integers(1, 80), seed=SEEDS, epoch=st.integers(0, 1000), shuffle=st.booleans())
def test_every_scan_is_drawn_once(size: int, seed: int, epoch: int, shuffle: bool) -> None:
    draws = draw_order(size, seed=seed, epoch=epoch, shuffle=shuffle)
    rows = [draw.row for draw in draws]
    assert sorted(rows) == list(range(size))
    assert shuffle or rows == list(range(size))
    assert {draw[1:] for draw in draws} == {(epoch, 0, True)}
    assert draws == draw_order(size, seed=seed, epoch=epoch, shuffle=shuffle)


@few
@given(
    cohort=cohorts(), seed=SEEDS, epoch=st.integers(0, 1000),
    balanced=st.sampled_from([False, "class", "centre"]),
    batch=st.integers(1, 5), world_size=st.integers(1, 5),
)  # fmt: skip
def test_processes_together_draw_what_one_draws(
    cohort: tuple[NDArray[np.int64], NDArray[np.object_]],
    seed: int, epoch: int, balanced: bool | str, batch: int, world_size: int,
) -> None:  # fmt: skip
    classes, centres = cohort
    weights = draw_weights(balanced, classes, centres)
    arguments = (len(classes), seed, epoch)
    together = draws_of(*arguments, batch, world_size, weights, classes)
    alone = draws_of(*arguments, batch * world_size, 1, weights, classes)
    assert [[one for one in some if one.counts] for some in together] == alone
    assert together == draws_of(*arguments, batch, world_size, weights, classes)


@few
@given(cohort=cohorts(), seed=SEEDS, balanced=st.sampled_from(["class", "centre"]))
def test_a_scan_is_drawn_as_often_as_its_weight_asks_rounded(
    cohort: tuple[NDArray[np.int64], NDArray[np.object_]], seed: int, balanced: str
) -> None:
    classes, centres = cohort
    size = len(classes)
    weights = draw_weights(balanced, classes, centres)
    assert weights is not None
    assert np.isclose(weights.sum(), 1)
    n_classes = len(np.unique(classes))
    shares = [weights[classes == name].sum() for name in range(n_classes)]
    np.testing.assert_allclose(shares, 1 / n_classes)
    draws = draw_order(size, seed=seed, epoch=0, weights=weights, classes=classes)
    assert len(draws) == size
    counts = np.bincount([draw.row for draw in draws], minlength=size)
    assert (np.abs(counts - size * weights) < 1 + 1e-9).all()
    assert len(set(draws)) == size, "a scan drawn again is another draw"


@few
@given(
    counts=st.lists(st.integers(20, 80), min_size=2, max_size=4),
    seed=SEEDS,
    batch=st.integers(2, 24),
)
def test_every_batch_has_each_class_in_its_share(counts: list[int], seed: int, batch: int) -> None:
    classes = np.repeat(np.arange(len(counts)), counts)
    weights = draw_weights("class", classes, np.full(len(classes), "a", dtype=object))
    assert weights is not None
    drawn = classes[balanced_order(weights, classes, np.random.default_rng(seed))]
    # A class has one draw in each of as many equal stretches of the epoch as it has draws. Either
    # end of a batch cuts a stretch of every class, which moves its own share and the batch's ends.
    for start in range(0, len(drawn), batch):
        some = drawn[start : start + batch]
        for name in range(len(counts)):
            share = (drawn == name).mean()
            bound = 2 * (1 - share) + 2 * share * (len(counts) - 1)
            assert abs((some == name).sum() - share * len(some)) < bound
