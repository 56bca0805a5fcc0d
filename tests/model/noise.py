#!/usr/bin/env python3
"""Noise_IKpsk2_25519_AESGCM_SHA256, written out literally from revision 34 of the Noise specification,
RFC 7748 and FIPS 197 / SP 800-38D, with the standard library alone. Slow and not for secrets.

    noise.py make            prints a vector with fixed keys (the format of the cacophony vectors)
    noise.py check FILE...   computes every vector of the files again; exit 1 on a difference
"""
import hashlib
import hmac
import json
import sys

P = 2 ** 255 - 19


def x25519(k, u):
    """RFC 7748 section 5."""
    n = int.from_bytes(k, "little")
    n = (n & ~7 & (2 ** 255 - 1)) | 2 ** 254
    x1 = int.from_bytes(u, "little") & (2 ** 255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = n >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b = x2 + z2, x2 - z2
        aa, bb = a * a % P, b * b % P
        e = aa - bb
        da, cb = (x3 - z3) * a % P, (x3 + z3) * b % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public(k):
    return x25519(k, (9).to_bytes(32, "little"))


def xtime(a):
    return (a << 1) ^ (0x11b if a & 0x80 else 0)


def gf_mul(a, b):
    r = 0
    while b:
        r ^= a if b & 1 else 0
        a, b = xtime(a), b >> 1
    return r


def make_sbox():
    """FIPS 197 section 5.1.1: the inverse in GF(2^8), then the affine map."""
    box = []
    for v in range(256):
        inv = next((i for i in range(256) if gf_mul(v, i) == 1), 0)
        box.append(0x63 ^ inv ^ (inv << 1 | inv >> 7) & 255 ^ (inv << 2 | inv >> 6) & 255
                   ^ (inv << 3 | inv >> 5) & 255 ^ (inv << 4 | inv >> 4) & 255)
    return box


SBOX = make_sbox()


def expand_key(key):
    words = [list(key[i:i + 4]) for i in range(0, 32, 4)]
    rcon = 1
    for i in range(8, 60):
        t = list(words[i - 1])
        if i % 8 == 0:
            t = [SBOX[b] for b in t[1:] + t[:1]]
            t[0] ^= rcon
            rcon = xtime(rcon)
        elif i % 8 == 4:
            t = [SBOX[b] for b in t]
        words.append([a ^ b for a, b in zip(words[i - 8], t)])
    return [sum(words[i:i + 4], []) for i in range(0, 60, 4)]


def aes(keys, block):
    s = [a ^ b for a, b in zip(block, keys[0])]
    for r in range(1, 15):
        s = [SBOX[s[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if r < 14:
            for c in range(0, 16, 4):
                col = s[c:c + 4]
                s[c:c + 4] = [xtime(col[i]) ^ xtime(col[(i + 1) % 4]) ^ col[(i + 1) % 4]
                              ^ col[(i + 2) % 4] ^ col[(i + 3) % 4] for i in range(4)]
        s = [a ^ b for a, b in zip(s, keys[r])]
    return bytes(s)


def ghash(h, data):
    """SP 800-38D section 6.4."""
    y = 0
    for i in range(0, len(data), 16):
        x = y ^ int.from_bytes(data[i:i + 16], "big")
        z, v = 0, h
        for bit in range(127, -1, -1):
            z ^= v if x >> bit & 1 else 0
            v = v >> 1 ^ (0xe1 << 120 if v & 1 else 0)
        y = z
    return y


def encrypt(key, n, ad, plain):
    """ENCRYPT(k, n, ad, plaintext) of section 12.3."""
    keys = expand_key(key)
    nonce = bytes(4) + n.to_bytes(8, "big")
    pad = lambda x: x + bytes(-len(x) % 16)
    stream = b"".join(aes(keys, nonce + (i + 2).to_bytes(4, "big"))
                      for i in range((len(plain) + 15) // 16))
    sealed = bytes(a ^ b for a, b in zip(plain, stream))
    lengths = (8 * len(ad)).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    s = ghash(int.from_bytes(aes(keys, bytes(16)), "big"), pad(ad) + pad(sealed) + lengths)
    tag = s ^ int.from_bytes(aes(keys, nonce + (1).to_bytes(4, "big")), "big")
    return sealed + tag.to_bytes(16, "big")


def hkdf(ck, ikm, count):
    temp = hmac.digest(ck, ikm, "sha256")
    out, last = [], b""
    for i in range(count):
        last = hmac.digest(temp, last + bytes([i + 1]), "sha256")
        out.append(last)
    return out


class Symmetric:
    """Section 5.2; only the writing side, which is enough to make a vector."""

    def __init__(self, prologue, rs):
        self.h = self.ck = b"Noise_IKpsk2_25519_AESGCM_SHA256"
        self.k, self.n = None, 0
        self.mix_hash(prologue)
        self.mix_hash(rs)  # the pre-message "<- s"

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def mix_key(self, ikm):
        self.ck, self.k = hkdf(self.ck, ikm, 2)
        self.n = 0

    def mix_key_and_hash(self, ikm):
        self.ck, temp, self.k = hkdf(self.ck, ikm, 3)
        self.mix_hash(temp)
        self.n = 0

    def token_e(self, e):
        self.mix_hash(e)
        self.mix_key(e)  # section 9.2: in a psk handshake
        return e

    def encrypt_and_hash(self, plain):
        sealed = encrypt(self.k, self.n, self.h, plain)
        self.n += 1
        self.mix_hash(sealed)
        return sealed


def run(v):
    """The ciphertexts and the handshake hash that belong to the keys and payloads of a vector."""
    key = {k: bytes.fromhex(v[k]) for k in ("init_static", "init_ephemeral", "resp_static",
                                            "resp_ephemeral", "init_prologue")}
    psk = bytes.fromhex(v["init_psks"][0])
    payloads = [bytes.fromhex(m["payload"]) for m in v["messages"]]
    rs = public(key["resp_static"])
    s = Symmetric(key["init_prologue"], rs)
    # -> e, es, s, ss
    first = s.token_e(public(key["init_ephemeral"]))
    s.mix_key(x25519(key["init_ephemeral"], rs))
    first += s.encrypt_and_hash(public(key["init_static"]))
    s.mix_key(x25519(key["init_static"], rs))
    first += s.encrypt_and_hash(payloads[0])
    # <- e, ee, se, psk
    second = s.token_e(public(key["resp_ephemeral"]))
    s.mix_key(x25519(key["resp_ephemeral"], public(key["init_ephemeral"])))
    s.mix_key(x25519(key["resp_ephemeral"], public(key["init_static"])))
    s.mix_key_and_hash(psk)
    second += s.encrypt_and_hash(payloads[1])
    keys = hkdf(s.ck, b"", 2)
    out = [first, second]
    for i, payload in enumerate(payloads[2:]):
        out.append(encrypt(keys[i % 2], i // 2, b"", payload))
    return [m.hex() for m in out], s.h.hex()


def make():
    seed = lambda name: hashlib.sha256(b"tdsa noise vector " + name.encode()).hexdigest()
    v = {"protocol_name": "Noise_IKpsk2_25519_AESGCM_SHA256",
         "init_prologue": b"a prologue of ours".hex(), "resp_prologue": b"a prologue of ours".hex(),
         "init_psks": [seed("psk")], "resp_psks": [seed("psk")],
         "init_static": seed("init static"), "init_ephemeral": seed("init ephemeral"),
         "resp_static": seed("resp static"), "resp_ephemeral": seed("resp ephemeral")}
    v["init_remote_static"] = public(bytes.fromhex(v["resp_static"])).hex()
    payloads = [b"", b"\x00" * 33, b"x", b"", bytes(range(100)), b"the last one"]
    v["messages"] = [{"payload": p.hex()} for p in payloads]
    sealed, v["handshake_hash"] = run(v)
    for m, c in zip(v["messages"], sealed):
        m["ciphertext"] = c
    return [v]


def check(path):
    with open(path, encoding="utf-8") as f:
        vectors = json.load(f)
    for v in vectors:
        sealed, h = run(v)
        if sealed != [m["ciphertext"] for m in v["messages"]] or h != v["handshake_hash"]:
            sys.exit(f"{path}: a value differs")
    print(f"{path}: {len(vectors)} vectors agree")


if __name__ == "__main__":
    if sys.argv[1:] == ["make"]:
        print(json.dumps(make(), indent=1))
    elif len(sys.argv) > 2 and sys.argv[1] == "check":
        for name in sys.argv[2:]:
            check(name)
    else:
        sys.exit(__doc__)
