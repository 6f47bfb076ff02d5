# shellcheck shell=bash disable=SC2016,SC2154,SC2034,SC2119,SC2120
# Records an interactive bash, 5.1 or newer, for session-buddy. Nothing is spawned at a prompt: one
# record a command goes, by builtins, into a pipe that a process of its own reads and redacts.
if [[ $- == *i* && ${__session_buddy_shell-} != "$$" ]] &&
  ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)) &&
  [[ ${MAHAVISHNU_SESSION_ENABLED-} != [Ff][Aa][Ll][Ss][Ee] ]]; then
  # Not exported, and compared with $$ where it was (set -a): a bash in this one is its own session.
  __session_buddy_shell=$$
  __session_buddy_python=@python@
  __session_buddy_state=new __session_buddy_fd='' __session_buddy_pid='' __session_buddy_id=''
  __session_buddy_seq=0 __session_buddy_starts=0 __session_buddy_next=0
  __session_buddy_began=0 __session_buddy_number=0 __session_buddy_zero=0 __session_buddy_moved=''
  __session_buddy_terminal='' __session_buddy_tries=0 __session_buddy_runs=(yes)
  # PS0 is expanded once a command line, so the user's DEBUG trap stays alone; \! is the number of
  # the command in the history. It expands to nothing. No other "!": with set -o posix it is one too.
  __session_buddy_mark='${__session_buddy_zero:$((__session_buddy_began=${EPOCHREALTIME//[^0-9]/},__session_buddy_number=\!,__session_buddy_tries=0,1)):0}'
  # Only the list of a "for" is expanded before BASH_COMMAND becomes a command of ours, and before
  # a DEBUG trap runs. Where that trap fails with set -u, bash leaves PROMPT_COMMAND for the next
  # prompt, which is PROMPT_COMMAND again: for ever, and each round takes memory. After nine rounds
  # that did not come to the body the list is empty, until the next command line.
  __session_buddy_call='for __session_buddy_ran in ${__session_buddy_runs[++__session_buddy_tries>9]:+"$BASH_COMMAND"}; do __session_buddy_prompt "$?"; done 2>/dev/null'

  __session_buddy_prompt() {
    # Whatever the user has set (-e, -u, -x, noclobber, ...) ends here and is back afterwards.
    \builtin local -
    \builtin set +aeuxCET
    __session_buddy_tries=0
    case $__session_buddy_state in
      new)
        __session_buddy_state=off
        __session_buddy_open && __session_buddy_state=on && __session_buddy_tell P "$1"
        ;;
      on)
        if ((__session_buddy_began)); then
          # After another prompt command BASH_COMMAND says nothing about the user's.
          [[ -z ${PROMPT_COMMAND[0]-} || ${PROMPT_COMMAND[0]} == "$__session_buddy_call" ]] ||
            __session_buddy_ran=''
          __session_buddy_tell C "$1"
        fi
        [[ -e /proc/$__session_buddy_pid/exe ]] || __session_buddy_restart
        # Which traps there are only a process of its own can tell: not at every prompt.
        [[ ${__session_buddy_ran-} == *trap* ]] && __session_buddy_trap
        ;;
      off) \builtin return 0 ;;
    esac
    __session_buddy_began=0
    __session_buddy_place
    # With set -e any other status would end the shell; bash itself puts $? back.
    \builtin return 0
  }

  __session_buddy_tell() { # kind status
    {
      \builtin printf '\0\036%s %d %s %d\0' "$1" "$((__session_buddy_seq + 1))" \
        "${EPOCHREALTIME//[!0-9]/}" "$2"
      \builtin printf '%s\0' "$__session_buddy_began" "$__session_buddy_number" \
        "${HISTCONTROL-}" "${HISTIGNORE:+ignore}" "$SHELLOPTS" "${__session_buddy_ran:0:1000}" \
        "${PWD-}"
      # Set for one call only where it is set already: bash writes times to HISTFILE where it is.
      if [[ ${HISTTIMEFORMAT-} ]]; then
        HISTTIMEFORMAT='' \builtin history 1
      else
        \builtin history 1
      fi
      \builtin printf '\0\037\0'
    } >&"$__session_buddy_fd"
    # Ctrl-C may end this anywhere; then the next prompt tells it again, under the same number.
    __session_buddy_seq=$((__session_buddy_seq + 1))
  }

  # First at the prompt, before "history -n" and the like change what was typed; and last as well,
  # since PROMPT_COMMAND=... replaces the first element.
  __session_buddy_place() {
    if [[ $BASHOPTS != *promptvars* ]]; then
      PS0=${PS0//"$__session_buddy_mark"/}
    elif [[ ${PS0-} != *"$__session_buddy_mark"* ]]; then
      PS0=${PS0-}$__session_buddy_mark
    fi
    \builtin local first="${PROMPT_COMMAND[0]-}"
    [[ $first == "$__session_buddy_call" ]] && \builtin return
    if [[ $first == *"$__session_buddy_call"* ]]; then
      first=${first//"$__session_buddy_call"/:}
    elif [[ $__session_buddy_moved && ${PROMPT_COMMAND[1]-} == "$__session_buddy_moved" ]]; then
      # Somebody has replaced what stood first for them, and did not see that it had moved.
      \builtin unset 'PROMPT_COMMAND[1]'
    fi
    __session_buddy_moved=$first
    if [[ $first ]]; then
      PROMPT_COMMAND=("$__session_buddy_call" "$first" "${PROMPT_COMMAND[@]:1}")
    fi
  }

  # A pipe that is open for reading as well never raises SIGPIPE, and one in non-blocking mode never
  # holds up a prompt. The flags belong to the open file, so dd can set them for this shell.
  __session_buddy_open() {
    \builtin local number pipe
    [[ -x $__session_buddy_python && -e /proc/self/fd ]] || \builtin return 1
    # exec without "builtin", which would take the closing of a descriptor back.
    \exec {pipe}<<<''
    if [[ -p /dev/fd/$pipe ]]; then
      # bash saves a redirected descriptor as close-on-exec, and a copy of that copy stays so: the
      # only way in bash to a descriptor that no command inherits.
      {
        {
          for number in {10..99}; do
            if ((number != pipe)) && [[ /dev/fd/$number -ef /dev/fd/$pipe ]]; then
              \exec {__session_buddy_fd}>&"$number"
              break
            fi
          done
        } >/dev/null
      } 1<>"/dev/fd/$pipe"
    fi
    \exec {pipe}<&-
    [[ $__session_buddy_fd ]] || \builtin return 1
    if ! \builtin command dd count=0 oflag=nonblock status=none \
      </dev/null >&"$__session_buddy_fd"; then
      \exec {__session_buddy_fd}>&-
      \builtin return 1
    fi
    __session_buddy_id=${EPOCHREALTIME//[!0-9]/}
    [[ -t 0 ]] && __session_buddy_terminal=had
    __session_buddy_trap
    __session_buddy_start
  }

  # "&& :" keeps the exit code for the user's own trap, also with set -e.
  __session_buddy_trap() {
    \builtin local saved
    saved=$(\builtin trap -p EXIT)
    [[ $saved == *__session_buddy_exit* ]] && \builtin return
    [[ -z $saved ]] || \builtin eval "\\builtin set -- $saved" # trap -- 'text' EXIT
    \builtin trap -- "__session_buddy_exit 2>/dev/null && :${saved:+$'\n'$3}" EXIT
  }

  # In a subshell, so that neither $! nor the jobs of this one know of it.
  __session_buddy_start() {
    __session_buddy_starts=$((__session_buddy_starts + 1))
    __session_buddy_next=$((EPOCHSECONDS + 2 ** __session_buddy_starts))
    __session_buddy_pid=$(
      # Until it has a session of its own, what is meant for the terminal reaches it as well.
      \builtin trap '' HUP INT QUIT
      "$__session_buddy_python" -I -m tracker.client.hooks.record --shell bash \
        --version "$BASH_VERSION" --pid "$$" --began "$__session_buddy_id" --cwd "${PWD-}" \
        --starts "$__session_buddy_starts" <&"$__session_buddy_fd" >/dev/null 2>&1 &
      \builtin printf %s "$!"
    )
  }

  # The pipe has kept what was run meanwhile. Less and less often, in case it cannot run at all.
  __session_buddy_restart() {
    ((__session_buddy_starts < 6 && EPOCHSECONDS >= __session_buddy_next)) || \builtin return 0
    [[ -x $__session_buddy_python ]] && __session_buddy_start
  }

  __session_buddy_exit() {
    \builtin local status="$?" __session_buddy_ran='' -
    \builtin set +aeuxCET
    if [[ $__session_buddy_state == on && $BASHPID == "$__session_buddy_shell" ]]; then
      # bash says nothing of SIGHUP, but a terminal that was hung up is one no more.
      if [[ $__session_buddy_terminal && ! -t 0 && ! -t 1 ]]; then
        __session_buddy_tell E 129
      else
        __session_buddy_tell E "$status"
      fi
    fi
    \builtin return "$status"
  }

  if [[ ${PROMPT_COMMAND+set} && ${PROMPT_COMMAND@a} == *r* ]]; then
    \builtin echo "session-buddy: PROMPT_COMMAND is readonly; this shell is not recorded" >&2
  else
    # Far back, so that element 0, which PROMPT_COMMAND=... sets, stays the user's.
    PROMPT_COMMAND[99]=$__session_buddy_call
  fi
fi
