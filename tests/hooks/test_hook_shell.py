"""A hooked shell behaves as one that is not."""

from __future__ import annotations

import pexpect
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
    "n=0; trap 'n=$((n+1))' DEBUG",
    "trap -p DEBUG",
    "trap - DEBUG",
    "HISTTIMEFORMAT='%F '",
    "unset HISTTIMEFORMAT",
    "set -o pipefail",
]
CAREFUL_LINES = [
    "set -eu",
    "false || echo caught",
    "if false; then :; fi; echo $?",
    "! true",
    "echo $?",
    "(exit 3) && :",
    "echo $?",
    "true; echo still there",
]


def shown(hooked, name, lines, before, *, recorded):
    environ = {} if recorded else {"MAHAVISHNU_SESSION_ENABLED": "false"}
    with hooked.shell(name, before, **environ) as shell:
        return [shell.type(line) for line in lines]


@pytest.mark.parametrize(
    "before",
    [
        "",
        'PROMPT_COMMAND=\'printf "<%s %s>" $? "${PIPESTATUS[*]}"\'',
        "PROMPT_COMMAND=('echo a$?' 'echo b$?')",
        "HISTCONTROL=erasedups HISTIGNORE=ls",
        "set -u",
        "set -o posix",
        "set -o functrace -o errtrace",
    ],
)
def test_bash_shows_the_same_with_the_hook(hooked, before):
    lines = LINES + BASH_LINES
    plain = shown(hooked, "bash", lines, before, recorded=False)
    assert shown(hooked, "bash", lines, before, recorded=True) == plain


def test_a_careful_shell_ends_where_it_would_without_the_hook(hooked, name):
    last = "echo before; false; echo after"
    with hooked.shell(name, MAHAVISHNU_SESSION_ENABLED="false") as shell:
        plain = [shell.type(line) for line in CAREFUL_LINES]
        code = shell.leave(last)
        plain.append(shell.child.before)
    with hooked.shell(name) as shell:
        recorded = [shell.type(line) for line in CAREFUL_LINES]
        shell.child.sendline(last)
        # zsh says nothing then; its exit code can be seen until its parent fetches it.
        *_, command, end = hooked.session(shell.pid)
        shell.child.expect(pexpect.EOF)
        recorded.append(shell.child.before)
        shell.child.close()
    assert (recorded, shell.child.exitstatus) == (plain, code)
    assert command["data"]["text"] == "echo before; false; echo after"
    assert (command["exit_code"], end["exit_code"]) == (1, 1)


def test_a_start_up_file_under_set_eu(hooked, name):
    with hooked.shell(name, "set -eu") as shell:
        shell.type("false || true")
        assert shell.leave("exit 3") == 3
    assert hooked.session(shell.pid)[-1]["exit_code"] == 3


def test_a_debug_trap_that_fails_does_not_keep_the_prompt_away(hooked):
    with hooked.shell("bash") as shell:
        shell.type("set -u")
        shell.type("trap 'n=$((n+1))' DEBUG")
        assert "n: unbound variable" in shell.type("true")
        shell.type("")
        # Nothing can be run any more, with or without the hook.
        shell.child.sendeof()
        *_, end = hooked.session(shell.pid)
    assert end["event_type"] == "session_end"


@pytest.mark.needs("zsh")
def test_zsh_shows_the_same_with_the_hook(hooked):
    before = 'unsetopt zle prompt_sp; precmd() { print -n "<$? $pipestatus>" }'
    plain = shown(hooked, "zsh", LINES, before, recorded=False)
    assert shown(hooked, "zsh", LINES, before, recorded=True) == plain


@pytest.mark.needs("zsh")
def test_zsh_keeps_the_prompt_functions_of_the_user_also_with_arrays_of_ksh(hooked):
    before = (
        "unsetopt zle prompt_sp; one() { print one }; two() { print two };"
        " precmd_functions=(one two); setopt ksh_arrays"
    )
    with hooked.shell("zsh", before) as shell:
        assert shell.type("true") == "true\none\ntwo\n"
        shell.leave("exit 3")


def test_a_posix_shell_is_recorded(hooked):
    with hooked.shell("bash", "set -o posix") as shell:
        assert shell.type("echo 1") == "echo 1\n1\n"
        shell.leave("exit 3")
    _, command, end = hooked.session(shell.pid)
    assert (command["data"]["text"], end["exit_code"]) == ("echo 1", 3)
    assert command["timestamp"] <= end["timestamp"]


def test_a_prompt_command_that_may_not_be_changed_is_left_alone(hooked):
    with hooked.shell("bash", "readonly PROMPT_COMMAND='echo mine'", "echo end of file") as shell:
        assert shell.type("true") == "true\nmine\n"
        assert shell.leave("exit 3") == 3
    assert not hooked.spool.exists()


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
