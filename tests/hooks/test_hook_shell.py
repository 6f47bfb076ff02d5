"""A hooked shell behaves as one that is not."""

from __future__ import annotations

import pytest

LINES = [
    "false; true | false",
    'echo "$? ${PIPESTATUS[*]}$pipestatus"',
    "true last; :",
    "echo one two",
    'echo "$_"',
    "false",
    'echo "$?"',
    'echo "bang[$!]"',
    "jobs",
    "set -o noclobber",
    "set -u",
    "IFS=x",
    "alias printf=false history=false local=false",
    "(exit 9)",
    'echo "$?"',
    "echo end",
]
BASH_LINES = [
    "trap 'echo bye' EXIT; trap 'echo bug' ERR",
    "false",
    "trap - ERR",
    "trap 'n=${n-}+' DEBUG",
    "trap -p DEBUG",
    "trap - DEBUG",
    "HISTTIMEFORMAT='%F '",
    "unset HISTTIMEFORMAT",
    "set -o pipefail",
    "set -e",
    "echo still there",
]


def shown(hooked, name, lines, before, *, recorded):
    environ = {} if recorded else {"MAHAVISHNU_SESSION_ENABLED": "false"}
    with hooked.shell(name, before, **environ) as shell:
        return [shell.type(line) for line in lines]


@pytest.mark.parametrize(
    "before",
    [
        "",
        "PROMPT_COMMAND='echo \"<$? ${PIPESTATUS[*]}>\"'",
        "PROMPT_COMMAND=('echo a$?' 'echo b$?')",
        "HISTCONTROL=erasedups HISTIGNORE=ls",
        "set -u",
    ],
)
def test_bash_shows_the_same_with_the_hook(hooked, before):
    lines = LINES + BASH_LINES
    plain = shown(hooked, "bash", lines, before, recorded=False)
    assert shown(hooked, "bash", lines, before, recorded=True) == plain


@pytest.mark.needs("zsh")
def test_zsh_shows_the_same_with_the_hook(hooked):
    before = 'unsetopt zle prompt_sp; precmd() { print -n "<$? $pipestatus>" }'
    plain = shown(hooked, "zsh", LINES, before, recorded=False)
    assert shown(hooked, "zsh", LINES, before, recorded=True) == plain


def test_the_traps_of_the_user_see_the_exit_code(hooked):
    with hooked.shell("bash", "trap 'echo bye $?' EXIT") as shell:
        shell.child.sendline("set -e")
        shell.prompt()
        shell.child.sendline("exit 4")
        shell.child.expect_exact("bye 4")
        shell.child.wait()
    assert hooked.session(shell.pid)[-1]["exit_code"] == 4


def test_no_command_inherits_the_pipe(hooked, name):
    with hooked.shell(name) as shell:
        shell.type("true")
        listed = shell.type("/bin/ls -l /proc/self/fd")
        assert "pipe:" not in listed


def test_sourcing_it_twice_is_harmless(hooked, name):
    again = f'eval "$({hooked.command} hook {name})"'
    with hooked.shell(name, after=again) as shell:
        shell.type("true")
        shell.type(again)
        shell.leave("exit")
    recorded = [
        e["data"]["text"] for e in hooked.session(shell.pid) if e["event_type"] == "command"
    ]
    assert recorded == ["true", again]


@pytest.mark.parametrize("control", ["", "ignoreboth", "ignoredups", "ignorespace", "erasedups"])
def test_repeated_and_private_commands_under_each_rule_of_the_history(hooked, control):
    with hooked.shell("bash", f"HISTCONTROL={control}", "PROMPT_COMMAND='history -a'") as shell:
        for line in ("echo 1", "echo 1", " echo 2", "echo 1 | cat", "echo 1 | cat", "history -c"):
            shell.type(line)
        shell.leave("exit")
    recorded = [
        e["data"]["text"] for e in hooked.session(shell.pid) if e["event_type"] == "command"
    ]
    assert recorded == ["echo 1", "echo 1", "echo 1 | cat", "echo 1 | cat", "history -c"]


def test_prompt_command_may_be_replaced_at_the_prompt(hooked):
    with hooked.shell("bash", "PROMPT_COMMAND='echo old'") as shell:
        shell.type("true")
        shell.type("PROMPT_COMMAND='echo new'")
        assert shell.type("true") == "true\nnew\n"
        shell.type("PROMPT_COMMAND=")
        assert shell.type("true") == "true\n"
        shell.leave("exit")
    assert len(hooked.session(shell.pid)) == 2 + 5
