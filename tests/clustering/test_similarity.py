import dataclasses
import tracemalloc

import cv2
import numpy as np
import pytest

from tests.reference.similarity import similarity as dense_similarity
from visual_summaries.clustering.descriptors.hog import describe
from visual_summaries.clustering.matching.pairs import all_pairs
from visual_summaries.clustering.matching.proposal_flow import Features, match, mirror
from visual_summaries.clustering.matching.similarity import similarity
from visual_summaries.clustering.options import MatchingOptions, SimilarityOptions
from visual_summaries.summaries.stages.work_files import TileFolder


@pytest.fixture
def images(boxes):
    rng = np.random.default_rng(0)
    features = [
        Features(rng.normal(size=(m, 40)).astype(np.float32), boxes(m, seed=k), (224, 224))
        for k, m in enumerate([30, 25, 0, 41, 30, 22, 18, 35, 27, 1])
    ]
    kept = [rng.random(len(one.boxes)) < 0.4 for one in features]
    kept[5][:] = False
    return features, kept


def test_agrees_with_a_loop_over_pairs(images):
    features, kept = images
    result = similarity(features.__getitem__, kept)
    parts = [(image, row) for image, flags in enumerate(kept) for row in np.flatnonzero(flags)]
    assert list(zip(result.image, result.proposal, strict=True)) == parts
    scores = {(i, j): match(a, b) for i, a in enumerate(features) for j, b in enumerate(features) if i != j}
    expected = np.zeros((len(parts), len(parts)))
    for k, (i, row) in enumerate(parts):
        for other, (j, column) in enumerate(parts):
            if i != j:
                forward, backward = float(scores[i, j][row, column]), float(scores[j, i][column, row])
                expected[k, other] = np.sqrt(forward * backward)
    assert result.matrix == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert np.array_equal(result.matrix, result.matrix.T)
    for k, row in enumerate(expected):
        others = row[result.image != parts[k][0]]
        assert result.quality[k] == pytest.approx(np.sort(others)[::-1][:100].mean(), rel=1e-4)


def test_mirror_takes_the_direction_from_the_earlier_image(images):
    features, kept = images
    result = similarity(features.__getitem__, kept, SimilarityOptions(symmetry="mirror"))
    rows, columns = result.image == 3, result.image == 4
    expected = match(features[3], features[4])[np.ix_(kept[3], kept[4])]
    assert np.array_equal(result.matrix[np.ix_(rows, columns)], expected)
    assert np.array_equal(result.matrix[np.ix_(columns, rows)], expected.T)


@pytest.mark.parametrize("jobs", [2, 3, 16])
def test_any_number_of_threads_gives_the_same_bits(images, threads, jobs):
    features, kept = images
    one, many = (similarity(features.__getitem__, kept, each=threads(n)) for n in (1, jobs))
    for name in ("matrix", "image", "proposal", "quality"):
        assert np.array_equal(getattr(one, name), getattr(many, name))


def test_progress_counts_every_pair_once(images):
    features, kept = images
    seen = []
    similarity(features.__getitem__, kept, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (45, 45)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_images_are_loaded_lazily(images):
    features, kept = images
    loaded = []

    def load(index):
        loaded.append(index)
        return features[index]

    similarity(load, kept)
    assert 2 not in loaded
    assert 5 not in loaded  # nothing kept: never needed


def test_few_images():
    nothing = similarity(lambda index: pytest.fail("no image"), [])
    assert nothing.matrix.shape == (0, 0)
    flags = np.array([True, False, True])
    single = similarity(lambda index: pytest.fail("no pair"), [flags])
    assert single.matrix.tolist() == [[0, 0], [0, 0]]
    assert single.quality.tolist() == [0, 0]


def test_top_bounds_the_quality(images):
    features, kept = images
    options = SimilarityOptions(matching=MatchingOptions(method="nam"), top=1)
    result = similarity(features.__getitem__, kept, options)
    assert result.quality == pytest.approx(result.matrix.max(axis=1))
    more = similarity(features.__getitem__, kept, dataclasses.replace(options, top=5))
    assert (more.quality <= result.quality).all()


def test_flags_must_fit_the_boxes(images):
    features, kept = images
    kept[0] = np.ones(3, bool)
    with pytest.raises(ValueError, match="kept"):
        similarity(features.__getitem__, kept)


def test_an_image_that_looks_the_other_way_is_matched_mirrored():
    rng = np.random.default_rng(5)
    image = cv2.resize(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8), (128, 128), interpolation=cv2.INTER_CUBIC)
    corners = rng.integers(4, 70, (40, 2))
    boxes = np.hstack([corners, corners + rng.integers(20, 50, (40, 2))]).astype(np.float32)
    turned, turned_boxes = np.ascontiguousarray(image[:, ::-1]), mirror(boxes, 128)
    np.testing.assert_array_equal(mirror(turned_boxes, 128), boxes)

    def features(picture, places):
        other = np.ascontiguousarray(picture[:, ::-1])
        return Features(describe(picture, places), places, (128, 128), describe(other, mirror(places, 128)))

    both = [features(image, boxes), features(turned, turned_boxes)]
    kept = [np.ones(40, dtype=bool)] * 2

    def found(mirrored):
        matrix = similarity(both.__getitem__, kept, SimilarityOptions(mirrored=mirrored)).matrix
        return np.mean(matrix[:40, 40:].argmax(axis=1) == np.arange(40))

    assert found(True) > 0.9
    assert found(False) < 0.5


