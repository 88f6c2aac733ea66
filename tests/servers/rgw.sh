# Ceph RGW: the S3 server that others run in production, as a throw-away cluster of one monitor, one OSD that keeps
# everything in memory, and one gateway. Sourced by tests/with-servers.

readonly RGW_PROGRAMS=(ceph ceph-authtool ceph-mon ceph-osd monmaptool radosgw radosgw-admin)

install_rgw() {
    local program
    for program in "${RGW_PROGRAMS[@]}"; do
        if ! command -v "$program" > /dev/null; then
            install_packages radosgw ceph-mon ceph-osd
            return
        fi
    done
}

start_rgw() {
    CLUSTER=$WORK/ceph
    FSID=$("$PYTHON" -c 'import uuid; print(uuid.uuid4())')
    MON_PORT=$(free_port)
    RGW_PORT=$(free_port)
    export CEPH_CONF=$CLUSTER/ceph.conf
    mkdir -p "$CLUSTER"/{mon,osd,rgw}
    write_ceph_conf
    make_keyrings
    start_mon
    start_osd
    start_gateway
}

# Reached over loopback only, one copy of everything, no daemon that looks after disks, nothing written outside $CLUSTER.
write_ceph_conf() {
    cat > "$CEPH_CONF" <<CONF
[global]
fsid = $FSID
mon host = [v2:127.0.0.1:$MON_PORT/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = $CLUSTER/keyring
run dir = $CLUSTER
admin socket =
log file =
log to stderr = true
err to stderr = true
mon cluster log file =
mon cluster log to stderr = false
crash dir = $CLUSTER
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
[mon]
mon data = $CLUSTER/mon
mon data avail crit = 0
mon data avail warn = 0
[osd]
osd data = $CLUSTER/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd class load list = *
osd class default list = *
[client.rgw]
rgw data = $CLUSTER/rgw
rgw frontends = beast endpoint=127.0.0.1:$RGW_PORT
rgw enable gc threads = false
rgw enable lc threads = false
rgw enable quota threads = false
rgw dynamic resharding = false
CONF
}

# One keyring for all: it lives as long as the cluster.
make_keyrings() {
    local name
    quietly ceph-authtool --create-keyring "$CLUSTER/keyring" --gen-key --name mon. --cap mon 'allow *'
    for name in client.admin osd.0 client.rgw; do
        quietly ceph-authtool "$CLUSTER/keyring" --gen-key --name "$name" \
            --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    done
    chmod 600 "$CLUSTER/keyring"
}

start_mon() {
    quietly monmaptool --create --fsid "$FSID" --addv a "[v2:127.0.0.1:$MON_PORT]" "$CLUSTER/monmap"
    quietly ceph-mon --mkfs --id a --monmap "$CLUSTER/monmap" --keyring "$CLUSTER/keyring"
    serve "$CLUSTER/mon.log" ceph-mon --foreground --id a
    # The gateway's and the OSD's keys are in the monitor's own keyring from the beginning.
    wait_until 60 "the Ceph monitor" "$CLUSTER/mon.log" ceph_answers
}

ceph_answers() {
    timeout 20 ceph --connect-timeout 10 status > /dev/null 2>&1
}

start_osd() {
    local uuid
    uuid=$("$PYTHON" -c 'import uuid; print(uuid.uuid4())')
    quietly timeout 30 ceph osd new "$uuid" 0
    quietly ceph-osd --mkfs --id 0 --osd-uuid "$uuid"
    serve "$CLUSTER/osd.log" ceph-osd --foreground --id 0
    wait_until 60 "the Ceph OSD" "$CLUSTER/osd.log" osd_is_up
}

osd_is_up() {
    [[ $(timeout 20 ceph osd stat 2> /dev/null) == *' 1 up'* ]]
}

start_gateway() {
    # Of no use to anyone: they are made up here and die with the cluster.
    FLOWCHECK_TEST_RGW_KEY=$("$PYTHON" -c 'import secrets; print("TEST" + secrets.token_hex(8).upper())')
    FLOWCHECK_TEST_RGW_SECRET=$("$PYTHON" -c 'import secrets; print(secrets.token_hex(20))')
    quietly timeout 120 radosgw-admin --name client.rgw user create --uid flowcheck --display-name flowcheck \
        --access-key "$FLOWCHECK_TEST_RGW_KEY" --secret-key "$FLOWCHECK_TEST_RGW_SECRET"
    serve "$CLUSTER/rgw.log" radosgw --foreground --name client.rgw
}

wait_for_rgw() {
    wait_until 120 "the Ceph gateway" "$CLUSTER/rgw.log" answers "$RGW_PORT"
    FLOWCHECK_TEST_RGW=http://127.0.0.1:$RGW_PORT
}
