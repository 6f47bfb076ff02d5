"""The nearest vectors: as exact as bytes allow, whether they are in memory or not."""

from __future__ import annotations

import numpy as np
import pytest
from search_sessions import session, settings_in, tell

from tracker.search.fusion import fused
from tracker.search.quantised import codes_of, quantise, similarities
from tracker.search.vectors import Vectors
from tracker.sessions import SessionService
from tracker.store.search_reads import index_counts
from tracker.store.search_tables import store_vectors

DIMENSIONS = 384
MODEL = "a model"


def unit_vectors(count, seed=3):
    made = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service for all tests here."""
    service = SessionService.open(settings_in(tmp_path_factory.mktemp("vectors")), wait=0)
    yield service
    service.close()


@pytest.fixture(scope="module")
def vectors(service):
    """Gives the texts of a service random vectors; where they are."""
    tell(service, *session("s", *(f"text number {number}" for number in range(3000))))
    database = service._database
    ids = [row[0] for row in database.query("SELECT text_id FROM search_texts ORDER BY text_id")]
    made = unit_vectors(len(ids))
    for part in (slice(0, 2000), slice(2000, None)):
        store(service, ids[part], made[part])
    return database, np.array(ids), made


def store(service, ids, made):
    scales, codes = quantise(made)
    rows = [code.tobytes() for code in codes]
    service._writer.call(
        lambda writing: store_vectors(writing, MODEL, list(ids), scales.tolist(), rows)
    ).result()


def expected(ids, made, query, limit):
    cosines = made @ query
    best = np.argsort(-cosines)[:limit]
    return dict(zip(ids[best].tolist(), cosines[best].tolist(), strict=True))


def test_bytes_keep_a_cosine_within_two_thousandths():
    made = unit_vectors(2000)
    scales, codes = quantise(made)
    again = codes_of([code.tobytes() for code in codes], DIMENSIONS)
    query = unit_vectors(1, seed=4)[0]
    np.testing.assert_allclose(similarities(scales, again, query), made @ query, atol=0.002)


def test_a_vector_of_zeros_is_near_to_nothing():
    scales, codes = quantise(np.zeros((1, DIMENSIONS), np.float32))
    assert similarities(scales, codes, unit_vectors(1)[0])[0] == 0


@pytest.mark.parametrize("cache_bytes", [10**9, 1_500 * DIMENSIONS, 0], ids=["all", "some", "none"])
def test_the_nearest_are_found_wherever_they_are(vectors, cache_bytes):
    database, ids, made = vectors
    index = Vectors(database, MODEL, cache_bytes)
    query = made[1234] + 0.5 * made[77]
    query /= np.linalg.norm(query)
    for _ in range(2):
        found = index.nearest(query, 10)
        wanted = expected(ids, made, query, 10)
        assert list(found)[:2] == list(wanted)[:2] == [ids[1234], ids[77]]
        assert list(found.values()) == pytest.approx(list(wanted.values()), abs=0.002)


@pytest.mark.parametrize("permitted", [slice(0, 3), slice(100, 2500), slice(0, 0)])
def test_only_among_the_permitted(vectors, permitted):
    database, ids, made = vectors
    query = unit_vectors(1, seed=9)[0]
    found = Vectors(database, MODEL).nearest(query, 20, ids[permitted])
    wanted = expected(ids[permitted], made[permitted], query, 20)
    assert list(found)[:2] == list(wanted)[:2]
    assert len(found) == len(wanted)


def test_what_is_stored_later_is_seen_and_what_is_removed_is_not(vectors, service):
    database, ids, made = vectors
    index = Vectors(database, MODEL)
    assert len(index.nearest(made[0], 5000)) == len(ids)
    tell(service, *session("later", "one more"))
    (new,) = database.query("SELECT text_id FROM search_texts WHERE text = 'one more'")[0]
    added = unit_vectors(1, seed=8)
    store(service, [new], added)
    assert next(iter(index.nearest(added[0], 5000))) == new
    service._writer.call(
        lambda writing: writing.execute("DELETE FROM search_vectors WHERE text_id = ?", [new])
    ).result()
    index.outdated()
    assert new not in index.nearest(added[0], 5000)


def test_models_are_kept_apart(vectors):
    database, _, made = vectors
    assert Vectors(database, "another model").nearest(made[0], 5) == {}
    assert index_counts(database, "another model").embedded == 0
    assert index_counts(database, MODEL).embedded == len(made)


def test_a_text_that_is_gone_gets_no_vector(service):
    tell(service, *session("s", "still here"))
    (known,) = service._database.query("SELECT text_id FROM search_texts WHERE text = 'still here'")
    before = index_counts(service._database, MODEL).embedded
    store(service, [known[0], 12345], unit_vectors(2))
    assert index_counts(service._database, MODEL).embedded == before + 1


def test_what_is_in_both_rankings_stands_above_the_first_of_one():
    assert list(fused([[1, 2, 3], [4, 2, 5]])) == [2, 1, 4, 3, 5]
    assert list(fused([[7, 8], []])) == [7, 8]
    assert fused([]) == {}
