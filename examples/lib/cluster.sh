# shellcheck shell=bash
# A cluster of participants on loopback: keys, wrapping tokens, configurations, daemons. Three of them,
# of which one may be corrupt, unless CLUSTER_SIZE and CLUSTER_THRESHOLD say otherwise.
# To be sourced after common.sh. ROOT: the source tree. TDSA_BUILD: the build folder with the programs.
#
# Folder of a cluster: ports (one line per participant: protocol api admin), keyN.* and one folder
# participantN each with config.yml, softhsm/ (its own token), pin, tdsa.db; logs/participantN.log.

CLUSTER_SIZE=${CLUSTER_SIZE:-3}
CLUSTER_THRESHOLD=${CLUSTER_THRESHOLD:-1}
CLUSTER_TOKEN=${CLUSTER_TOKEN:-TDSA}

cluster_daemon_program() {
    printf '%s/service/daemon/tdsa-service' "${TDSA_BUILD:?}"
}

cluster_module() {
    printf '%s/pkcs11-provider/libtdsa-pkcs11.so' "${TDSA_BUILD:?}"
}

# 48 random letters and digits: PINs, group secret.
cluster_random() {
    openssl rand -hex "${1:-24}"
}

base64url() {
    base64 -w0 | tr '+/' '-_' | tr -d '='
}

# cluster_keys DIR INDEX: X25519 and X448 key pairs of one participant, as the configuration wants them.
cluster_keys() {
    local dir=$1/participant$2 kind algorithm
    for kind in primary secondary; do
        algorithm=X25519
        [ "$kind" = primary ] || algorithm=X448
        openssl genpkey -algorithm "$algorithm" -outform DER -out "$dir/$kind.der"
        base64url <"$dir/$kind.der" >"$dir/$kind.private"
        openssl pkey -inform DER -in "$dir/$kind.der" -pubout -outform DER | base64url >"$dir/$kind.public"
        rm -f "$dir/$kind.der"
    done
}

# cluster_token DIR INDEX: a SoftHSM token of its own, whose PIN only this participant has.
cluster_token() {
    local dir=$1/participant$2
    cluster_random 8 >"$dir/pin"
    "$ROOT/softhsm-conf/setup-token.sh" "$dir/softhsm" "wrap$2" "$(cat "$dir/pin")"
}

cluster_softhsm_conf() {
    printf '%s/participant%s/softhsm/softhsm2.conf' "$1" "$2"
}

# cluster_port DIR INDEX protocol|api|admin
cluster_port() {
    local column
    case $3 in protocol) column=1 ;; api) column=2 ;; *) column=3 ;; esac
    sed -n "$(($2 + 1))p" "$1/ports" | cut -d' ' -f"$column"
}

cluster_first_server() {
    if [ "$(cat "$1/kind")" = client ]; then
        printf 1
    else
        printf 0
    fi
}

# cluster_size DIR: participants of a cluster that is there.
cluster_size() {
    wc -l <"$1/ports"
}

cluster_servers() {
    seq "$(cluster_first_server "$1")" $(($(cluster_size "$1") - 1))
}

# The list of remote participants, the same in every configuration.
cluster_write_roster() {
    local dir=$1 index first
    first=$(cluster_first_server "$dir")
    printf 'tdsaLibrary:\n  remoteParticipants:\n'
    for index in $(seq 0 $((CLUSTER_SIZE - 1))); do
        if [ "$index" -lt "$first" ]; then
            printf '    -\n'
            continue
        fi
        printf '    - - id: participant%s\n' "$index"
        printf '        uri: http://127.0.0.1:%s\n' "$(cluster_port "$dir" "$index" protocol)"
        printf '        primaryPublicKey: %s\n' "$(cat "$dir/participant$index/primary.public")"
        printf '        secondaryPublicKey: %s\n' "$(cat "$dir/participant$index/secondary.public")"
    done
    printf '  participantIds:\n'
    for index in $(seq 0 $((CLUSTER_SIZE - 1))); do
        if [ "$index" -lt "$first" ]; then
            printf '    -\n'
        else
            printf '    - participant%s\n' "$index"
        fi
    done
    [ "$first" -eq 0 ] || printf '  clientIndex: 0\n'
    [ "$CLUSTER_SIZE" -eq 3 ] || printf '  threshold: %s\n' "$CLUSTER_THRESHOLD"
}

