#!/bin/bash
# From nothing to a verified threshold signature on one machine.
#
# usage: examples/quickstart.sh [--servers] [--keep] [--stop] [--no-install]
#   (nothing)     daemons 1 and 2 on loopback, the PKCS#11 module is participant 0; make a key, sign a
#                 file, sign a certificate request through the OpenSSL engine, stop everything
#   --servers     three daemons and no client: the same over the REST API
#   --keep        leave it running and write build/quickstart/env, to be sourced
#   --stop        stop what --keep left running
#   --no-install  do not look for missing Debian packages
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TDSA_BUILD=$ROOT/build/release
HOME_DIR=${TDSA_QUICKSTART_DIR:-$ROOT/build/quickstart} # tests use another one
# shellcheck source=lib/common.sh
. "$ROOT/examples/lib/common.sh"
# shellcheck source=lib/packages.sh
. "$ROOT/examples/lib/packages.sh"
# shellcheck source=lib/cluster.sh
. "$ROOT/examples/lib/cluster.sh"

KIND=client
KEEP=0
STOP=0
INSTALL=1
DONE=0
# TDSA_QUICKSTART_PORT: the first of the ports; those that are in use are passed over
for argument in "$@"; do
    case $argument in
    --servers) KIND=servers ;;
    --keep) KEEP=1 ;;
    --stop) STOP=1 ;;
    --no-install) INSTALL=0 ;;
    *) fail "unknown option $argument (--servers, --keep, --stop, --no-install)" ;;
    esac
done

stop_running() {
    local index any=0
    for index in 0 1 2; do
        if [ -d "$HOME_DIR" ] && cluster_is_running "$HOME_DIR" "$index"; then
            any=1
        fi
    done
    [ "$any" -eq 1 ] || return 1
    cluster_stop "$HOME_DIR"
}

clean_up() {
    local code=$?
    trap - EXIT INT TERM
    if [ "$DONE" -eq 0 ] || [ "$KEEP" -eq 0 ]; then
        stop_running || true
        rm -f "$HOME_DIR/env"
    fi
    if [ "$DONE" -eq 0 ] && [ "$code" -ne 0 ]; then
        say "The quick start did not get to its end. Logs: $HOME_DIR/logs" >&2
    fi
    exit "$code"
}

build_release() {
    quietly "$HOME_DIR/logs/build.log" cmake --preset release -S "$ROOT" &&
        quietly "$HOME_DIR/logs/build.log" cmake --build "$TDSA_BUILD" -j "$(nproc)" \
            --target tdsa-service tdsa_pkcs11
}

urls() { # api|admin
    local index list=()
    for index in $(cluster_servers "$HOME_DIR"); do
        list+=("http://127.0.0.1:$(cluster_port "$HOME_DIR" "$index" "$1")")
    done
    printf '%s' "${list[*]}"
}

pids() {
    local index list=()
    for index in $(cluster_servers "$HOME_DIR"); do
        list+=("$(cluster_pid "$HOME_DIR" "$index")")
    done
    printf '%s' "${list[*]}"
}

write_env() {
    (
        umask 077
        {
            say "# To be sourced: . ${HOME_DIR#"$ROOT"/}/env"
            if [ "$KIND" = client ]; then
                say "export TDSA_PKCS11_MODULE='$(cluster_module)'"
                say "export TDSA_PKCS11_CONFIG='$HOME_DIR/participant0/config.yml'"
                say "export TDSA_PIN='$(cat "$HOME_DIR/participant0/pin")'"
                say "export TDSA_TOKEN='$CLUSTER_TOKEN'"
                say "# where SoftHSM finds the token that wraps the module's share"
                say "export SOFTHSM2_CONF='$(cluster_softhsm_conf "$HOME_DIR" 0)'"
            fi
            say "export TDSA_API_URLS='$(urls api)'"
            say "export TDSA_ADMIN_URLS='$(urls admin)'"
            say "export TDSA_PIDS='$(pids)'"
            say "case \":\$PATH:\" in *:'$(dirname "$(cluster_daemon_program)")':*) ;;" \
                "*) export PATH='$(dirname "$(cluster_daemon_program)")':\"\$PATH\" ;; esac"
        } >"$HOME_DIR/env"
    )
}

tool() {
    quietly "$HOME_DIR/logs/pkcs11-tool.log" pkcs11-tool --module "$TDSA_PKCS11_MODULE" \
        --token-label "$TDSA_TOKEN" "$@" </dev/null
}

