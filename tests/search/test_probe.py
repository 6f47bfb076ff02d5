"""The health probe tells the truth about semantic search, and costs a server nothing."""

import os
import subprocess
import sys
import time

from schemas.settings import Settings
from tracker.search.catalogue import MINILM
from tracker.search.models import model_probe
from tracker.search.proof import prove, remembered
from tracker.search.verification import signature


def settled(settings):
    """The probe's answer once no check is under way."""
    deadline = time.monotonic() + 60
    while (probe := model_probe(settings)).value == "checking":
        assert time.monotonic() < deadline, "the check does not end"
        time.sleep(0.02)
    return probe


def test_off_names_the_setting_that_says_so(installed):
    off = Settings.load(installed.places, {"SESSION_BUDDY_SEMANTIC_SEARCH": "off"})
    probe = model_probe(off)
    assert (probe.name, probe.ok, probe.value) == ("Semantic search", None, "off")
    assert "$SESSION_BUDDY_SEMANTIC_SEARCH" in probe.hint


def test_without_a_model_it_says_how_to_get_one(settings):
    probe = model_probe(settings)
    assert (probe.ok, probe.value) == (None, "not available")
    assert "session-buddy models fetch" in probe.hint


def test_an_unknown_model_is_named_with_the_known_ones(settings, monkeypatch):
    monkeypatch.setattr("tracker.search.probe.is_installed", lambda: False)
    other = Settings.load(settings.places, {"SESSION_BUDDY_EMBEDDING_MODEL": "word2vec"})
    probe = model_probe(other)
    assert (probe.ok, probe.value) == (False, "not available")
    assert "'word2vec'" in probe.hint
    assert MINILM.name in probe.hint


def test_enabled_is_said_only_after_a_check(installed):
    assert model_probe(installed).value == "checking"
    probe = settled(installed)
    assert (probe.ok, probe.value, probe.hint) == (True, "enabled", "")


def test_a_model_that_was_proved_is_not_checked_again(installed):
    assert prove(installed.places.models / MINILM.name, MINILM).problems == ()
    assert model_probe(installed).value == "enabled"


def test_it_imports_no_numbers_and_no_tokenizer(installed):
    prove(installed.places.models / MINILM.name, MINILM)
    program = (
        "import sys\n"
        "from schemas.settings import Settings\n"
        "from tracker.search.models import model_probe\n"
        "print(model_probe(Settings.load()).value)\n"
        "print(sorted({'numpy', 'tokenizers', 'urllib.request'} & set(sys.modules)))\n"
    )
    environ = {**os.environ, "SESSION_BUDDY_HOME": str(installed.places.tracker_home)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "enabled\n[]\n"


def test_a_changed_file_is_noticed_and_so_is_its_return(installed, own_copy):
    assert settled(installed).value == "enabled"
    tokenizer = own_copy / "tokenizer.json"
    content, facts = tokenizer.read_bytes(), tokenizer.stat()
    tokenizer.write_bytes(content.replace(b"database", b"databale"))
    os.utime(tokenizer, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    probe = settled(installed)
    assert (probe.ok, probe.value) == (False, "not working")
    assert "tokenizer.json is not the published file" in probe.hint
    tokenizer.write_bytes(content)
    assert settled(installed).value == "enabled"


def test_a_missing_file_is_noticed_at_once(installed, own_copy):
    (own_copy / "tokenizer.json").unlink()
    probe = model_probe(installed)
    assert (probe.ok, probe.value) == (False, "damaged")
    assert "tokenizer.json is missing" in probe.hint


def test_rubbish_instead_of_proofs_proves_nothing(installed):
    folder = installed.places.models / MINILM.name
    prove(folder, MINILM)
    (file,) = installed.places.models.glob(".*.proofs.json")
    for rubbish in (b"", b"[]", b'{"a": 1}', b'{"a": {"signature": 1}}', b"\xff"):
        file.write_bytes(rubbish)
        assert remembered(folder, signature(folder, MINILM)) is None
    assert settled(installed).value == "enabled"
