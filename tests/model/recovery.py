#!/usr/bin/env python3
"""Executable reference model of docs/protocol.md, "Recovery": a share under an RSA certificate, with the proof.

  python3 recovery.py vectors    prints seeded vectors as JSON

Like bplus.py, whose encoding, groups and key generation it uses: literal, standard library only, not constant time.
"""
import hashlib, json, pathlib, re, sys
from bplus import GROUPS, H, P, Participant, Policy, VERSION, consist, keygen, lam, need, open_stmt, psum, stmt
import schnorr                                                                    # Ed25519 joins GROUPS
from reshare import reshare

DECISIONS = {
 "E01": "context = stmt('recovery-context', version, curve, use, scheme, key-id, epoch, cluster-id, n, t, [indices], Y, [X_j], [path], policy tag, H('cc', cc), auxiliary data); use 'recovery' | 'export'; path empty but for an exported child",
 "E02": "label = H('recovery-label', octets context, j, certificate's SHA-256, 'share' | 'chain-code'): the OAEP label, 64 bytes",
 "E03": "OAEP with SHA-256 and MGF1-SHA256; its seed is sigma, 32 bytes, as drawn",
 "E04": "E_{i,0} holds r_i, E_{i,1} holds s_i = x_j - r_i, as scalars of the curve's width; A_i = r_i G",
 "E05": "chain code: 32 bytes, seed = first 32 bytes of H('recovery-seed', label 'chain-code', cc)",
 "E06": "challenge = first 16 bytes of H('recovery-challenge', label 'share', octets E_cc, octets of A_i | E_{i,0} | E_{i,1} for i = 0..127); repetition i opens half b = bit 7 - i mod 8 of byte i / 8",
 "E07": "info = stmt('recovery-info', octets context, j, certificate's SHA-256, E_cc, challenge, octets of value | seed of the opened halves, octets of the other ciphertexts)",
 "E08": "drawn in this order: r_i, sigma_{i,0}, sigma_{i,1} for i = 0..127",
}
REPS = 128

# ------------------------------------------------------------------ RSA and OAEP (RFC 8017)
def der(b):
    """-> list of (tag, value) of the items in b."""
    out, o = [], 0
    while o < len(b):
        t, n = b[o], b[o+1]; o += 2
        if n & 0x80:
            k = n & 0x7f; n = int.from_bytes(b[o:o+k], "big"); o += k
        out.append((t, b[o:o+n])); o += n
    return out

INT = lambda v: int.from_bytes(v, "big")

class Certificate:
    def __init__(s, cert):
        s.hash = hashlib.sha256(cert).digest()
        fields = der(der(der(cert)[0][1])[0][1])
        spki = [v for t, v in fields if t == 0x30][4]            # algorithm, issuer, validity, subject, key
        n, e = der(der(der(spki)[1][1][1:])[0][1])
        s.n, s.e = INT(n[1]), INT(e[1]); s.k = (s.n.bit_length() + 7)//8

class PrivateKey:
    def __init__(s, pkcs8):
        v = der(der(der(der(pkcs8)[0][1])[2][1])[0][1])
        s.n, s.d = INT(v[1][1]), INT(v[3][1]); s.k = (s.n.bit_length() + 7)//8

