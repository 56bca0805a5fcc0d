#!/bin/bash
# setup-token.sh DIR LABEL PIN: a SoftHSM token of its own in DIR, with the wrapping key of a
# keystore in it. Writes DIR/softhsm2.conf and DIR/tokens; run again, it changes nothing that works.
set -euo pipefail
umask 077

usage() {
    echo "usage: setup-token.sh DIR LABEL PIN [KEY-LABEL]" >&2
    exit 2
}

[ $# -ge 3 ] || usage
dir=$1
label=$2
pin=$3
key=${4:-tdsa-wrap}
module=${TDSA_SOFTHSM_MODULE:-/usr/lib/softhsm/libsofthsm2.so}
if [ -z "$dir" ] || [ -z "$label" ]; then
    usage
fi
if [ ${#label} -gt 32 ]; then
    echo "setup-token.sh: a token label has at most 32 characters: $label" >&2
    exit 2
fi
if [ ${#pin} -lt 4 ]; then
    echo "setup-token.sh: a PIN has at least 4 characters" >&2
    exit 2
fi
for tool in softhsm2-util pkcs11-tool; do
    if ! command -v "$tool" >/dev/null; then
        echo "setup-token.sh: $tool is missing: apt-get install softhsm2 opensc" >&2
        exit 1
    fi
done
if [ ! -e "$module" ]; then
    echo "setup-token.sh: $module is missing: apt-get install softhsm2 (or set TDSA_SOFTHSM_MODULE)" >&2
    exit 1
fi

mkdir -p "$dir/tokens"
dir=$(cd "$dir" && pwd)
export SOFTHSM2_CONF=$dir/softhsm2.conf
cat >"$SOFTHSM2_CONF" <<END
directories.tokendir = $dir/tokens
objectstore.backend = file
log.level = ERROR
slots.removable = false
END

# The list of tokens shows "Label:            name" padded with blanks.
has_token() {
    softhsm2-util --module "$module" --show-slots |
        sed -n 's/^ *Label: *//p' | sed 's/ *$//' | grep -Fxq -- "$label"
}

tool() {
    TDSA_SETUP_PIN=$pin pkcs11-tool --module "$module" --token-label "$label" \
        --login --pin env:TDSA_SETUP_PIN "$@" 2>&1
}

if ! has_token; then
    so_pin=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s\n' "$so_pin" >"$dir/so-pin"
    softhsm2-util --module "$module" --init-token --free --label "$label" \
        --so-pin "$so_pin" --pin "$pin" >/dev/null
    echo "token $label made in $dir/tokens (security officer's PIN in $dir/so-pin)"
fi
if ! objects=$(tool --list-objects --type secrkey); then
    echo "setup-token.sh: cannot log in to token $label in $dir: is the PIN right?" >&2
    printf '%s\n' "$objects" >&2
    exit 1
fi
if ! printf '%s\n' "$objects" | sed -n 's/^ *label: *//p' | grep -Fxq -- "$key"; then
    if ! made=$(tool --keygen --key-type AES:32 --label "$key" --sensitive); then
        echo "setup-token.sh: token $label does not make the wrapping key:" >&2
        printf '%s\n' "$made" >&2
        exit 1
    fi
    echo "wrapping key $key made in token $label"
fi
echo "SOFTHSM2_CONF=$SOFTHSM2_CONF"
uri_text() { # RFC 7512: what would end an attribute is written %XX
    printf '%s' "$1" | sed 's/%/%25/g; s/ /%20/g; s/;/%3B/g; s,/,%2F,g; s/?/%3F/g; s/&/%26/g'
}
echo "URI pkcs11:token=$(uri_text "$label");object=$(uri_text "$key")?module-path=$module"
