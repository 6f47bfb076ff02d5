"""Opens an admin shell and closes its record, however the shell ends (guide 3 step 4)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from orchestrator.shell.recorder import INTERRUPTED, Recorder, exit_code_of
from orchestrator.shell.signals import Terminated, Terminations
from orchestrator.shell.trace import tracer
from schemas.release import version
from tracker.client.emitter import Emitter
from tracker.client.facts import session_facts

if TYPE_CHECKING:
    from schemas.settings import Settings

SESSION_TYPE = "admin_shell"


def run(settings: Settings, code: str | None = None) -> int:
    """Run a shell to its end.

    Args:
        settings: the settings in force.
        code: what to run instead of asking at a prompt; needs no terminal.

    Returns:
        The exit code: 0; 1 when ``code`` failed; 130 when it was interrupted; what was given to
        ``exit``; 128 and the signal's number when SIGTERM or SIGHUP ended it.
    """
    terminations = Terminations()
    emitter = _emitter(settings)
    recorder = Recorder(emitter, terminations, tracer(settings, emitter.session_id))
    exit_code, reason = 1, ""
    terminations.listen()
    try:
        recorder.start()
        terminations.check()
        if code is None:
            exit_code = _ask(settings, recorder, terminations)
        else:
            exit_code = _run_code(settings, recorder, terminations, code)
    except Terminated as ended:
        exit_code, reason = exit_code_of(ended), ended.reason
    except KeyboardInterrupt:
        exit_code, reason = INTERRUPTED, "SIGINT"
    except BaseException as error:
        # On its way out of a terminal that is gone a termination can turn into another error.
        if terminations.received is None:
            reason = f"{type(error).__name__}: {error}"
            raise
        late = Terminated(terminations.received)
        exit_code, reason = exit_code_of(late), late.reason
    finally:
        recorder.end(exit_code, reason)
    return exit_code


def _emitter(settings: Settings) -> Emitter:
    facts = session_facts(
        "mahavishnu",
        SESSION_TYPE,
        version=version(),
        look_at_git=settings.flag("session_buddy.session_tracking.auto_init"),
    )
    return Emitter(facts, settings)


def _run_code(settings: Settings, recorder: Recorder, terminations: Terminations, code: str) -> int:
    from orchestrator.shell.commands import install
    from orchestrator.shell.ipython import CodeShell, make

    shell = make(
        CodeShell,
        settings.places.state / "shell",
        recorder,
        terminations,
        {
            "HistoryManager": {"enabled": False},
            "InteractiveShell": {"colors": _colours(), "xmode": "Plain"},
        },
    )
    install(shell, settings)
    result = shell.run_cell(code)
    if shell.ending is not None:
        return shell.ending
    error = result.error_before_exec or result.error_in_exec
    if error is None:
        return 0
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


def _ask(settings: Settings, recorder: Recorder, terminations: Terminations) -> int:
    from orchestrator.shell.banner import banner
    from orchestrator.shell.commands import install
    from orchestrator.shell.history import history_file
    from orchestrator.shell.ipython import make
    from orchestrator.shell.prompt import PromptShell, terminal_mode_kept

    folder = settings.places.state / "shell"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    shell = make(
        PromptShell,
        folder,
        recorder,
        terminations,
        {
            "HistoryManager": {"hist_file": str(history_file(folder))},
            "InteractiveShell": {"colors": _colours()},
            "TerminalInteractiveShell": {"confirm_exit": False, "term_title": False},
            "IPCompleter": {"use_jedi": False},
        },
    )
    install(shell, settings)
    print(banner(settings, recorder.session_id))
    with terminal_mode_kept():
        shell.mainloop()
    terminations.check()
    return shell.ending or 0


def _colours() -> str:
    plain = os.environ.get("NO_COLOR") or not sys.stdout.isatty()
    return "nocolor" if plain else "neutral"
