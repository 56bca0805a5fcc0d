#!/usr/bin/env python3
"""Executable reference model of docs/protocol.md, "Import": a key generation in which one participant deals an existing key.

  python3 importing.py vectors    prints seeded vectors as JSON

Like bplus.py, whose encoding, groups and key generation it uses: literal, standard library only, not constant time.
"""
import hashlib, json, sys
from bplus import (ABSENT, GROUPS, H, H2S, H32, HKDF, Key, P, Participant, Policy, S, VERSION, consist, lam, need, pairs_of, poly,
                   psum, sets_of, stmt)
import schnorr                                       # GROUPS["Ed25519"]

DECISIONS = {
 "I01": "record = stmt('import', key-id, curve, Y, cc); the dealer sends it whole in round random, others send absent",
 "I02": "sid = H('sid', version, 'import', curve, scheme, [members], n, t, key-id, 0, policy record, dealer, H(record), [random values]); H('inputs', the same without the last two)",
 "I03": "the dealer's polynomial has the constant x; the others' have 0: C_{i,0} and the proof are left out, as in a refresh",
 "I04": "the chain code part is absent in openings and private parts; cc is the record's",
 "I05": "drawn in this order: coefficients 1..t, the dealer's nonce of the proof, contributions, salt",
 "I06": "no round active: rounds, stored value and epoch 0 as in key generation",
 "I07": "Ed25519: x = the clamped first half of SHA-512(private key of RFC 8032), modulo the order",
}

def ed25519_scalar(seed):
    a = bytearray(hashlib.sha512(seed).digest()[:32])
    a[0] &= 248; a[31] &= 127; a[31] |= 64
    return int.from_bytes(a, "little") % GROUPS["Ed25519"].q              # [I07]

def importing(parts, curve, keyid, t, policy, scheme, dealer, x, cc):
    """parts {index: Participant} -> round messages and raw values; every participant gets its key."""
    g = GROUPS[curve]; q = g.q; N = sorted(parts); n = len(N)
    need(n >= 2*t+1 and 1 <= t <= 4 and n <= 9 and dealer in N and 0 < x < q, "n, t, dealer, x")
    KEYS = [("prss", tuple(A)) for A in sets_of(N, t)] + [("pair", tuple(A)) for A in pairs_of(N)]
    out = {r: {} for r in ("random", "commit", "deal", "report", "stored")}
    links = [(i, j) for i in N for j in N if i != j]

    # R0                                                                                       [I01 I02]
    Y = g.base(x)
    rec = stmt("import", keyid, curve, P(g, Y), cc)
    mem = [[m, m+1, parts[m].pk25519, parts[m].pk448] for m in N]
    inputs = (VERSION, "import", curve, scheme, mem, n, t, keyid, 0, policy.bytes(), dealer)
    rnd = [parts[i].rng.bytes(32) for i in N]
    for i, j in links:
        out["random"][i, j] = stmt("random", H("inputs", *inputs), rnd[i], rec if i == dealer else ABSENT)
    full = H("sid", *inputs, H("import", keyid, curve, P(g, Y), cc), rnd); sid = full[:32]

    # R1, R2                                                                                   [I03 I04 I05]
    st = {}
    for i in N:
        p = parts[i]; s = st[i] = Key(); s.proof = ABSENT
        s.f = [x if i == dealer else 0] + [p.rng.scalar(g) for _ in range(t)]
        s.C = [g.base(a) for a in s.f]
        if i == dealer:
            kk = p.rng.scalar(g); K = g.base(kk)
            e = H2S(g, "pop", sid, i, [P(g, c) for c in s.C], P(g, K))
            s.proof = [P(g, K), S(g, (kk + e*x) % q)]
        s.con = {A: p.rng.bytes(32) for A in KEYS if i in A[1]}
        s.salt = p.rng.bytes(32)
        Hcon = [H32("part", sid, i, kind, list(A), v) for (kind, A), v in s.con.items()]
        fields = (sid, i, [P(g, c) for c in s.C[0 if i == dealer else 1:]], s.proof, ABSENT, Hcon, s.salt)
        s.open, s.com = stmt("open", *fields), H("com", *fields)
    for i, j in links:
        priv = stmt("priv", sid, i, j, S(g, poly(st[i].f, j+1, q)), ABSENT, [v for (_, A), v in st[i].con.items() if j in A])
        out["commit"][i, j] = stmt("commit", full, st[i].com)
        out["deal"][i, j] = stmt("deal", st[i].open, priv)
        need(g.base(poly(st[i].f, j+1, q)) == psum(g, [g.mul(pow(j+1, m, q), c) for m, c in enumerate(st[i].C)]), "share")
    need(st[dealer].C[0] == Y, "C_{dealer,0} is not Y")

    # R3, output, R4                                                                           [I06]
    view = H("view", sid, [st[i].com for i in N], [st[i].open for i in N])
    kap = {(kind, A): HKDF(b"".join(st[i].con[kind, A] for i in A), kind, sid, keyid, curve, 0, list(A)) for kind, A in KEYS}
    for i, j in links:
        out["report"][i, j] = stmt("report", view, ABSENT, [H("confirm", sid, kind, list(A), i, kap[kind, A])
                                                            for kind, A in KEYS if i in A and j in A])
    need(psum(g, [st[i].C[0] for i in N]) == Y, "sum of the constants")
    X = {m: psum(g, [g.mul(pow(m+1, a, q), c) for i in N for a, c in enumerate(st[i].C)]) for m in N}
    need(all(v != g.O for v in X.values()) and consist(g, {m+1: X[m] for m in N}, t), "X")
    stored = H("stored", sid, view, P(g, Y), [P(g, X[m]) for m in N], cc, t, 0)
    for i, j in links: out["stored"][i, j] = stmt("stored-echo", stored)
    shares = {j: sum(poly(st[i].f, j+1, q) for i in N) % q for j in N}
    need(all(g.base(shares[j]) == X[j] for j in N), "x_j G is not X_j")
    l = lam(q, [i+1 for i in N[:t+1]])
    need(sum(l[i+1]*shares[i] for i in N[:t+1]) % q == x, "the shares do not make the key")
    return out, dict(record=rec, inputs=H("inputs", *inputs), sid=sid, view=view, stored=stored, Y=Y, X=X, shares=shares, kap=kap)

