"""One job of 20 steps, written for each tool that ``bench/hosts.py`` compares.

Eight files from templates, ten commands (the first and the last note the time on the host), a port
that has to answer, and the restart of a process that stays.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import yaml
from ssh_hosts import SshHost, write_inventory

INVOKE = Path(sys.executable).with_name("invoke")
TEMPLATE = (
    "number = {{ number }}\nuser = {{ user }}\n{% for i in range(20) %}l{{ i }} = x\n{% endfor %}"
)
FILES = 8
RESTART = (
    "if test -f pid; then kill $(cat pid) 2>/dev/null; fi; "
    "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $! > pid"
)
COMMANDS = [
    *("id -un", "uname -r", "df -P . | tail -1", "test -d .", "date -u"),
    *("ls -a | wc -l", "echo done > mark", "cat mark"),
]
LAST = "date +%s.%N > last"


class Job:
    """The job in a folder, for hosts.

    Args:
        folder: gets the files that the tools read.
        hosts: where it is done.
        tools: the folder with ansible-playbook and pyinfra.
    """

    def __init__(self, folder: Path, hosts: list[SshHost], tools: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self.hosts, self.tools = folder, hosts, tools
        self.known = folder / "known_hosts"
        self.known.write_text("".join(host.known for host in hosts))

    def commands(self) -> dict[str, list[str]]:
        """What is timed, by the tool's name."""
        return {
            "ssh running one script (the floor)": self._ssh(),
            "this engine": self._engine(),
            "pyinfra": self._pyinfra(),
            "ansible-core": self._ansible(),
        }

    def _ssh(self) -> list[str]:
        text = TEMPLATE.replace("{% for i in range(20) %}l{{ i }} = x\n{% endfor %}", "")
        text += "".join(f"l{i} = x\n" for i in range(20))
        lines = ["set -e", "date +%s.%N > first"]
        for number in range(FILES):
            content = text.replace("{{ number }}", str(number)).replace("{{ user }}", "'$USER'")
            lines.append(
                f"printf %s '{content}' > conf{number}.new; mv conf{number}.new conf{number}"
            )
        lines += [*COMMANDS, "bash -c ': < /dev/tcp/$0/$1' $1 $2", RESTART, LAST]
        script = self.folder / "job.sh"
        script.write_text("\n".join(lines))
        starts = []
        for host in self.hosts:
            words = [
                *("ssh", "-T", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={self.known}"),
                *("-i", str(host.key), "-p", str(host.port), f"{host.user}@{host.address}"),
                f"sh -s {host.address} {host.port}",
            ]
            starts.append(f'{shlex.join(words)} < {script} > /dev/null & p="$p $!"')
        return ["sh", "-c", "\n".join([*starts, "for one in $p; do wait $one || exit 1; done"])]

    def _engine(self) -> list[str]:
        ops = self.folder / "ops"
        for name in ("runbooks", "templates"):
            (ops / name).mkdir(parents=True)
        plain = TEMPLATE.replace("{{ user }}", "{{ host.user }}")
        for number in range(FILES):
            text = plain.replace("{{ number }}", str(number))
            (ops / "templates" / f"conf{number}.j2").write_text(text)
        none = {"none": "a benchmark"}
        steps = [{"id": "first", "run": "date +%s.%N > first", "undo": none}]
        steps += [
            {
                "id": f"file{number}",
                "task": "config.render",
                "with": {
                    "template": f"conf{number}.j2",
                    "dest": f"{{{{ host.home }}}}/conf{number}",
                },
            }
            for number in range(FILES)
        ]
        steps += [
            {"id": f"command{number}", "run": line, "undo": none}
            for number, line in enumerate(COMMANDS)
        ]
        port = "bash -c ': < /dev/tcp/{{ host.address }}/{{ vars.port }}'"
        steps += [
            {"id": "port", "run": port, "undo": none},
            {"id": "restart", "run": RESTART, "undo": none},
            {"id": "last", "run": LAST, "undo": none},
        ]
        book = {"schema_version": 1, "name": "job", "title": "The job", "hosts": "all"}
        (ops / "runbooks" / "job.yaml").write_text(yaml.safe_dump(book | {"steps": steps}))
        entries = [
            (host, {"known_hosts": str(self.known), "vars": {"port": host.port}})
            for host in self.hosts
        ]
        inventory = write_inventory(ops / "inventory.yaml", entries)
        runbook = str(ops / "runbooks" / "job.yaml")
        return [str(INVOKE), "runbook.run", runbook, "--inventory", str(inventory)]

    def _pyinfra(self) -> list[str]:
        folder = self.folder / "pyinfra"
        folder.mkdir()
        (folder / "conf.j2").write_text(TEMPLATE.replace("{{ user }}", "{{ host.data.ssh_user }}"))
        hosts = [
            (
                host.name,
                {
                    "ssh_hostname": host.address,
                    "ssh_port": host.port,
                    "ssh_user": host.user,
                    "ssh_key": str(host.key),
                    "ssh_known_hosts_file": str(self.known),
                    "ssh_strict_host_key_checking": "yes",
                },
            )
            for host in self.hosts
        ]
        (folder / "inventory.py").write_text(f"hosts = {hosts!r}\n")
        commands = [*COMMANDS, "bash -c ': < /dev/tcp/$0/$1' {address} {port}", RESTART, LAST]
        lines = [
            "from pyinfra import host",
            "from pyinfra.operations import files, server",
            "server.shell(commands=['date +%s.%N > first'])",
            f"for number in range({FILES}):",
            "    files.template(src='conf.j2', dest=f'conf{number}', number=number)",
            f"for line in {commands!r}:",
            "    line = line.replace('{address}', host.data.ssh_hostname)",
            "    server.shell(commands=[line.replace('{port}', str(host.data.ssh_port))])",
        ]
        (folder / "deploy.py").write_text("\n".join(lines) + "\n")
        words = f"cd {folder} && exec {self.tools}/pyinfra -y inventory.py deploy.py"
        return ["sh", "-c", words]

    def _ansible(self) -> list[str]:
        folder = self.folder / "ansible"
        folder.mkdir()
        (folder / "conf.j2").write_text(
            TEMPLATE.replace("{{ user }}", "{{ ansible_user }}").replace(
                "{{ number }}", "{{ item }}"
            )
        )
        (folder / "ansible.cfg").write_text(
            f"[defaults]\nforks = 10\nlocal_tmp = {folder}/local\n"
            "interpreter_python = /usr/bin/python3\n"
            f"[ssh_connection]\npipelining = True\ncontrol_path_dir = {folder}/cp\n"
            "ssh_args = -o ControlMaster=auto -o ControlPersist=60s "
            f"-o UserKnownHostsFile={self.known}\n"
        )
        hosts = {
            host.name: {
                "ansible_host": host.address,
                "ansible_port": host.port,
                "ansible_user": host.user,
                "ansible_ssh_private_key_file": str(host.key),
            }
            for host in self.hosts
        }
        (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        template = "ansible.builtin.template"
        tasks: list[dict[str, object]] = [{"shell": "date +%s.%N > first"}]
        tasks += [
            {template: {"src": "conf.j2", "dest": f"conf{number}"}, "vars": {"item": number}}
            for number in range(FILES)
        ]
        tasks += [{"shell": line} for line in COMMANDS]
        answers = {"host": "{{ ansible_host }}", "port": "{{ ansible_port }}", "timeout": 10}
        tasks += [{"wait_for": answers}, {"shell": RESTART}, {"shell": LAST}]
        play = [{"hosts": "all", "gather_facts": False, "tasks": tasks}]
        (folder / "job.yml").write_text(yaml.safe_dump(play, sort_keys=False))
        words = f"cd {folder} && exec {self.tools}/ansible-playbook -i inventory.json job.yml"
        return ["sh", "-c", words]
