"""A host that believes in systemd: ``systemctl`` keeps its state in files and starts nothing."""

import dataclasses

from orchestrator.tasks import units
from orchestrator.tasks.scope import attach

SYSTEMCTL = """\
#!/bin/sh
echo "$*" >> "{root}/told"
[ "$1" = --user ] && shift
shift
verb=$1; shift
for unit; do :; done
state="{root}/$unit"
case "$verb" in
  is-enabled)
    cat "$state.enabled" 2>/dev/null && exit
    test -e "{folder}/$unit" && echo disabled; exit 1 ;;
  enable) echo enabled > "$state.enabled" ;;
  disable) rm -f "$state.enabled" ;;
  start|restart)
    echo active > "$state.active"
    test -e "$state.becomes" && cp "$state.becomes" "$state.active" ;;
  stop) rm -f "$state.active" ;;
  show)
    test -e "{folder}/$unit" && echo LoadState=loaded || echo LoadState=not-found
    echo "ActiveState=$(cat "$state.active" 2>/dev/null || echo inactive)"
    test -e "$state.active" && echo MainPID=42 || echo MainPID=0
    echo Result=exit-code ;;
esac
"""


class SystemdHost:
    """What the task's host is made to look like, and what its systemctl was told."""

    def __init__(self, bench, root, monkeypatch):
        host = dataclasses.replace(bench.scope.host, is_root=False, user="ops")
        bench.scope = dataclasses.replace(bench.scope, host=host)
        attach(bench.context, bench.scope)
        self.root = root / "systemd"
        self.folder = host.home / ".config" / "systemd" / "user"
        programs = root / "bin"
        programs.mkdir()
        self.root.mkdir()
        texts = {
            "systemctl": SYSTEMCTL.format(root=self.root, folder=self.folder),
            "loginctl": f'#!/bin/sh\necho "loginctl $*" >> "{self.root}/told"\n',
            "journalctl": "#!/bin/sh\necho 'it cannot find its port'\n",
        }
        for name, text in texts.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(self.root))
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        monkeypatch.setattr(units, "SYSTEMD_RUNS", str(programs))

    def told(self):
        """What was asked for since the last time, without what only looks."""
        file = self.root / "told"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        words = [line.replace("--user --no-ask-password ", "") for line in lines]
        return [line for line in words if line.split()[0] not in {"show", "is-enabled"}]

    def becomes(self, unit, state):
        """What starting a unit ends in."""
        (self.root / f"{unit}.becomes").write_text(state)
