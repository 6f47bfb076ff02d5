# Records an interactive zsh for session-buddy. Nothing is spawned at a prompt: two records a
# command go, by builtins, into a pipe that a process of its own reads and redacts.
if [[ -o interactive && ${__session_buddy_shell-} != $$ &&
  ${MAHAVISHNU_SESSION_ENABLED-} != [Ff][Aa][Ll][Ss][Ee] ]] &&
  zmodload zsh/system zsh/datetime 2>/dev/null; then
  # Not exported, and compared with $$ where it was (set -a): a zsh in this one is its own session.
  typeset -g __session_buddy_shell=$$ __session_buddy_python=@python@
  typeset -g __session_buddy_state=new __session_buddy_fd= __session_buddy_pid= __session_buddy_id= __session_buddy_terminal=
  typeset -gi __session_buddy_seq=0 __session_buddy_starts=0 __session_buddy_next=0

  __session_buddy_prompt() {
    local code=$?
    emulate -L zsh
    setopt no_xtrace no_err_exit no_err_return no_all_export
    case $__session_buddy_state in
      new)
        __session_buddy_state=off
        __session_buddy_open && __session_buddy_state=on && __session_buddy_tell P $code "$PWD"
        ;;
      on)
        __session_buddy_tell F $code "$PWD"
        [[ -e /proc/$__session_buddy_pid/exe ]] || __session_buddy_restart
        ;;
    esac
    return 0
  } 2>/dev/null

  __session_buddy_begin() {
    emulate -L zsh
    setopt no_xtrace no_err_exit no_err_return no_all_export
    # More than the tracker keeps of a text (tracker.client.plain) would only take time.
    [[ $__session_buddy_state != on ]] ||
      __session_buddy_tell B 0 "$PWD" "${#1}" "${1[1,32001]}"
    return 0
  } 2>/dev/null

  __session_buddy_exit() {
    local code=$?
    emulate -L zsh
    setopt no_xtrace no_err_exit no_err_return no_all_export
    if [[ $__session_buddy_state == on && $sysparams[pid] == $__session_buddy_shell ]]; then
      # A terminal that was hung up is one no more.
      [[ -n $__session_buddy_terminal && ! -t 0 && ! -t 1 ]] && code=129
      __session_buddy_tell E $code "$PWD"
    fi
    return 0
  } 2>/dev/null

  __session_buddy_tell() { # kind status field...
    local -i now='EPOCHREALTIME * 1000000'
    syswrite -o $__session_buddy_fd -- \
      $'\0\x1e'"$1 $((__session_buddy_seq + 1)) $now $2"$'\0'"${(pj:\0:)@[3,-1]}"$'\0\x1f\0'
    __session_buddy_seq+=1
  }

  # A pipe that is open for reading as well never raises SIGPIPE, and one in non-blocking mode never
  # holds up a prompt; close-on-exec keeps it from the commands that are run.
  __session_buddy_open() {
    local pipe
    [[ -x $__session_buddy_python && -e /proc/self/fd ]] || return 1
    exec {pipe}<> <(:)
    sysopen -rw -o cloexec,nonblock -u __session_buddy_fd /dev/fd/$pipe
    exec {pipe}<&-
    [[ -n $__session_buddy_fd ]] || return 1
    local -i now='EPOCHREALTIME * 1000000'
    __session_buddy_id=$now
    [[ -t 0 ]] && __session_buddy_terminal=had
    __session_buddy_start
  }

  # In a subshell, so that neither $! nor the jobs of this one know of it.
  __session_buddy_start() {
    __session_buddy_starts+=1
    __session_buddy_next='EPOCHSECONDS + 2 ** __session_buddy_starts'
    __session_buddy_pid=$(
      # Until it has a session of its own, what is meant for the terminal reaches it as well.
      setopt posix_traps # without it the next process would not ignore them
      trap '' HUP INT QUIT
      $__session_buddy_python -I -m tracker.client.hooks.record --shell zsh \
        --version $ZSH_VERSION --pid $$ --began $__session_buddy_id --cwd "$PWD" \
        --starts $__session_buddy_starts <&$__session_buddy_fd >/dev/null 2>&1 &
      print -n $!
    )
  }

  # The pipe has kept what was run meanwhile. Less and less often, in case it cannot run at all.
  __session_buddy_restart() {
    (( __session_buddy_starts < 6 && EPOCHSECONDS >= __session_buddy_next )) || return 0
    [[ -x $__session_buddy_python ]] && __session_buddy_start
  }

  typeset -ga precmd_functions preexec_functions zshexit_functions
  precmd_functions=(__session_buddy_prompt "${precmd_functions[@]}")
  preexec_functions=(__session_buddy_begin "${preexec_functions[@]}")
  zshexit_functions=(__session_buddy_exit "${zshexit_functions[@]}")
fi
