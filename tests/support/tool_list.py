"""Reads what pkcs11-tool -O lists. It lists all objects of a kind, whatever --id says."""
import re

EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")


def object_of(text, title, key_id):
    """The lines of the object that begins with this title and has this id; empty if there is none."""
    objects = re.split(r"^(?=\S)", text, flags=re.M)
    found = [lines for lines in objects if lines.startswith(title) and re.search(rf"^  ID: +{key_id}$", lines, re.M)]
    return found[0] if found else ""


def public_key(text, key_id):
    """An EC key as OpenSSL reads it (SubjectPublicKeyInfo, RFC 5480) in DER, of the attributes listed. `--read-object --type
    pubkey` of OpenSC 0.23 reads memory that it has freed, with any module: keys on P-384 never come, others mostly, but now
    and then "cannot create EVP_PKEY"."""
    lines = object_of(text, "Public Key Object", key_id)
    point = bytes.fromhex(re.search(r"EC_POINT: +([0-9a-f]+)", lines).group(1))
    point = point[3:] if point[1] == 0x81 else point[2:]
    curve = bytes.fromhex(re.search(r"EC_PARAMS: +([0-9a-f]+)", lines).group(1))
    return _der(0x30, _der(0x30, EC_PUBLIC_KEY + curve) + _der(0x03, b"\0" + point))


def _der(tag, value):
    """Short enough for one or two bytes of length."""
    return bytes([tag]) + (bytes([len(value)]) if len(value) < 128 else bytes([0x81, len(value)])) + value