# The way of an application: pkcs11-tool, then openssl on top of the module.
sign_with_module() {
    local work=$HOME_DIR/work
    # shellcheck source=/dev/null
    . "$HOME_DIR/env"
    step "Making a P-256 key with pkcs11-tool (C_GenerateKeyPair: three participants, no dealer)"
    tool --login --pin env:TDSA_PIN --keypairgen --key-type EC:prime256v1 --id 01 --label quickstart
    cluster_write_openssl_conf "$HOME_DIR" "$HOME_DIR/openssl.cnf"
    OPENSSL_CONF=$HOME_DIR/openssl.cnf quietly "$HOME_DIR/logs/engine.log" \
        openssl pkey -engine pkcs11 -inform engine -pubin -out "$work/key.pem" \
        -in "pkcs11:token=$TDSA_TOKEN;object=quickstart;type=public" </dev/null
    openssl pkey -pubin -in "$work/key.pem" -noout -text_pub | sed 's/^/    /'

    step "Signing a file with pkcs11-tool, verifying with openssl"
    printf 'A signature that no single machine can make.\n' >"$work/letter.txt"
    tool --login --pin env:TDSA_PIN --sign --mechanism ECDSA-SHA256 --id 01 --signature-format openssl \
        --input-file "$work/letter.txt" --output-file "$work/letter.sig"
    openssl dgst -sha256 -verify "$work/key.pem" -signature "$work/letter.sig" "$work/letter.txt"

    step "Signing a certificate request through the OpenSSL engine"
    OPENSSL_CONF=$HOME_DIR/openssl.cnf quietly "$HOME_DIR/logs/engine.log" \
        openssl req -new -sha256 -engine pkcs11 -keyform engine -subj "/O=TDSA/CN=quickstart" \
        -key "pkcs11:token=$TDSA_TOKEN;object=quickstart;type=private" -out "$work/request.pem" </dev/null
    openssl req -in "$work/request.pem" -verify -noout 2>&1
    openssl req -in "$work/request.pem" -noout -subject
}

api() { # METHOD URL [JSON]
    local code
    code=$(curl -s --max-time 60 -o "$HOME_DIR/work/answer.json" -w '%{http_code}' -X "$1" \
        ${3:+-H 'Content-Type: application/json' --data "$3"} "$2") || fail "$1 $2: no answer"
    case $code in
    2??) ;;
    *) fail "$1 $2: HTTP $code: $(cat "$HOME_DIR/work/answer.json")" ;;
    esac
}

# answer FIELD: a text field of the last answer.
answer() {
    sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" "$HOME_DIR/work/answer.json" | head -n 1
}

# The way of a service: REST on any of the three.
sign_with_servers() {
    local work=$HOME_DIR/work url digest
    url=$(urls api)
    url=${url%% *}
    step "Making a P-256 key over the API (three daemons, no dealer)"
    api POST "$url/v1/keys" '{"keyId":"quickstart","curve":"P-256","label":"quickstart","derivation":"none"}'
    api POST "$url/v1/keys/quickstart/share" '{}'
    api GET "$url/v1/keys/quickstart/public-key"
    answer pem | sed 's/\\n/\n/g' >"$work/key.pem"
    openssl pkey -pubin -in "$work/key.pem" -noout -text_pub | sed 's/^/    /'

    step "Signing a file over the API, verifying with openssl"
    printf 'A signature that no single machine can make.\n' >"$work/letter.txt"
    digest=$(openssl dgst -sha256 -r "$work/letter.txt" | cut -d' ' -f1)
    api POST "$url/v1/keys/quickstart/sign" "{\"hash\":\"$digest\"}"
    answer signature | hex_to_bytes >"$work/letter.sig"
    openssl dgst -sha256 -verify "$work/key.pem" -signature "$work/letter.sig" "$work/letter.txt"
}

# Hex digits to bytes.
hex_to_bytes() {
    local hex
    read -r hex || [ -n "$hex" ] # the last line may have no end
    # shellcheck disable=SC2059  # the format is made of \xNN only
    printf "$(printf '%s' "$hex" | sed 's/../\\x&/g')"
}

if [ "$STOP" -eq 1 ]; then
    if stop_running; then
        say "Stopped."
    else
        say "Nothing was running."
    fi
    rm -f "$HOME_DIR/env"
    exit 0
fi

if stop_running; then
    say "Stopped what an earlier run had left running; its keys are gone."
fi
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rm -rf "$HOME_DIR"
mkdir -p "$HOME_DIR/logs" "$HOME_DIR/work"

step "Packages"
if [ "$INSTALL" -eq 1 ]; then
    install_packages run || fail "packages could not be installed"
fi
need cmake ninja cc openssl curl

step "Building (release; the first time takes a minute or two)"
build_release
say "$(cluster_daemon_program)"
[ "$KIND" = servers ] || say "$(cluster_module)"

step "Setting up: keys, a wrapping token for each participant, configurations"
cluster_make "$HOME_DIR" "$KIND" "${TDSA_QUICKSTART_PORT:-9080}"
say "Each participant has its own SoftHSM token and database under $HOME_DIR/participantN."

step "Starting the daemons"
cluster_start_all "$HOME_DIR"
write_env
for index in $(cluster_servers "$HOME_DIR"); do
    say "participant $index: process $(cluster_pid "$HOME_DIR" "$index"), API on port $(cluster_port "$HOME_DIR" "$index" api)"
done

if [ "$KIND" = client ]; then
    sign_with_module
else
    sign_with_servers
fi

step "What happened"
say "Three participants made a key together. None of them has it: each holds one share, sealed under a"
say "key in its own token. All three answered for the signature, and it was verified before it was released."
DONE=1
if [ "$KEEP" -eq 0 ]; then
    stop_running || true
    say "Everything is stopped. To leave it running: examples/quickstart.sh$([ "$KIND" = client ] || printf ' --servers') --keep"
    exit 0
fi
say "It is still running. To go on:"
say "    . ${HOME_DIR#"$ROOT"/}/env"
if [ "$KIND" = client ]; then
    # shellcheck disable=SC2016  # for people to paste
    say '    pkcs11-tool --module "$TDSA_PKCS11_MODULE" --login --pin "$TDSA_PIN" -O'
else
    # shellcheck disable=SC2016  # for people to paste
    say '    curl "${TDSA_API_URLS%% *}/v1/keys"'
fi
say "    examples/quickstart.sh --stop"
