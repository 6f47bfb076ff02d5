"""Configuration files: rendered, validated, merged; changed in one rename or not at all."""

import json
import stat

import pytest

from schemas.errors import InvalidInput, NotFound, StepFailed


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "port.conf.j2"
    path.write_text("port = {{ settings.session_buddy.port }}\n")
    return path


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "et c" / "port.conf"


class TestRender:
    def render(self, bench, template, dest, **more):
        return bench("config.render", template=str(template), dest=str(dest), **more)

    def test_writes_what_the_template_says(self, bench, template, dest):
        outcome = self.render(bench, template, dest, mode="0600")
        assert dest.read_text() == "port = 8678\n"
        assert stat.S_IMODE(dest.stat().st_mode) == 0o600
        assert "+port = 8678" in outcome.diff
        assert not self.render(bench, template, dest, mode="0600").changed

    def test_a_new_file_is_removed_by_the_undo(self, bench, template, dest):
        bench.undo(self.render(bench, template, dest))
        assert not dest.exists()

    def test_an_old_file_is_put_back_by_the_undo(self, bench, template, dest):
        dest.parent.mkdir()
        dest.write_text("port = 1\n")
        outcome = self.render(bench, template, dest)
        assert "-port = 1\n+port = 8678\n" in outcome.diff
        bench.undo(outcome)
        assert dest.read_text() == "port = 1\n"

    def test_another_mode_is_a_change(self, bench, template, dest):
        self.render(bench, template, dest, mode="0644")
        outcome = self.render(bench, template, dest, mode="0600")
        assert "0644 -> 0600" in outcome.diff
        bench.undo(outcome)
        assert stat.S_IMODE(dest.stat().st_mode) == 0o644

    def test_check_mode_says_what_and_writes_nothing(self, bench, template, dest):
        outcome = bench.checked("config.render", template=str(template), dest=str(dest))
        assert outcome.changed
        assert "+port = 8678" in outcome.diff
        assert not dest.parent.exists()

    def test_a_file_that_its_own_tool_refuses_does_not_take_its_place(self, bench, template, dest):
        dest.parent.mkdir()
        dest.write_text("port = 1\n")
        with pytest.raises(StepFailed, match=r"grep refuses the new port\.conf"):
            self.render(bench, template, dest, validate="grep -q nothing {file}")
        assert dest.read_text() == "port = 1\n"
        assert [each.name for each in dest.parent.iterdir()] == ["port.conf"]

    def test_the_tool_sees_the_new_file_under_its_own_name(self, bench, template, dest):
        line = """sh -c 'test "$(basename "$1")" = port.conf && grep -q 8678 "$1"' sh {file}"""
        assert self.render(bench, template, dest, validate=line).changed

    def test_a_fault_in_a_template_names_its_line(self, bench, tmp_path, dest):
        path = tmp_path / "bad.j2"
        path.write_text("one\n{{ settings.session_buddy.prot }}\n")
        with pytest.raises(InvalidInput, match=r"bad\.j2:2.*did you mean 'port'"):
            self.render(bench, path, dest)

    def test_a_template_that_is_not_there_is_named(self, bench, dest):
        with pytest.raises(NotFound, match=r"supervisord\.conf\.j2"):
            self.render(bench, "supervisor.conf.j2", dest)


class TestMergeJson:
    KEY = "/mcpServers/session-buddy"

    def merge(self, bench, path):
        return bench("config.merge_json", dest=str(path), key=self.KEY, template="mcp.json.j2")

    def test_a_new_file_holds_our_entry_only(self, bench, tmp_path):
        path = tmp_path / ".mcp.json"
        outcome = self.merge(bench, path)
        entry = json.loads(path.read_text())["mcpServers"]["session-buddy"]
        assert entry == {
            "type": "stdio",
            "command": str(bench.places.current / "bin" / "session-buddy"),
            "args": ["mcp", "stdio"],
            "env": {
                "MAHAVISHNU_HOME": str(bench.places.home),
                "SESSION_BUDDY_HOME": str(bench.places.tracker_home),
            },
        }
        assert not self.merge(bench, path).changed
        bench.undo(outcome)
        assert not path.exists()

    def test_foreign_content_and_mode_stay(self, bench, tmp_path):
        path = tmp_path / ".mcp.json"
        text = '{ "mcpServers": { "theirs": {"env": {"KEY": "x"}} },   "n": 1.0 }'
        path.write_text(text)
        path.chmod(0o640)
        outcome = self.merge(bench, path)
        assert '"theirs": {"env": {"KEY": "x"}}' in path.read_text()
        assert path.read_text().endswith(' },   "n": 1.0 }')
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        bench.undo(outcome)
        assert path.read_text() == text

    def test_a_file_that_is_not_json_is_left_and_named(self, bench, tmp_path):
        path = tmp_path / ".mcp.json"
        path.write_text('{"a": 1\n"b": 2}')
        with pytest.raises(InvalidInput, match=r"\.mcp\.json: this is not JSON.*line 2"):
            self.merge(bench, path)
        assert path.read_text() == '{"a": 1\n"b": 2}'
