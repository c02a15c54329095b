"""All of clustering, on parts whose location nothing may read."""

import ast
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from visual_summaries.clustering.clusters.find import Rows, find_clusters
from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.matching.pairs import nearest_pairs
from visual_summaries.clustering.metrics.stability import StabilityOptions, stability
from visual_summaries.clustering.options import AffinityOptions, PruneOptions

INPUTS, KINDS = 16, 3
ROOM = Path(__file__).parents[2] / "clustering"


class Opaque:
    """A location that nobody can look into."""

    def __getattribute__(self, name):
        raise AssertionError(f"the location was read: {name}")

    def __getitem__(self, index):
        raise AssertionError("the location was read")

    def __len__(self):
        raise AssertionError("the location was read")


def planted(neighbours=None):
    """A candidate of each of three kinds in each input, and one of none; parts are those of the first two inputs in
    three, so that completing has something to find."""
    rng = np.random.default_rng(0)
    kind, owner = np.tile([*range(KINDS), -1], INPUTS), np.repeat(np.arange(INPUTS), KINDS + 1)
    noise = rng.uniform(0.1, 0.15, (len(kind), len(kind)))
    alike = np.where((kind[:, None] == kind) & (kind >= 0), 0.8, (noise + noise.T) / 2)
    alike = np.where(owner[:, None] == owner, 0, alike)
    pairs = None
    if neighbours is not None:
        turn = np.arange(INPUTS) * 0.1
        pairs = nearest_pairs(np.stack([np.cos(turn), np.sin(turn)], 1), neighbours)
        near = np.zeros((INPUTS, INPUTS), bool)
        near[tuple(pairs.T)] = near[tuple(pairs.T[::-1])] = True
        alike = np.where(near[owner][:, owner], alike, 0)
    parts = np.flatnonzero((kind >= 0) & (owner % 3 < 2))
    return kind, Matched(csr_array(alike[:, parts].astype(np.float32)), owner, parts, Opaque(), pairs)


def look(kind):
    """How alike candidates look: those of one kind are."""

    def compare(candidates):
        of = kind[np.array(candidates, dtype=np.int64)]
        return np.where(of[:, None] == of, 1.0, 0.1)

    return compare


@pytest.mark.parametrize("neighbours", [None, 8])
def test_planted_kinds_are_found_in_all_inputs_wherever_parts_lie(neighbours):
    kind, matched = planted(neighbours)
    options = PruneOptions()
    found = find_clusters(matched, look(kind), affinity=AffinityOptions(preference=0.5), pruning=options, seed=0)
    kept = [group for group in found.groups if not group.reason]
    members = [[found.rows.candidate(row) for row in group.stay] for group in kept]
    assert sorted(kind[one[0]] for one in members) == list(range(KINDS))
    for one in members:
        assert len(set(kind[one])) == 1
        assert sorted(matched.owner[one]) == list(range(INPUTS))  # those of no part too: it was completed


def test_members_that_look_unlike_leave_and_stay_away():
    kind, matched = planted()
    odd = {int(candidate) for candidate in np.flatnonzero((matched.owner == 3) & (kind >= 0))}

    def compare(candidates):
        strange = np.array([candidate in odd for candidate in candidates])
        return np.where(np.eye(len(candidates), dtype=bool) | ~(strange[:, None] | strange), 1.0, 0.0)

    found = find_clusters(
        matched,
        compare,
        affinity=AffinityOptions(preference=0.5),
        pruning=PruneOptions(),
        seed=0,
    )
    kept = [group for group in found.groups if not group.reason]
    assert len(kept) == KINDS
    exemplars = {group.exemplar for group in kept}
    for group in kept:
        members = {found.rows.candidate(row) for row in group.stay if row not in exemplars}
        assert not members & odd


def test_rows_number_parts_first_and_others_as_they_come():
    _, matched = planted()
    rows, count = Rows(matched), len(matched.parts)
    assert len(rows) == count
    other = next(candidate for candidate in range(len(matched.owner)) if candidate not in matched.parts)
    assert rows.add(int(matched.parts[5])) == 5
    assert rows.add(other) == rows.add(other) == count
    assert rows.candidate(count) == other
    assert rows.owner(count) == matched.owner[other]
    assert rows.owner(count) != rows.owner(5)
    assert rows.similarity(count, 5, []) == matched.similarity[[other]].toarray()[0, 5]


def test_clusters_are_stable_wherever_parts_lie():
    kind, matched = planted()

    def cluster(parts, seed):
        return {"truth": kind[matched.parts[parts]]}

    found = stability(cluster, matched.part_owner, {"truth": np.arange(4)}, seed=0, options=StabilityOptions(1, 3))
    assert found["truth"].samples == (1.0, 1.0, 1.0)


CODE = [*sorted((ROOM / "clusters").glob("*.py")), ROOM / "metrics" / "stability.py", ROOM / "metrics" / "cohesion.py"]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.stem)
def test_code_of_clusters_does_not_name_locations(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    read = {node.attr for node in attributes if not (isinstance(node.value, ast.Name) and node.value.id == "np")}
    assert not read & {"where", "boxes", "corners", "region"}
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any("clustering.parts" in module or module == "cv2" for module in modules)
