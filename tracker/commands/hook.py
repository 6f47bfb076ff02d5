"""``session-buddy hook``: what makes ordinary shells record their sessions."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh"]))
def hook(shell: str) -> None:
    """Print what makes every interactive bash (5.1 or newer) or zsh a recorded session.

    Commands are stored with exit code, duration and folder. Secrets are masked before anything is
    written. What begins with a space is left out, and so is what bash itself keeps out of its
    history (HISTCONTROL=ignorespace, HISTIGNORE). MAHAVISHNU_SESSION_ENABLED=false records nothing.
    Needs Linux 5.3 or newer.

    Not recorded: in bash, what runs while a DEBUG trap fails, and after PROMPT_COMMAND was unset or
    replaced by an array, or where it is readonly; in both shells, the line that "exec" or kill -9
    cuts off may be missing or have no exit code. Where an EXIT trap set in a function or a sourced
    file replaces ours, Linux older than 6.15 may not know the exit code: that looks like a crash.

    \b
    Examples, as the last line of ~/.bashrc or ~/.zshrc:
      eval "$(session-buddy hook bash 2>/dev/null)"
      eval "$(session-buddy hook zsh 2>/dev/null)"

    \b
    Shells start faster with the lines in a file, printed once and after an update:
      session-buddy hook bash > ~/.session-buddy/hook.bash
      [ -r ~/.session-buddy/hook.bash ] && . ~/.session-buddy/hook.bash
    """  # noqa: D301 -- click wants the character itself
    from schemas.places import Places
    from tracker.client.hooks.snippet import hook_lines

    click.echo(hook_lines(shell, Places.of_this_user()), nl=False)