def mgf1(seed, n):
    return b"".join(hashlib.sha256(seed + i.to_bytes(4, "big")).digest() for i in range((n + 31)//32))[:n]
xor = lambda a, b: bytes(x ^ y for x, y in zip(a, b))

def oaep(cert, label, m, seed):
    db = hashlib.sha256(label).digest() + bytes(cert.k - 66 - len(m)) + b"\1" + m
    db = xor(db, mgf1(seed, len(db))); seed = xor(seed, mgf1(db, 32))
    return pow(INT(b"\0" + seed + db), cert.e, cert.n).to_bytes(cert.k, "big")

def oaep_open(key, label, c):
    em = pow(INT(c), key.d, key.n).to_bytes(key.k, "big")
    seed = xor(em[1:33], mgf1(em[33:], 32)); db = xor(em[33:], mgf1(seed, key.k - 33))
    m = db[32:].lstrip(b"\0")
    need(em[0] == 0 and db[:32] == hashlib.sha256(label).digest() and m[:1] == b"\1", "OAEP")
    return m[1:]

# ------------------------------------------------------------------ infos
def context(k, aux, use="recovery", path=()):                                     # [E01]
    g = k.g; M = list(k.members)
    return stmt("recovery-context", VERSION, g.name, use, k.scheme, k.keyid, k.epoch, k.cluster, len(M), k.t, M, P(g, k.Y),
                [P(g, k.X[m]) for m in M], list(path), k.policy.tag(), H("cc", k.cc), aux)

def labels(ctx, j, cert):                                                         # [E02]
    return [H("recovery-label", ctx, j, cert.hash, w) for w in ("share", "chain-code")]

def seal_cc(cert, label, cc):                                                     # [E05]
    return oaep(cert, label, cc, H("recovery-seed", label, cc)[:32])

def challenge(label, Ecc, first):                                                 # [E06]
    return H("recovery-challenge", label, Ecc, b"".join(first))[:16]
bit = lambda ch, i: ch[i//8] >> (7 - i % 8) & 1

def make(k, j, cert, aux, rng):
    g = k.g; ctx = context(k, aux); lab, lab_cc = labels(ctx, j, cert); Ecc = seal_cc(cert, lab_cc, k.cc)
    halves, seeds, E, first = [], [], [], []
    for i in range(REPS):                                                         # [E04 E08]
        r = rng.scalar(g); halves.append((r, (k.x - r) % g.q)); seeds.append((rng.bytes(32), rng.bytes(32)))
        E.append([oaep(cert, lab, g.enc_s(halves[i][b]), seeds[i][b]) for b in (0, 1)])
        first.append(g.enc_p(g.base(r)) + E[i][0] + E[i][1])
    ch = challenge(lab, Ecc, first)
    opened = b"".join(g.enc_s(halves[i][bit(ch, i)]) + seeds[i][bit(ch, i)] for i in range(REPS))
    kept = b"".join(E[i][1 - bit(ch, i)] for i in range(REPS))
    return stmt("recovery-info", ctx, j, cert.hash, Ecc, ch, opened, kept)        # [E07]

def read(info, g):
    ctx, j, ch_cert, Ecc, ch, opened, kept = open_stmt(info, "recovery-info", 7)
    c = open_stmt(ctx, "recovery-context", 16, g)
    n, t, M, Y, X = c[7], c[8], c[9], c[10], c[11]
    need(len(M) == len(X) == n and j in M, "indices")
    need(consist(g, {m+1: x for m, x in zip(M, X)}, t), "the X_j are not those of one key")
    l = lam(g.q, [m+1 for m in M[:t+1]])
    need(psum(g, [g.mul(l[m+1], x) for m, x in zip(M[:t+1], X)]) == Y, "the X_j do not make Y")
    return ctx, j, ch_cert, Ecc, ch, opened, kept, dict(zip(M, X)), Y, t, c[14]

def verify(info, g, cert):
    ctx, j, cert_hash, Ecc, ch, opened, kept, X, _, _, _ = read(info, g); w = len(g.enc_s(0)) + 32
    lab, _ = labels(ctx, j, cert); first = []
    need(cert_hash == cert.hash and len(opened) == REPS*w and len(kept) == REPS*cert.k, "shape")
    for i in range(REPS):
        v, seed = opened[w*i:w*i + w - 32], opened[w*i + w - 32:w*i + w]; half = g.dec_s(v)
        both = [oaep(cert, lab, v, seed), kept[cert.k*i:cert.k*(i+1)]]
        if bit(ch, i): both.reverse()
        A = g.add(X[j], g.neg(g.base(half))) if bit(ch, i) else g.base(half)
        first.append(g.enc_p(A) + both[0] + both[1])
    need(challenge(lab, Ecc, first) == ch, "challenge")

def recover(infos, g, cert, key):
    """t+1 infos -> x, chain code; only the first repetition is tried."""
    shares, cc = {}, None
    for info in infos:
        ctx, j, _, Ecc, ch, opened, kept, X, Y, t, cc_hash = read(info, g)
        lab, lab_cc = labels(ctx, j, cert); w = len(opened)//REPS
        x = (g.dec_s(opened[:w-32]) + g.dec_s(oaep_open(key, lab, kept[:cert.k]))) % g.q
        need(g.base(x) == X[j], "share"); shares[j] = x
        cc = oaep_open(key, lab_cc, Ecc); need(H("cc", cc) == cc_hash and seal_cc(cert, lab_cc, cc) == Ecc, "chain code")
    need(len(shares) == t + 1, "t+1 infos")
    l = lam(g.q, [j+1 for j in shares]); x = sum(l[j+1]*v for j, v in shares.items()) % g.q
    need(g.base(x) == Y, "x is not the key of Y")
    return x, cc

# ------------------------------------------------------------------ vectors
def fixed():
    text = (pathlib.Path(__file__).parent.parent/"support"/"rsa_fixed.h").read_text()
    hexes = [bytes.fromhex("".join(re.findall(r'"([0-9a-f]+)"', part))) for part in text.split("static const char")[1:]]
    return Certificate(hexes[0]), PrivateKey(hexes[1])

def vectors(curve, n, t, seed, aux, scheme="ecdsa", reshares=()):
    hx = lambda b: bytes(b).hex(); small = lambda b: hashlib.sha256(b).hexdigest()
    cert, key = fixed(); g = GROUPS[curve]; parts = {i: Participant(i, seed) for i in range(9)}
    pol = Policy(reshare=1) if scheme == "ecdsa" else Policy(purpose="message", digests=("none",))
    keygen({i: parts[i] for i in range(n)}, curve, "RecoveryKey%017d" % 1, t, pol, scheme)
    members = list(range(n))
    for dealers, members, t in reshares: reshare(parts, dealers, members, t)
    aux = aux.encode(); infos = {j: make(parts[j].key, j, cert, aux, parts[j].rng) for j in members}
    for info in infos.values(): verify(info, g, cert)
    chosen = members[-(t + 1):]; x, cc = recover([infos[j] for j in chosen], g, cert, key); k = parts[members[0]].key
    one = []
    for j in members:
        ctx, _, _, Ecc, ch, opened, kept, *_ = read(infos[j], g); lab = labels(ctx, j, cert)
        one.append(dict(index=j, x=hx(g.enc_s(parts[j].key.x)), label=hx(lab[0]), label_cc=hx(lab[1]), cc_sealed=small(Ecc),
                        challenge=hx(ch), opened=small(opened), kept=small(kept), info=small(infos[j]), info_len=len(infos[j])))
    return dict(curve=curve, scheme=scheme, n=n, t=parts[members[0]].key.t, first_t=1 if reshares else t, seed=seed,
                reshares=[dict(dealers=d, members=m, t=u) for d, m, u in reshares], key_id=k.keyid, aux=hx(aux), members=members,
                context=hx(context(k, aux)), Y=hx(g.enc_p(k.Y)), certificate=hx(cert.hash), infos=one, recovered_from=chosen,
                recovered=hx(g.enc_s(x)), cc=hx(cc))

R = lambda n: list(range(n))
RUNS = [
    dict(curve="secp256k1", n=3, t=1, seed="recovery-1", aux=""),
    dict(curve="P-256", n=3, t=1, seed="recovery-2", aux="vault 7", reshares=[(R(3), [1, 3, 4, 6, 8], 2)]),
    dict(curve="P-384", n=3, t=1, seed="recovery-3", aux="a"*1024),
    dict(curve="P-521", n=3, t=1, seed="recovery-4", aux=""),
    dict(curve="Ed25519", scheme="eddsa", n=3, t=1, seed="recovery-5", aux="x"),
    dict(curve="secp256k1", scheme="bip340", n=5, t=2, seed="recovery-6", aux=""),
]

if __name__ == "__main__":
    if sys.argv[1:] != ["vectors"]:
        sys.exit("usage: recovery.py vectors")
    json.dump(dict(decisions=DECISIONS, runs=[vectors(**r) for r in RUNS]), sys.stdout, indent=1)
    print()
