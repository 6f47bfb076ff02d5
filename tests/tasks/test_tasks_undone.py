"""Tasks for files, archives, git, downloads and commands, each for real: here and behind an sshd.

Each case is done in check mode, which changes nothing; for real; a second time, which finds nothing
to do; and undone, after which everything is as it was.
"""

import dataclasses
import functools
import hashlib
import http.server
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from ssh_hosts import know, ssh_hosts

from orchestrator.engine.connect import RUN_OPTIONS
from orchestrator.engine.remote_shell import RemoteShell
from orchestrator.engine.ssh import connect, remote_host
from orchestrator.tasks.scope import attach, base_variables
from schemas.inventory import Host

NAME = '-it\'s "a" $fö\nlder'
"""A folder's name with all that a command could take for something else."""


@dataclasses.dataclass
class Case:
    """A task, and what is there before it: path in the folder -> content.

    A path that ends with a slash is a folder, a content that is a Path a link to it.
    """

    task: str
    arguments: dict
    files: dict = dataclasses.field(default_factory=dict)
    made: tuple = ()
    after: dict = dataclasses.field(default_factory=dict)


CASES = {
    "copy a file": Case(
        "files.copy",
        {"source": "{control}/-so urce'\n", "dest": "{host}/new", "mode": "0600"},
        after={"new": "content\xfc\n"},
    ),
    "copy over a link, with a backup": Case(
        "files.copy",
        {"source": "{control}/-so urce'\n", "dest": "{host}/old", "backup": True},
        files={"old": "before\n"},
        after={"old": "content\xfc\n", "old.test-run.bak": "before\n"},
    ),
    "copy a tree": Case(
        "files.copy",
        {"source": "{control}/tree", "dest": "{host}/to"},
        files={"to/a": "old\n", "to/mine": "stays\n"},
        after={"to/a": "a\n", "to/-x y/run": "#!/bin/sh\n", "to/mine": "stays\n"},
    ),
    "copy over a large file": Case(
        "files.copy",
        {"source": "{control}/-so urce'\n", "dest": "{host}/large"},
        files={"large": "x" * 3_000_000},
        after={"large": "content\xfc\n"},
    ),
    "folders": Case("files.folders", {"paths": ["{host}/one/-t\nwo", "{host}/one"]}),
    "a link": Case("files.link", {"path": "{host}/link", "target": "-to\nthere"}),
    "a line": Case(
        "files.line",
        {"path": "{host}/conf", "line": "port = 2", "match": "^port\\b"},
        files={"conf": "# it's\nport = 1\nmore"},
        after={"conf": "# it's\nport = 2\nmore\n"},
    ),
    "a line through a link": Case(
        "files.line",
        {"path": "{host}/link", "line": "ü", "validate": "grep -q ü {file}"},
        files={"conf": "a\n", "link": Path("conf")},
        after={"conf": "a\nü\n"},
    ),
    "no line": Case(
        "files.line",
        {"path": "{host}/conf", "match": "^b", "absent": True},
        files={"conf": "a\nb1\nb2\n"},
        after={"conf": "a\n"},
    ),
    "a new file with a line": Case(
        "files.line",
        {"path": "{host}/conf", "line": "-x", "mode": "0640"},
        after={"conf": "-x\n"},
    ),
    "a block": Case(
        "files.block",
        {"path": "{host}/hosts", "name": "it's", "content": "1\n2\n"},
        files={"hosts": "first\n"},
        after={"hosts": "first\n# BEGIN it's\n1\n2\n# END it's\n"},
    ),
    "replace": Case(
        "files.replace",
        {"path": "{host}/conf", "pattern": "^(a) = \\d$", "replacement": "\\1 = ten"},
        files={"conf": "a = 1\nb = 1\na = 2\n"},
        after={"conf": "a = ten\nb = 1\na = ten\n"},
    ),
    "fetch": Case(
        "files.fetch",
        {"path": "{host}/big", "dest": "{control}/fetched"},
        files={"big": "ü$'\n" * 600_000},
    ),
    "unpack": Case(
        "archive.unpack",
        {"path": "{host}/it's.tar.gz", "dest": "{host}/un packed", "strip": 1},
        made=("it's.tar.gz",),
        after={"un packed/-x y/run": "#!/bin/sh\n"},
    ),
    "unpack in the place of an older one": Case(
        "archive.unpack",
        {"path": "{host}/it's.tar.xz", "dest": "{host}/in"},
        made=("it's.tar.xz",),
        files={"in/.unpacked": "0123 strip=0\n", "in/old": "old\n"},
        after={"in/top/a": "a\n"},
    ),
    "unpack a zip": Case(
        "archive.unpack",
        {"path": "{host}/it's.zip", "dest": "{host}/in"},
        made=("it's.zip",),
        files={"in/": ""},
        after={"in/top/a": "a\n"},
    ),
    "pack": Case(
        "archive.pack",
        {"path": "{host}/-a", "dest": "{host}/a.tar.gz"},
        files={"-a/b\nc": "content"},
    ),
    "checkout": Case(
        "git.checkout",
        {"repository": "{host}/origin", "ref": "main", "dest": "{host}/work"},
        made=("origin",),
        after={"work/file": "two\n"},
    ),
    "checkout of an older commit": Case(
        "git.checkout",
        {"repository": "{host}/origin", "ref": "v1", "dest": "{host}/work"},
        made=("origin", "work"),
        after={"work/file": "one\n"},
    ),
    "download": Case(
        "http.download",
        {
            "url": "{web}/tree/a",
            "dest": "{host}/down loaded",
            "sha256": hashlib.sha256(b"a\n").hexdigest().upper(),
        },
        files={"down loaded": "old"},
        after={"down loaded": "a\n"},
    ),
}