# The wrapping key by RFC 7512 URI. A daemon reads its PIN from a file; the module gets it from C_Login.
cluster_wrapping_uri() {
    local dir=$1/participant$2
    printf 'pkcs11:token=wrap%s;object=tdsa-wrap;type=secret-key?module-path=%s' "$2" "$(softhsm_module)"
    [ "$3" = module ] || printf '&pin-source=file:%s' "$dir/pin"
}

softhsm_module() {
    local path
    for path in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
        if [ -e "$path" ]; then
            printf '%s' "$path"
            return 0
        fi
    done
    fail "SoftHSM's module libsofthsm2.so was not found"
}

# cluster_write_config DIR INDEX daemon|module
cluster_write_config() {
    local dir=$1 index=$2 role=$3 own=$1/participant$2
    {
        printf '# Made by examples/lib/cluster.sh\n'
        cluster_write_roster "$dir"
        cat <<CONFIG
  participantIndex: $index
  participantPrimaryPrivateKey: $(cat "$own/primary.private")
  participantSecondaryPrivateKey: $(cat "$own/secondary.private")
  sessionTimeout: 60
  protocolExecutionThreads: 2
  protocolCommunicationThreads: 2
  minChainPathLength: 0
  storageConfiguration:
    encryptor: pkcs11
    encryptorArguments: ["$(cluster_wrapping_uri "$dir" "$index" "$role")"]
tdsaServer:
  serverGroupId: $(cat "$dir/group")
database:
  driverClass: org.sqlite.JDBC
  url: jdbc:sqlite:file:$own/tdsa.db
CONFIG
        if [ "$role" = module ]; then
            printf 'pkcs11:\n  tokenLabel: %s\n' "$CLUSTER_TOKEN"
        else
            cat <<CONFIG
server:
  shutdownGracePeriod: 5s
  requestLog:
    appenders: []
  applicationConnectors:
    - {type: http, bindHost: 127.0.0.1, port: $(cluster_port "$dir" "$index" protocol)}
    - {type: http, bindHost: 127.0.0.1, port: $(cluster_port "$dir" "$index" api)}
  adminConnectors:
    - {type: http, bindHost: 127.0.0.1, port: $(cluster_port "$dir" "$index" admin)}
logging:
  level: ${TDSA_LOG_LEVEL:-INFO}
CONFIG
        fi
    } >"$own/config.yml"
}

# cluster_make DIR client|servers [FIRST_PORT]: everything but the daemons. DIR must not exist or be empty.
cluster_make() {
    local dir=$1 kind=$2 first=${3:-9080} index ports
    (umask 077 && mkdir -p "$dir/logs")
    printf '%s\n' "$kind" >"$dir/kind"
    mapfile -t ports < <(free_ports "$first" $((3 * CLUSTER_SIZE)))
    [ "${#ports[@]}" -eq $((3 * CLUSTER_SIZE)) ] || fail "no free ports from $first upwards"
    for index in $(seq 0 $((CLUSTER_SIZE - 1))); do
        (umask 077 && mkdir -p "$dir/participant$index")
        printf '%s %s %s\n' "${ports[@]:$((3 * index)):3}"
    done >"$dir/ports"
    (
        umask 077
        cluster_random 24 >"$dir/group"
        for index in $(seq 0 $((CLUSTER_SIZE - 1))); do
            cluster_keys "$dir" "$index"
            quietly "$dir/logs/setup.log" cluster_token "$dir" "$index" || exit 1
        done
        for index in $(seq 0 $((CLUSTER_SIZE - 1))); do
            if [ "$index" -lt "$(cluster_first_server "$dir")" ]; then
                cluster_write_config "$dir" "$index" module
            else
                cluster_write_config "$dir" "$index" daemon
            fi
        done
    )
}

cluster_pid() {
    cat "$1/participant$2/pid" 2>/dev/null
}