def key_of(g, curve, seed, odd_y):
    """A key of the vector; with an odd y where BIP-340 would otherwise get one it can use as it is."""
    if curve == "Ed25519":                                       # RFC 8032 7.1, test 1
        private = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
        need(g.enc_p(g.base(ed25519_scalar(private))).hex() ==
             "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "public key of RFC 8032")
        return ed25519_scalar(private), private.hex()
    i = 0
    while True:
        x = H2S(g, "vector", seed, i)
        if not odd_y or g.base(x)[1] & 1: return x, None
        i += 1

def vectors(curve, n, t, seed, scheme="ecdsa", dealer=0):
    hx = lambda b: bytes(b).hex(); small = lambda b: hashlib.sha256(b).hexdigest()
    parts = {i: Participant(i, seed) for i in range(n)}; g = GROUPS[curve]; keyid = "ImportKey%019d" % 1
    policy = Policy() if scheme == "ecdsa" else Policy(purpose="message", digests=["none"])
    x, private = key_of(g, curve, seed, scheme == "bip340"); cc = H32("vector-cc", seed)
    rounds, raw = importing(parts, curve, keyid, t, policy, scheme, dealer, x, cc)
    return dict(curve=curve, scheme=scheme, n=n, t=t, seed=seed, key_id=keyid, dealer=dealer, rfc8032=private, x=hx(g.enc_s(x)), cc=hx(cc),
        record=hx(raw["record"]), inputs=hx(raw["inputs"]), sid=hx(raw["sid"]), view=hx(raw["view"]), stored=hx(raw["stored"]), Y=hx(g.enc_p(raw["Y"])),
        shares=[dict(index=m, x=hx(g.enc_s(raw["shares"][m])), X=hx(g.enc_p(raw["X"][m]))) for m in sorted(parts)],
        kappa=[dict(kind=kind, A=list(A), key=hx(v)) for (kind, A), v in raw["kap"].items()],
        messages={r: [dict(sender=i, to=j, sha256=small(b)) for (i, j), b in sorted(m.items())] for r, m in rounds.items()})

RUNS = [
    dict(curve="secp256k1", n=3, t=1, seed="import"),
    dict(curve="P-256", n=5, t=2, seed="five", dealer=3),
    dict(curve="P-384", n=3, t=1, seed="wide", dealer=2),
    dict(curve="P-521", n=3, t=1, seed="widest", dealer=1),
    dict(curve="secp256k1", n=3, t=1, seed="odd", scheme="bip340"),
    dict(curve="Ed25519", n=5, t=2, seed="edwards", scheme="eddsa", dealer=4),
]

if __name__ == "__main__":
    if sys.argv[1:] != ["vectors"]:
        sys.exit("usage: importing.py vectors")
    json.dump(dict(decisions=DECISIONS, runs=[vectors(**r) for r in RUNS]), sys.stdout, indent=1)
    print()