def with_mirrored(features):
    rng = np.random.default_rng(8)
    return [
        dataclasses.replace(one, mirrored=rng.normal(size=one.descriptors.shape).astype(np.float32)) for one in features
    ]


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("top", [1, 100])
@pytest.mark.parametrize("mirrored", [False, True])
def test_all_pairs_are_bit_by_bit_those_of_the_dense_definition(images, threads, jobs, top, mirrored):
    features, kept = images
    features = with_mirrored(features) if mirrored else features
    matrix, quality = dense_similarity(features, kept, all_pairs(10).tolist(), top, mirrored)
    found = similarity(features.__getitem__, kept, SimilarityOptions(top=top, mirrored=mirrored), each=threads(jobs))
    assert found.matrix.tobytes() == matrix.tobytes()
    assert found.quality.tobytes() == quality.tobytes()
    assert 0 < np.count_nonzero(matrix) < matrix.size / 2


def test_some_pairs_are_matched_and_the_rest_is_zero(images):
    features, kept = images
    pairs = np.array([[0, 1], [0, 9], [1, 3], [3, 4], [4, 8], [5, 6], [6, 7]])
    matrix, quality = dense_similarity(features, kept, pairs.tolist())
    found = similarity(features.__getitem__, kept, pairs=pairs)
    assert found.matrix.tobytes() == matrix.tobytes()
    assert found.quality.tobytes() == quality.tobytes()
    assert not found.quality[found.image == 2].any()  # in no pair


def test_similarities_among_some_parts(images):
    features, kept = images
    found = similarity(features.__getitem__, kept)
    parts = np.flatnonzero(np.random.default_rng(3).random(len(found.image)) < 0.4)
    others = parts[::3]
    some = found.between(parts, others)
    assert some.toarray().tobytes() == found.matrix[np.ix_(parts, others)].tobytes()
    assert some.nnz == np.count_nonzero(some.toarray())
    assert found.between(parts[:0], others).shape == (0, len(others))


def test_what_a_store_holds_is_not_matched_again(images):
    features, kept = images
    store = {}
    first = similarity(features.__getitem__, kept, store=store)
    assert len(store) > 2
    loaded, seen = [], []

    def load(index):
        loaded.append(index)
        return features[index]

    del store[1]
    again = similarity(load, kept, store=store, progress=lambda done, total: seen.append(done))
    assert seen[-1] == 45
    assert set(loaded) <= {image for pair in first.tiles[1] for image in pair}
    assert again.matrix.tobytes() == first.matrix.tobytes()
    assert again.quality.tobytes() == first.quality.tobytes()
    loaded.clear()
    similarity(load, kept, store=store)
    assert loaded == []


def test_memory_does_not_grow_with_the_square_of_the_parts(boxes, tmp_path):
    places = boxes(120)
    kept = np.ones(120, bool)
    options = SimilarityOptions(matching=MatchingOptions(method="nam"))

    def load(index):
        z = np.random.default_rng(index).normal(size=(120, 4)).astype(np.float32)
        return Features(z, places, (224, 224))

    def peak(images):
        tracemalloc.start()
        found = similarity(load, [kept] * images, options, store=TileFolder(tmp_path / str(images)))
        parts = np.arange(0, 120 * images, 20)
        found.between(parts, parts)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest / 2**20

    few, many = peak(8), peak(40)
    assert many - few < 10  # MiB; the matrix of all 4800 parts is 88
