"""Settings: where a value comes from, what is refused, and that nothing is declared twice."""

import pytest

from schemas.errors import InvalidInput
from schemas.places import Places
from schemas.settings import SETTINGS, Settings, configuration_fingerprint, read_env_file


@pytest.fixture
def places(tmp_path):
    places = Places(tmp_path / "home", tmp_path / "buddy")
    places.etc.mkdir(parents=True)
    places.tracker_home.mkdir()
    return places


def load(places, **environ):
    return Settings.load(places, environ)


def test_names_and_variables_are_declared_once():
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    assert len({setting.env for setting in SETTINGS}) == len(SETTINGS)


def test_each_source_overrides_the_one_before(places):
    name = "mahavishnu.log_level"
    assert load(places).source(name) == "default"
    places.mahavishnu_config.write_text("session: {enabled: true}\nlog_level: WARNING\n")
    assert (load(places)[name], load(places).source(name)) == (
        "WARNING",
        f"{places.mahavishnu_config}:2",
    )
    places.env_file.write_text('MAHAVISHNU_LOG_LEVEL="ERROR"  # rendered\n')
    assert load(places)[name] == "ERROR"
    places.local_config.write_text("mahavishnu:\n  log_level: DEBUG\n")
    assert (load(places)[name], load(places).source(name)) == ("DEBUG", f"{places.local_config}:2")
    settings = load(places, MAHAVISHNU_LOG_LEVEL="CRITICAL")
    assert (settings[name], settings.source(name)) == ("CRITICAL", "$MAHAVISHNU_LOG_LEVEL")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"MAHAVISHNU_PORT": "http"},
            "$MAHAVISHNU_PORT: 'http' is not a count for mahavishnu.port",
        ),
        ({"MAHAVISHNU_PORT": "0"}, "write a number from 1 to 65535"),
        ({"SESSION_BUDDY_SEMANTIC_SEARCH": "maybe"}, "'maybe' is not a flag"),
        ({"MAHAVISHNU_LOG_LEVEL": "loud"}, "write one of DEBUG, INFO"),
        ({"MAHAVISHNU_SESSION_CHECKPOINT_INTERVAL": "5"}, "write a number from 10 to 600"),
    ],
)
def test_a_bad_value_is_refused_with_its_source(places, environ, message):
    with pytest.raises(InvalidInput) as caught:
        load(places, **environ)
    assert message in str(caught.value)


def test_a_bad_key_in_a_file_is_told_with_its_line(places):
    places.mahavishnu_config.write_text(
        "port: 3000\nrate: {x: 1}\nsession:\n  checkpoint_intervall: 60\n"
    )
    warnings = load(places).warnings
    assert warnings[1].startswith(f"{places.mahavishnu_config}:4: key session.checkpoint_intervall")
    assert "did you mean mahavishnu.session.checkpoint_interval?" in warnings[1]


def test_an_unknown_variable_gets_the_nearest_name(places):
    assert load(places, MAHAVISHNU_PROT="1").warnings == (
        "variable MAHAVISHNU_PROT is not known; did you mean MAHAVISHNU_PORT?",
    )


def test_the_guides_environment_file_is_read_as_shells_and_systemd_read_it(places):
    places.env_file.write_text(
        '# comment\n\nMAHAVISHNU_HOST="127.0.0.1"\nexport SESSION_BUDDY_PORT=8679 # note\n'
        "SESSION_BUDDY_DB_PATH='/data/my sessions.db'\n"
    )
    settings = load(places)
    assert settings.count("session_buddy.port") == 8679
    assert str(settings.database) == "/data/my sessions.db"


@pytest.mark.parametrize("line", ["just words", "A=1 B=2", "A='open"])
def test_a_bad_line_in_an_environment_file_is_told(tmp_path, line):
    path = tmp_path / "file.env"
    path.write_text(f"OK=1\n{line}\n")
    with pytest.raises(InvalidInput, match=r"file\.env:2"):
        read_env_file(path)


def test_home_is_expanded_in_paths(places, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ops")
    assert str(load(places, SESSION_BUDDY_DB_PATH="$HOME/s.db").database) == "/home/ops/s.db"
    assert str(load(places, SESSION_BUDDY_DB_PATH="~/s.db").database) == "/home/ops/s.db"


def test_secrets_are_in_no_tree_and_in_no_message(places):
    secret = "correct-horse-battery-staple-0123456789"
    settings = load(places, MAHAVISHNU_AUTH_SECRET=secret)
    assert secret not in str(settings.as_tree())


def test_the_fingerprint_changes_with_any_configuration_file(places):
    before = configuration_fingerprint(places)
    places.tracker_config.write_text("semantic_search: {enabled: false}\n")
    assert configuration_fingerprint(places) != before


def test_places_follow_the_environment(tmp_path):
    places = Places.of_this_user(
        {"HOME": "/home/ops", "MAHAVISHNU_HOME": "~/m", "SESSION_BUDDY_HOME": "$HOME/b"}
    )
    assert (str(places.home), str(places.database)) == ("/home/ops/m", "/home/ops/b/sessions.db")
    assert (
        Places.of_this_user({"HOME": "/home/ops"}).as_variables()["etc"]
        == "/home/ops/.mahavishnu/etc"
    )