class Place:
    """A host, the control machine's folder, and a web server of it."""

    def __init__(self, bench, host, control, web, user=""):
        self.bench, self.host, self.control = bench, host, control
        self.web, self.user = web, user

    def fill(self, case):
        (self.control / "tree" / "-x y").mkdir(parents=True)
        (self.control / "-so urce'\n").write_bytes("content\xfc\n".encode())
        (self.control / "tree" / "a").write_text("a\n")
        (self.control / "tree" / "-x y" / "run").write_text("#!/bin/sh\n")
        (self.control / "tree" / "-x y" / "run").chmod(0o755)
        for name, content in case.files.items():
            path = self.host / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir()
            elif isinstance(content, Path):
                path.symlink_to(content)
            else:
                path.write_text(content)
        for name in case.made:
            make(self.host, name, self.control)
        self.hand_over()

    def hand_over(self):
        if self.user:
            subprocess.run(["chown", "-R", f"{self.user}:", self.host], check=True)

    def arguments(self, value):
        if isinstance(value, dict):
            return {name: self.arguments(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.arguments(one) for one in value]
        if not isinstance(value, str):
            return value
        for name in ("host", "control", "web"):
            value = value.replace(f"{{{name}}}", str(getattr(self, name)))
        return value

    def seen(self):
        """Everything that is there, by path."""
        return {
            str(path): (path.lstat().st_mode, path.lstat().st_uid, content_of(path))
            for top in (self.host, self.control)
            for path in top.rglob("*")
            if ".git" not in path.parts
        }


def content_of(path):
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else None


def make(folder, name, control):
    """An archive of the control machine's tree, a repository, or a checkout of it."""
    if name == "origin":
        git = functools.partial(subprocess.run, cwd=folder / name, check=True, capture_output=True)
        (folder / name).mkdir()
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        git(["git", "init", "-q", "-b", "main"])
        for text in ("one\n", "two\n"):
            (folder / name / "file").write_text(text)
            git(["git", "add", "file"])
            git(["git", *who, "commit", "-q", "-m", text])
            if text == "one\n":
                git(["git", *who, "tag", "-a", "v1", "-m", "first"])
    elif name == "work":
        words = ["git", "clone", "-q", folder / "origin", folder / "work"]
        subprocess.run(words, check=True, capture_output=True)
    elif name.endswith("zip"):
        shutil.copytree(control / "tree", control / "top")
        subprocess.run(["zip", "-q", "-r", folder / name, "top"], cwd=control, check=True)
        shutil.rmtree(control / "top")
    else:
        with tarfile.open(folder / name, f"w:{name.rpartition('.')[2]}") as archive:
            archive.add(control / "tree", "top")


@pytest.fixture(scope="module")
def far():
    """A host behind a real sshd, and a connection to it."""
    with ssh_hosts("far") as (host,), pytest.MonkeyPatch.context() as patch:
        home = host.folder / "control"
        know(home, [host])
        patch.setenv("HOME", str(home))
        entry = Host.model_validate(host.entry())
        with connect(RemoteShell("far", entry), RUN_OPTIONS) as connection:
            yield host, connection, remote_host(connection, "far", entry, {})[0]


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "control"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.func.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=["here", pytest.param("far", marks=pytest.mark.needs("sshd"))])
def place(request, bench, tmp_path, web):
    if request.param == "here":
        (tmp_path / NAME).mkdir()
        yield Place(bench, tmp_path / NAME, *web)
        return
    host, connection, facts = request.getfixturevalue("far")
    root = host.home / NAME
    root.mkdir()
    bench.context = connection
    bench.scope = dataclasses.replace(
        bench.scope,
        host=facts,
        variables=base_variables(facts, bench.settings, {}),
        saved=host.home / "sa ved",
    )
    attach(connection, bench.scope)
    place = Place(bench, root, *web, user=host.user)
    place.hand_over()
    yield place
    shutil.rmtree(root)


@pytest.mark.xdist_group("tasks-undone")
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_it_is_done_once_and_undone(place, case):
    place.fill(case)
    bench, arguments, before = place.bench, place.arguments(case.arguments), place.seen()

    told = bench.checked(case.task, **arguments)
    assert told.changed
    assert place.seen() == before

    outcome = bench(case.task, **arguments)
    assert outcome.changed
    assert outcome.diff
    assert place.seen() != before
    for name, content in case.after.items():
        assert (place.host / name).read_text() == content
    after = place.seen()
    # What a run would change is told in the same words as what it has changed.
    assert told.diff == outcome.diff

    assert not bench(case.task, **arguments).changed
    assert not bench.checked(case.task, **arguments).changed
    assert place.seen() == after

    bench.undo(outcome)
    assert place.seen() == before