# alive PID: true while the process runs (a dead one that nobody collected does not).
alive() {
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) &&
        [ -n "$state" ] && [ "$state" != Z ]
}

dead() {
    ! alive "$1"
}

cluster_is_running() {
    local pid
    pid=$(cluster_pid "$1" "$2") && alive "$pid"
}

# cluster_answers DIR INDEX: the admin port answers, whatever it says.
cluster_answers() {
    curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$(cluster_port "$1" "$2" admin)/healthcheck"
}

# cluster_is_ready DIR INDEX: it could take part in a signature now.
cluster_is_ready() {
    curl -fs -o /dev/null --max-time 5 "http://127.0.0.1:$(cluster_port "$1" "$2" admin)/health/ready"
}

# cluster_start DIR INDEX: starts one daemon in the background; it survives this shell.
cluster_start() {
    local dir=$1 index=$2
    SOFTHSM2_CONF=$(cluster_softhsm_conf "$dir" "$index") \
        setsid "$(cluster_daemon_program)" server "$dir/participant$index/config.yml" \
        >>"$dir/logs/participant$index.log" 2>&1 </dev/null &
    printf '%s\n' $! >"$dir/participant$index/pid"
}

cluster_up_or_dead() {
    cluster_answers "$1" "$2" || ! cluster_is_running "$1" "$2"
}

cluster_ready_or_dead() {
    cluster_is_ready "$1" "$2" || ! cluster_is_running "$1" "$2"
}

# cluster_wait DIR INDEX up|ready: shows the end of the log when it does not come to that.
cluster_wait() {
    if wait_until 15 "cluster_$3_or_dead" "$1" "$2" && cluster_is_running "$1" "$2"; then
        return 0
    fi
    printf 'error: participant %s is not %s. Its log ends with:\n' "$2" "$3" >&2
    tail -n 15 "$1/logs/participant$2.log" | sed 's/^/    /' >&2
    return 1
}

cluster_start_all() {
    local dir=$1 index
    for index in $(cluster_servers "$dir"); do
        cluster_start "$dir" "$index"
    done
    for index in $(cluster_servers "$dir"); do
        cluster_wait "$dir" "$index" up || return 1
    done
    for index in $(cluster_servers "$dir"); do
        cluster_wait "$dir" "$index" ready || return 1
    done
}

# cluster_stop DIR [INDEX...]: SIGTERM to all of them, SIGKILL for what is still there after 15 seconds.
cluster_stop() {
    local dir=$1 index pid
    shift
    # shellcheck disable=SC2046 # one word per index
    [ $# -gt 0 ] || set -- $(seq 0 $(($(cluster_size "$dir") - 1)))
    for index in "$@"; do
        pid=$(cluster_pid "$dir" "$index") && kill "$pid" 2>/dev/null
    done
    for index in "$@"; do
        pid=$(cluster_pid "$dir" "$index") || continue
        if ! wait_until 15 dead "$pid"; then
            printf 'participant %s did not stop in 15 seconds: killed\n' "$index" >&2
            kill -9 "$pid" 2>/dev/null
        fi
        rm -f "$dir/participant$index/pid"
    done
    return 0
}

# cluster_write_openssl_conf DIR FILE: OpenSSL with the PKCS#11 engine over our module.
cluster_write_openssl_conf() {
    local engines
    engines=$(openssl version -e | sed -n 's/^ENGINESDIR: "\(.*\)"$/\1/p')
    [ -e "$engines/pkcs11.so" ] || fail "the OpenSSL engine pkcs11.so is not in $engines"
    (
        umask 077
        cat >"$2" <<CONF
# OpenSSL with the PKCS#11 engine over our module. Use: OPENSSL_CONF=$2
openssl_conf = openssl_init

[openssl_init]
engines = engine_section

[engine_section]
pkcs11 = pkcs11_section

[pkcs11_section]
engine_id = pkcs11
dynamic_path = $engines/pkcs11.so
MODULE_PATH = $(cluster_module)
PIN = $(cat "$1/participant0/pin")
init = 0

[req]
distinguished_name = name

[name]
CONF
    )
}
