# Processes and ports, for tests/with-servers. Sourced by it; knows neither server.

# Says why the servers cannot be had, and ends.
refuse() {
    printf 'tests/with-servers: %s\n' "$@" >&2
    exit 2
}

# Runs a command and shows what it printed only when it fails.
quietly() {
    if ! "$@" > "$WORK/last.log" 2>&1; then
        cat "$WORK/last.log" >&2
        refuse "failed: $*"
    fi
}

# Installs Debian packages, with their lists brought up to date only when that is needed.
install_packages() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
        refuse "these Debian packages are needed: $*" "hint: sudo apt-get install --no-install-recommends $*"
    fi
    echo "installing: $*" >&2
    export DEBIAN_FRONTEND=noninteractive
    local install=(apt-get install --option DPkg::Lock::Timeout=120 --yes --quiet --no-install-recommends "$@")
    if ! "${install[@]}" > "$WORK/apt.log" 2>&1; then
        quietly apt-get update --quiet
        quietly "${install[@]}"
    fi
}

# A TCP port of 127.0.0.1 that was free a moment ago, for servers that cannot choose one themselves.
free_port() {
    "$PYTHON" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Starts a command in the background, in a process group of its own: Ctrl-C reaches this script only, which then stops
# the group. Its process id is in LAUNCHED.
apart() {
    set -m
    "$@" < /dev/null &
    LAUNCHED=$!
    set +m
}

# serve LOG COMMAND...: starts a server whose output goes to LOG. It ends with this script, even when that is killed.
serve() {
    local log=$1
    shift
    apart setpriv --pdeathsig KILL -- "$@" > "$log" 2>&1
    SERVERS=("$LAUNCHED" "${SERVERS[@]}")
}

# wait_until SECONDS WHAT LOG CONDITION...: until the condition holds; fails with the log's end after that long, or when
# a server has ended.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2 log=$3
    shift 3
    until "$@"; do
        if [ "$SECONDS" -ge "$deadline" ] || ! all_run; then
            tail -n 30 "$log" >&2
            refuse "$what did not start"
        fi
        sleep 0.1
    done
}

all_run() {
    local server
    for server in "${SERVERS[@]}"; do
        kill -0 "$server" 2> /dev/null || return 1
    done
}

# Whether an HTTP server answers at a port of 127.0.0.1.
answers() {
    local line
    { exec 3<> "/dev/tcp/127.0.0.1/$1"; } 2> /dev/null || return 1
    printf 'GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
    read -r -t 2 line <&3 || line=
    exec 3>&-
    [[ $line == HTTP/* ]]
}

# Ends the tests with all they started, then the servers, and removes what they wrote.
stop_all() {
    local code=$?
    trap '' HUP INT TERM
    trap - EXIT
    if [ -n "$COMMAND" ]; then
        kill -TERM -- "-$COMMAND" 2> /dev/null || true
        # A process group that outlives its leader has nobody left who wants it.
        gone_within 5 "-$COMMAND" || kill -KILL -- "-$COMMAND" 2> /dev/null || true
        wait "$COMMAND" 2> /dev/null || true
    fi
    local server
    for server in "${SERVERS[@]}"; do
        kill -KILL "$server" 2> /dev/null || true
        wait "$server" 2> /dev/null || true
    done
    rm -rf -- "$WORK"
    exit "$code"
}

# gone_within SECONDS PROCESS: whether it (or, with a minus, its group) ends in that time.
gone_within() {
    local deadline=$((SECONDS + $1))
    while kill -0 -- "$2" 2> /dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}
