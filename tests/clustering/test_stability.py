"""Clusters that come out again, clusters that do not, and what is drawn."""

import numpy as np
import pytest

from visual_summaries.clustering.metrics.stability import Stability, StabilityOptions, stability

IMAGE = np.repeat(np.arange(12), 5)
TRUTH = np.tile(np.arange(5), 12)


class Recorder:
    """Three methods: one that knows the truth, one of chance, and one that follows the seed."""

    def __init__(self):
        self.calls = []
        self.generator = np.random.default_rng(0)

    def __call__(self, parts, seed):
        self.calls.append((parts, seed))
        turned = (TRUTH[parts] + seed) % 5  # other names, the same clusters
        chance = self.generator.integers(0, 5, len(parts))
        return {"truth": turned, "chance": chance, "seed": TRUTH[parts] // (1 + seed % 2 * 4)}


def run(cluster=None, **options):
    kept = {"truth": np.arange(60), "chance": np.arange(60), "seed": np.arange(0, 60, 5)}
    return stability(cluster or Recorder(), IMAGE, kept, seed=4, options=StabilityOptions(**options))


def test_the_same_clusters_have_one_and_chance_has_nought():
    found = run(seeds=6, samples=30)
    assert set(found["truth"].seeds) == set(found["truth"].samples) == set(found["truth"].kept) == {1.0}
    assert found["truth"].interval == (1.0, 1.0)
    assert abs(np.mean(found["chance"].samples)) < 0.03
    assert abs(np.mean(found["chance"].seeds)) < 0.05
    assert found["seed"].seeds == (0.0, 1.0, 0.0, 1.0, 0.0, 1.0)
    assert found["seed"].kept == (1.0,) * 30  # on its kept parts there is one cluster, always


def test_samples_are_whole_images_about_two_thirds_of_them():
    recorder = Recorder()
    run(recorder, seeds=2, samples=200)
    assert [len(parts) for parts, _ in recorder.calls[:3]] == [60] * 3
    assert [seed for _, seed in recorder.calls] == [4, 5, 6] + [4] * 200
    drawn = [parts for parts, _ in recorder.calls[3:]]
    for parts in drawn:
        assert np.array_equal(parts, np.flatnonzero(np.isin(IMAGE, IMAGE[parts])))
    assert np.mean([len(parts) / 60 for parts in drawn]) == pytest.approx(1 - (11 / 12) ** 12, abs=0.02)


def test_only_common_parts_are_compared():
    """A method that splits one image's parts off when it sees all images, and not otherwise."""

    def cluster(parts, seed):
        labels = TRUTH[parts].copy()
        if len(parts) == 60:
            labels[IMAGE[parts] == 0] = 7
        return {"split": labels}

    found = stability(cluster, IMAGE, {"split": np.arange(5, 60)}, seed=0, options=StabilityOptions(0, 40))
    assert set(found["split"].kept) == {1.0}
    assert 1.0 in found["split"].samples  # where image 0 is not drawn
    assert min(found["split"].samples) < 1


def test_the_same_seed_gives_the_same():
    assert run(seeds=2, samples=5) == run(seeds=2, samples=5)


def test_progress_counts_all_clusterings():
    told = []
    kept = {"truth": np.arange(60), "chance": np.arange(60), "seed": np.zeros(0, np.int64)}
    found = stability(
        Recorder(),
        IMAGE,
        kept,
        seed=0,
        options=StabilityOptions(2, 3),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 6) for done in range(1, 7)]
    assert found["seed"].kept == ()


@pytest.mark.parametrize("images", [0, 1])
def test_too_few_images_to_compare(images):
    image = np.zeros(3 * images, np.int64)
    found = stability(Recorder(), image, {"truth": np.zeros(0, np.int64)}, seed=0)
    assert found == {"truth": Stability((), (), ())}
    assert found["truth"].interval is None


def test_two_images_are_always_both_drawn():
    recorder = Recorder()
    kept = {name: np.arange(10) for name in ("truth", "chance", "seed")}
    stability(recorder, IMAGE[:10], kept, seed=0, options=StabilityOptions(0, 20))
    assert all(len(parts) == 10 for parts, _ in recorder.calls)
