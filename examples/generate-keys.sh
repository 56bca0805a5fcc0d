#!/bin/sh
# Makes the key pairs that a participant needs, with openssl alone, and prints them in the form the
# configuration file wants (url-safe base64 of DER, no padding):
#   primary    X25519: who a participant is
#   secondary  X448: mixed into the key of every channel
# Public keys go to the other participants; private keys stay here.
set -eu
umask 077

command -v openssl >/dev/null || { echo "generate-keys.sh: openssl is not installed" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

base64url() {
    openssl base64 -A -in "$1" | tr '+/' '-_' | tr -d '='
}

# show <Primary|Secondary> <algorithm>
show() {
    openssl genpkey -algorithm "$2" -outform DER -out "$work/private"
    openssl pkey -inform DER -in "$work/private" -pubout -outform DER -out "$work/public"
    printf '%-22s %s\n' "$1 Public key:" "$(base64url "$work/public")"
    printf '%-22s %s\n' "$1 Private key:" "$(base64url "$work/private")"
}

show Primary X25519
show Secondary X448
