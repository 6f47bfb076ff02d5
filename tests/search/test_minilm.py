"""The numpy backend gives the reference implementation's vectors, for whatever text comes.

``reference.json`` holds numbers that sentence-transformers itself computed (see its ``made_by``).
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import InvalidInput, NotFound
from tracker.search.embedding import load_embedder
from tracker.search.gelu import gelu_in_place
from tracker.search.minilm import MiniLM
from tracker.search.safetensors import map_float32

REFERENCE = json.loads(Path(__file__).with_name("reference.json").read_bytes())
TEXTS = REFERENCE["texts"]


@pytest.fixture(scope="module")
def minilm(model_folder):
    return MiniLM.load(model_folder)


@pytest.fixture(scope="module")
def vectors(minilm):
    return minilm.embed(TEXTS)


@pytest.mark.parametrize("index", range(len(TEXTS)), ids=[text[:30] for text in TEXTS])
def test_the_first_components_are_the_reference_s(vectors, index):
    np.testing.assert_allclose(vectors[index, :8], REFERENCE["first_8"][index], atol=2e-6)


@pytest.mark.parametrize(("one", "other", "cosine"), REFERENCE["cosines"])
def test_the_similarities_are_the_reference_s(vectors, one, other, cosine):
    assert vectors[one] @ vectors[other] == pytest.approx(cosine, abs=2e-6)


def test_vectors_are_of_unit_length_and_32_bit(minilm, vectors):
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), minilm.dimensions), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_text_has_the_same_vector_alone_and_in_any_company(minilm, vectors):
    alone = np.concatenate([minilm.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, vectors, atol=2e-6)
    np.testing.assert_allclose(minilm.embed(TEXTS[::-1])[::-1], vectors, atol=2e-6)


def test_two_threads_give_the_same_vectors(model_folder, vectors):
    many = TEXTS * 10
    found = load_embedder(model_folder, threads=2).embed(many)
    np.testing.assert_allclose(found, np.tile(vectors, (10, 1)), atol=2e-6)


def test_no_texts_give_no_vectors(minilm):
    assert minilm.embed([]).shape == (0, 384)


def test_only_the_first_256_tokens_count(minilm):
    text = "database locked by another process " * 60
    long = text + "bananas and pyjamas " * 20_000
    assert np.array_equal(minilm.embed([text]), minilm.embed([long]))


def test_a_long_text_of_few_tokens_is_read_to_its_end(minilm):
    spaces = " " * 20_000
    apart = minilm.embed([f"workflow{spaces}orchestration"])
    np.testing.assert_allclose(apart, minilm.embed(["workflow orchestration"]), atol=2e-6)


def test_half_a_surrogate_pair_is_no_error(minilm):
    np.testing.assert_array_equal(minilm.embed(["bad \ud83d end"]), minilm.embed(["bad ? end"]))


def test_the_activation_is_gelu_with_the_error_function():
    x = np.linspace(-12, 12, 40_001, dtype=np.float32).reshape(1, -1)
    expected = [value / 2 * math.erfc(-value / math.sqrt(2)) for value in map(float, x[0])]
    gelu_in_place(x)
    np.testing.assert_allclose(x[0], expected, atol=1e-6)


def copy_of_configuration(model_folder, target):
    for file in model_folder.rglob("*.json"):
        copy = target / file.relative_to(model_folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    return target


def test_a_missing_file_is_named_with_the_way_to_get_it(model_folder, tmp_path):
    copy_of_configuration(model_folder, tmp_path)
    with pytest.raises(NotFound, match=r"model.safetensors is missing\n.*models fetch"):
        MiniLM.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("config.json", "model_type", "roberta"),
        ("config.json", "hidden_act", "gelu_new"),
        ("1_Pooling/config.json", "pooling_mode_cls_token", True),
    ],
)
def test_a_model_of_another_form_is_refused_not_miscomputed(
    model_folder, tmp_path, file, key, value
):
    path = copy_of_configuration(model_folder, tmp_path) / file
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {key: value}))
    with pytest.raises(InvalidInput, match="the backend computes"):
        MiniLM.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"[]",
        (70).to_bytes(8, "little")
        + b'{"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}'.ljust(70)
        + b"\0" * 8,
    ],
    ids=["empty", "short", "rubbish", "not a mapping", "data cut off"],
)
def test_a_file_that_holds_no_tensors_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"not a safetensors file|the file is empty"):
        map_float32(path)
