# moto: EC2, CloudWatch Logs, STS and S3 in one process, everything in memory. Sourced by tests/with-servers.

# A Python environment under target/, made once. The tests' own fixtures (tests/servers/*.py) run in it too.
install_moto() {
    local wanted=$PARTS/requirements.txt have=$INSTALLED/moto/requirements.txt
    if cmp --silent "$wanted" "$have" && "$PYTHON" -c 'import boto3, moto.server' 2> /dev/null; then
        return
    fi
    local python=python3
    if ! python3 -c 'import ensurepip, venv' 2> /dev/null; then
        install_packages python3 python3-venv
        python=/usr/bin/python3
    fi
    echo "installing: moto, into $INSTALLED/moto" >&2
    mkdir -p "$INSTALLED"
    quietly "$python" -m venv --clear "$INSTALLED/moto"
    quietly "$PYTHON" -m pip install --quiet --disable-pip-version-check --requirement "$wanted"
    cp "$wanted" "$have"
}

start_moto() {
    # Port 0: the system chooses, the log says.
    PYTHONUNBUFFERED=1 serve "$WORK/moto.log" "$PYTHON" -m moto.server --host 127.0.0.1 --port 0
}

wait_for_moto() {
    wait_until 60 moto "$WORK/moto.log" moto_said_its_address
    FLOWCHECK_TEST_MOTO=$(moto_address)
    wait_until 30 moto "$WORK/moto.log" answers "${FLOWCHECK_TEST_MOTO##*:}"
}

moto_address() {
    grep --only-matching --max-count=1 'http://127\.0\.0\.1:[0-9]*' "$WORK/moto.log"
}

moto_said_its_address() {
    moto_address > /dev/null
}
