"""Affinity propagation on sparse similarities (Frey and Dueck, Science 2007).

There are messages only for the stored similarities s(i, k), so the exemplar of a part must have a stored similarity to
it; Frey and Dueck advise this for large inputs. With the preference in s(k, k) and all messages 0 at first, an
iteration is

    r(i, k) <- s(i, k) - max over k' != k of ( a(i, k') + s(i, k') )
    a(i, k) <- min( 0, r(k, k) + sum over i' not in {i, k} of max(0, r(i', k)) )
    a(k, k) <- sum over i' != k of max(0, r(i', k))

each damped with its former value. k is an exemplar if r(k, k) + a(k, k) > 0. As in scikit-learn, a tiny noise breaks
ties, messages have converged if the exemplars were the same for a number of iterations, and at the end each cluster's
exemplar becomes the member with the highest sum of similarities to the others.

Messages are float32. Rows are processed in blocks that fit into the cache. Memory is needed for the similarities and
for two messages for each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

_ENTRIES = 1 << 17
"""Similarities that are processed at a time."""

_NOISE = np.float32(1e-6)
"""Relative size of the noise that breaks ties: a few rounding errors of float32."""


@dataclass(frozen=True)
class Settled:
    """The result of message passing.

    Attributes:
        labels: int64 (P,), the index in `exemplars` of each part's exemplar; -1 without a similarity to any of them.
        exemplars: int64 (C,), rising.
        iterations: Number of iterations.
    """

    labels: NDArray[np.int64]
    exemplars: NDArray[np.int64]
    iterations: int


def pass_messages(
    similarity: csr_array,
    preference: float,
    *,
    damping: float = 0.9,
    iterations: int = 1000,
    convergence: int = 100,
    seed: int = 0,
) -> Settled:
    """Affinity propagation of P parts on stored similarities.

    Args:
        similarity: float32 (P, P), P >= 1, sorted or not; its diagonal is not used, stored zeros count.
        preference: Of every part to be an exemplar.
        damping: In [0.5, 1).
        iterations: Most iterations, >= 1.
        convergence: Iterations without a change until convergence, >= 1.
        seed: Of the noise that breaks ties.

    Examples:
        >>> block = np.ones((3, 3), np.float32)
        >>> found = pass_messages(csr_array(np.kron(np.eye(2, dtype=np.float32), block)), 0.5)
        >>> found.labels.tolist(), len(found.exemplars)
        ([0, 0, 0, 1, 1, 1], 2)
    """
    graph = _with_diagonal(similarity, preference)
    noise = np.random.default_rng(seed).standard_normal(len(graph.data), dtype=np.float32)
    graph.data += _NOISE * np.maximum(np.abs(graph.data), np.float32(1e-6)) * noise
    messages = _Messages(graph, np.float32(damping))
    before, unchanged, done = np.zeros(graph.shape[0], dtype=np.bool_), 0, 0
    for done in range(1, iterations + 1):
        messages.respond()
        exemplar = messages.avail()
        unchanged = unchanged + 1 if np.array_equal(exemplar, before) else 1
        before = exemplar
        if done > convergence and unchanged >= convergence and exemplar.any():
            break
    return Settled(*_assign(graph, np.flatnonzero(before)), iterations=done)


def _with_diagonal(similarity: csr_array, preference: float) -> csr_array:
    """A copy in float32 with sorted rows and the preference on the whole diagonal."""
    graph = csr_array(similarity, dtype=np.float32, copy=True)
    graph.sum_duplicates()
    # Zeros are no entries to a sum of sparse matrices, so that the structure is added up in ones.
    structure = csr_array((np.ones(len(graph.data), np.float32), graph.indices, graph.indptr), graph.shape)
    structure = csr_array(structure + eye_array(graph.shape[0], dtype=np.float32, format="csr"))
    structure.sort_indices()
    own = structure.indices == _rows(structure)
    stored = graph.indices != _rows(graph)
    structure.data[~own] = graph.data[stored]
    structure.data[own] = preference
    return structure


def _rows(graph: csr_array) -> NDArray[np.int32]:
    """The row of each entry."""
    return np.repeat(np.arange(graph.shape[0], dtype=np.int32), np.diff(graph.indptr))


class _Messages:
    """The messages between parts, for each stored similarity both ways.

    Args:
        graph: Similarities, every diagonal entry stored.
        damping: In [0.5, 1).
    """

    def __init__(self, graph: csr_array, damping: np.float32) -> None:
        self._graph = graph
        self._keep, self._take = damping, np.float32(1) - damping
        self._own = np.flatnonzero(graph.indices == _rows(graph))
        self._blocks = _blocks(graph.indptr)
        self._responsibility = np.zeros_like(graph.data)
        self._availability = np.zeros_like(graph.data)
        self._support = np.zeros(graph.shape[0])

    def respond(self) -> None:
        """New responsibilities, and their sums over columns."""
        self._support[:] = 0
        for rows in self._blocks:
            start, end = self._graph.indptr[rows.start], self._graph.indptr[rows.stop]
            entries = slice(start, end)
            starts = self._graph.indptr[rows] - start
            lengths = np.diff(self._graph.indptr[rows.start : rows.stop + 1])
            similar = self._graph.data[entries]
            sums = similar + self._availability[entries]
            highest = np.maximum.reduceat(sums, starts)
            new = np.repeat(highest, lengths)
            best = np.flatnonzero(sums == new)
            best = best[np.searchsorted(best, starts)]  # the first of each row
            sums[best] = -np.inf
            second = np.maximum.reduceat(sums, starts)
            np.subtract(similar, new, out=new)
            # A part alone has no second: it is its own exemplar whatever the messages are.
            new[best] = np.where(np.isfinite(second), similar[best] - second, np.float32(1))
            new *= self._take
            message = self._responsibility[entries]
            message *= self._keep
            message += new
            support = np.maximum(message, 0, out=new)
            own = self._own[rows] - start
            support[own] = message[own]
            self._support += np.bincount(self._graph.indices[entries], support, len(self._support))

    def avail(self) -> NDArray[np.bool_]:
        """New availabilities; bool (P,), which parts are exemplars now."""
        support = self._support.astype(np.float32)
        for rows in self._blocks:
            start, end = self._graph.indptr[rows.start], self._graph.indptr[rows.stop]
            entries = slice(start, end)
            message = self._responsibility[entries]
            own = self._own[rows] - start
            new = support[self._graph.indices[entries]]
            new -= np.maximum(message, 0)
            np.minimum(new, 0, out=new)
            new[own] = support[rows] - message[own]
            new *= self._take
            available = self._availability[entries]
            available *= self._keep
            available += new
        chosen: NDArray[np.bool_] = self._responsibility[self._own] + self._availability[self._own] > 0
        return chosen


def _blocks(indptr: NDArray[np.integer]) -> list[slice]:
    """Rows in runs of about `_ENTRIES` entries, at least one row each."""
    blocks, first, rows = [], 0, len(indptr) - 1
    while first < rows:
        last = int(np.searchsorted(indptr, indptr[first] + _ENTRIES, side="right")) - 1
        last = min(max(last, first + 1), rows)
        blocks.append(slice(first, last))
        first = last
    return blocks


def _assign(graph: csr_array, exemplars: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels (P,) and exemplars (C,): each part goes to its nearest exemplar, which is then chosen anew."""
    nearest = _nearest(graph, exemplars)
    chosen = exemplars.copy()
    order = np.argsort(nearest, kind="stable")
    starts = np.searchsorted(nearest[order], np.arange(len(exemplars) + 1))
    for cluster in range(len(exemplars)):
        members = order[starts[cluster] : starts[cluster + 1]]
        chosen[cluster] = members[np.asarray(graph[members][:, members].sum(axis=0)).argmax()]
    nearest = _nearest(graph, chosen)
    centers, place = np.unique(chosen, return_inverse=True)
    labels = np.where(nearest < 0, -1, place[nearest] if len(place) else -1).astype(np.int64)
    return labels, centers


def _nearest(graph: csr_array, exemplars: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of the exemplar with the highest stored similarity to each part, the first of equals; -1 for none."""
    parts = graph.shape[0]
    nearest = np.full(parts, -1, dtype=np.int64)
    place = np.full(parts, -1, dtype=np.int32)
    place[exemplars] = np.arange(len(exemplars))
    row, column = _rows(graph), place[graph.indices]
    found = np.flatnonzero(column >= 0)
    # The last one written to a part stays: its highest similarity, the first exemplar of equals.
    order = found[np.lexsort((-column[found], graph.data[found], row[found]))]
    nearest[row[order]] = column[order]
    nearest[exemplars] = np.arange(len(exemplars))
    return nearest
