#!/usr/bin/env python3
"""Executable reference model of docs/protocol.md, "Schnorr": EdDSA on Ed25519 and BIP-340 on secp256k1.

  python3 schnorr.py vectors    prints seeded vectors as JSON (decisions, runs)

Standard library only, not constant time, for tests only. What both kinds of keys share (statements,
key generation, PRSS, pads) is bplus.py. Written from the text, not from the C code.
"""
import hashlib, json, sys

from bplus import (ABSENT, GROUPS, H, H2S, H32, VERSION, Abort, Key, P, Participant, Policy, S, bip32_path, consist, keygen,
                   lam, need, open_stmt, psum, stmt)

DECISIONS = {
 "S01": "schemes 'eddsa' (curve 'Ed25519') and 'bip340' (curve 'secp256k1'); key policy: purpose message, digests ['none'], low-S 0; Ed25519 without derivation",
 "S02": "Ed25519: scalars 32 bytes LE; points the 32 bytes of RFC 8032, one form for hashes, wire and batch data; H2S, PRF and PRSS bytes stay big-endian; L = 48",
 "S03": "R message: octets D_0 E_0 D_1 E_1 ...; list digest H('list', beta, [[D_0, E_0], [D_1, E_1], ..]); batch data: octets of all D, E uncompressed in the same order; T holds [D, E] where ECDSA has [R]",
 "S04": "PRSS names 'd', 'e'; pad word 'z'",
 "S05": "options: EdDSA []; BIP-340 [taproot 0|1, merkle root 32 octets | absent], a root only with taproot 1",
 "S06": "rho = H2S('bind', T); R = D + rho E; refused: rho = 0, R = O, c = 0, Y' = O, D = O, E = O, taproot tweak >= q",
 "S07": "BIP-340: s_0 = -1 iff y(Y + eps G) is odd; with taproot P = s_0 (Y + eps G), t = tagged_hash('TapTweak', x(P) | root), Q = P + t G, s_1 = -1 iff y(Q) is odd; Y' = s_1 Q (without taproot s_1 = 1, t = 0, Y' = P): Y' always has even y. s_R = -1 iff y(R) is odd",
 "S08": "reply = stmt('reply', sender, T, C, [z_j]); signature = R as published (Ed25519 encoding, BIP-340 x) | z as a scalar of the curve",
}

# ------------------------------------------------------------------ Ed25519 (RFC 8032 5.1)
class Edwards:
    name = "Ed25519"
    def __init__(s):
        s.p, s.q = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
        s.d = -121665 * pow(121666, -1, s.p) % s.p
        s.O, s.pl, s.sl, s.L = (0, 1), 32, 32, 48
        y = 4 * pow(5, -1, s.p) % s.p
        s.G = (s._x(y, 0), y)
    def _x(s, y, sign):
        need(y < s.p, "point: y not canonical")
        xx = (y*y - 1) * pow(s.d*y*y + 1, -1, s.p) % s.p
        x = pow(xx, (s.p+3)//8, s.p)
        if x*x % s.p != xx: x = x * pow(2, (s.p-1)//4, s.p) % s.p
        need(x*x % s.p == xx, "point: not on the curve")
        need(x or not sign, "point: sign")
        return s.p - x if x & 1 != sign else x
    def _ext(s, A): return (A[0], A[1], 1, A[0]*A[1] % s.p)
    def _add(s, A, B):
        p = s.p
        a, b = (A[1]-A[0])*(B[1]-B[0]) % p, (A[1]+A[0])*(B[1]+B[0]) % p
        c, d = 2*A[3]*B[3]*s.d % p, 2*A[2]*B[2] % p
        e, f, g, h = b-a, d-c, d+c, b+a
        return (e*f % p, g*h % p, f*g % p, e*h % p)
    def _aff(s, A):
        zi = pow(A[2], -1, s.p)
        return (A[0]*zi % s.p, A[1]*zi % s.p)
    def neg(s, A): return (-A[0] % s.p, A[1])
    def add(s, A, B): return s._aff(s._add(s._ext(A), s._ext(B)))
    def _mul(s, k, A):
        R, B = (0, 1, 1, 0), s._ext(A)
        while k:
            if k & 1: R = s._add(R, B)
            B = s._add(B, B); k >>= 1
        return s._aff(R)
    def mul(s, k, A): return s._mul(k % s.q, A)
    def base(s, k): return s.mul(k, s.G)
    def enc_s(s, v): assert 0 <= v < s.q; return v.to_bytes(32, "little")
    def dec_s(s, b):
        need(len(b) == 32, "scalar: length"); v = int.from_bytes(b, "little")
        need(v < s.q, "scalar: not canonical"); return v
    def enc_p(s, A):
        need(A != s.O, "identity may not be encoded")
        return (A[1] | (A[0] & 1) << 255).to_bytes(32, "little")
    def dec_p(s, b):
        need(len(b) == 32, "point: form")
        v = int.from_bytes(b, "little"); y = v & (2**255 - 1)
        A = (s._x(y, v >> 255), y)
        need(A != s.O and s._mul(s.q, A) == s.O, "point: not in the subgroup")
        return A
    enc_raw, dec_raw = enc_p, dec_p

GROUPS["Ed25519"] = ED = Edwards()
K1 = GROUPS["secp256k1"]

# ------------------------------------------------------------------ the public rules of the schemes
def tagged(tag, *data):
    t = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(t + t + b"".join(data)).digest()

def xb(A): return A[0].to_bytes(32, "big")
def odd(A): return A[1] & 1

def challenge(scheme, Rb, Yb, msg):
    if scheme == "eddsa": return int.from_bytes(hashlib.sha512(Rb + Yb + msg).digest(), "little") % ED.q
    return int.from_bytes(tagged("BIP0340/challenge", Rb, Yb, msg), "big") % K1.q

def published(scheme, A): return ED.enc_p(A) if scheme == "eddsa" else xb(A)

def bip340_verify(key, msg, sig):
    """BIP-340, Verify(pk, m, sig)."""
    try:
        need(len(key) == 32 and len(sig) == 64, "length")
        A = K1.dec_p(b"\2" + key)
        r, z = int.from_bytes(sig[:32], "big"), int.from_bytes(sig[32:], "big")
        need(r < K1.p and z < K1.q, "r or s")
        R = K1.add(K1.base(z), K1.neg(K1.mul(challenge("bip340", sig[:32], key, msg), A)))
        return R is not None and not odd(R) and R[0] == r
    except Abort:
        return False

def ed25519_verify(key, msg, sig):
    """RFC 8032 5.1.7, without the cofactor, which is the stricter rule."""
    try:
        need(len(sig) == 64, "length")
        A, z = ED.dec_p(key), ED.dec_s(sig[32:])
        R = ED.add(ED.base(z), ED.neg(ED.mul(challenge("eddsa", sig[:32], key, msg), A)))
        return R != ED.O and ED.enc_p(R) == sig[:32]
    except Abort:
        return False

def tap_tweak(x, root):
    t = int.from_bytes(tagged("TapTweak", x, root), "big")
    need(t < K1.q, "tweak >= q")
    return t

def taproot_output_key(x, root=b""):
    """BIP-341, taproot_tweak_pubkey: x of the output key for an internal key x."""
    return xb(K1.add(K1.dec_p(b"\2" + x), K1.base(tap_tweak(x, root))))

# ------------------------------------------------------------------ participant
class SchnorrParticipant(Participant):
    def start_batch(self, C, lane, seq, count, form, messages):
        k = self.key; g = k.g; Ns = []
        need(C == sorted(set(C)) and len(C) == 2*k.t + 1 and self.index in C and set(C) <= set(k.members), "committee")
        for i in C:
            keyid, epoch, ln, sq, cnt, cc, fm, N = open_stmt(messages[i], "N", 8)
            need((keyid, epoch, ln, sq, cnt, cc, fm) == (k.keyid, k.epoch, lane, seq, count, C, form), "N: another batch")
            need(len(N) == 32, "N: nonce"); Ns.append(N)
        need(Ns[C.index(self.index)] == self.nonce, "label without my nonce")
        beta = H32("batch", k.cluster, k.keyid, k.epoch, g.name, k.scheme, C, k.t, lane, seq, count, Ns)
        mine = [g.base(self.prss(C, beta, w, i)) for i in range(count) for w in ("d", "e")]    # [S03] [S04]
        self.batches[beta] = dict(C=C, count=count, form=form, state="NEW", mine=mine)
        wire = b"".join(g.enc_p(x) if form == 0 else g.enc_raw(x) for x in mine)
        return beta, stmt("R", beta, self.index, wire)

    def take_R(self, beta, msgs):
        b = self.batches[beta]; k = self.key; g = k.g
        need(set(msgs) == set(b["C"]) - {self.index}, "R from the wrong members")
        width = len(g.enc_p(g.G) if b["form"] == 0 else g.enc_raw(g.G)); dec = g.dec_p if b["form"] == 0 else g.dec_raw
        rows = {self.index: b["mine"]}
        for j, m in msgs.items():
            mb, mj, vec = open_stmt(m, "R", 3)
            need(mb == beta and mj == j and len(vec) == 2*b["count"]*width, "R: shape")
            rows[j] = [dec(vec[o:o+width]) for o in range(0, len(vec), width)]
        l = lam(g.q, [j+1 for j in b["C"]]); flat = []
        for i in range(2*b["count"]):
            pts = {j+1: rows[j][i] for j in b["C"]}
            need(consist(g, pts, k.t), "D_j or E_j not on one polynomial")
            flat.append(psum(g, [g.mul(l[x], pts[x]) for x in pts]))
            need(flat[-1] != g.O, "D = O or E = O")
        b["R"], b["state"] = list(zip(flat[::2], flat[1::2])), "MADE"
        b["list"] = H("list", beta, [[P(g, D), P(g, E)] for D, E in b["R"]])
        return stmt("list-echo", b["list"])

    def context(self, Q):
        (ver, keyid, epoch, pid, C, scheme, dalg, msg, path, opts, ptag) = open_stmt(Q, "request", 11)
        k = self.key; g = k.g; q = g.q; c = Key()
        need(ver == VERSION and keyid == k.keyid and epoch == k.epoch and scheme == k.scheme, "version, key, epoch or scheme")
        need(ptag == k.policy.tag(), "policy tag")
        need(len(pid) == 2 and pid[0] in self.batches, "unknown presignature")
        beta, index = pid; b = self.batches[beta]
        need(0 <= index < b["count"] and b["state"] == "FREE", "presignature")
        need(C == b["C"] and len(C) == 2*k.t+1 and self.index in C, "committee is not the stored one")
        D, E = b["R"][index]                                   # own record, never the request
        need(dalg == "none" and k.policy.digests == ["none"] and k.policy.purpose == "message" and len(msg) <= 65536, "message")
        if scheme == "eddsa": need(opts == [], "options")      # [S05]
        else:
            need(len(opts) == 2 and opts[0] in (0, 1), "options")
            need(opts[1] is ABSENT or (opts[0] == 1 and len(opts[1]) == 32), "options: root")
        if k.policy.derivation == "none": need(path == [], "key has no derivation"); eps, Yf = 0, k.Y
        else:
            need(k.policy.minpath <= len(path) <= (k.policy.maxpath or 50), "path length")
            eps, Yf, _ = bip32_path(g, k.Y, k.cc, path)
        need(Yf != g.O, "Y' = O")
        c.s0 = c.s1 = c.sR = 1; c.tweak = 0
        if scheme == "bip340":                                 # [S07]
            if odd(Yf): c.s0, Yf = -1, g.neg(Yf)
            if opts[0]:
                c.tweak = tap_tweak(xb(Yf), b"" if opts[1] is ABSENT else opts[1])
                Yf = g.add(Yf, g.base(c.tweak)); need(Yf != g.O, "Y' = O")
                if odd(Yf): c.s1, Yf = -1, g.neg(Yf)
        c.g, c.C, c.beta, c.index, c.eps, c.Yf, c.scheme, c.msg = g, C, beta, index, eps, Yf, scheme, msg
        c.T = H("sign", VERSION, k.cluster, g.name, Q, beta, index, [P(g, D), P(g, E)], P(g, k.Y), H32("cc", k.cc),
                S(g, eps), P(g, Yf), C, k.t, ABSENT)
        c.rho = H2S(g, "bind", c.T); need(c.rho != 0, "rho = 0")                # [S06]
        R = g.add(D, g.mul(c.rho, E)); need(R != g.O, "R = O")
        if scheme == "bip340" and odd(R): c.sR = -1
        c.R = published(scheme, R)
        c.c = challenge(scheme, c.R, published(scheme, Yf), msg); need(c.c != 0, "c = 0")
        return c

    def sign(self, Q):
        c = self.context(Q); q = c.g.q
        T = self.presig.setdefault((c.beta, c.index), c.T)     # durable, then the answer
        need(T == c.T, "presignature used for another request")
        d, e = self.prss(c.C, c.beta, "d", c.index), self.prss(c.C, c.beta, "e", c.index)
        x = c.s1*(c.s0*(self.key.x + c.eps) + c.tweak)
        z = (c.sR*(d + c.rho*e) + c.c*x + self.pad(c, "z")) % q
        return stmt("reply", self.index, c.T, c.C, [S(c.g, z)])                 # [S08]

    def combine(self, Q, replies):
        c = self.context(Q); g = c.g; q = g.q
        need(set(replies) == set(c.C), "replies from the wrong members")
        l = lam(q, [m+1 for m in c.C]); z = 0
        for j, m in replies.items():
            mj, T, C, vals = open_stmt(m, "reply", 4, g)
            need(mj == j and C == c.C and T == c.T and len(vals) == 1, "reply")
            z = (z + l[j+1]*vals[0]) % q
        sig = c.R + g.enc_s(z)
        verify = ed25519_verify if c.scheme == "eddsa" else bip340_verify
        need(verify(published(c.scheme, c.Yf), c.msg, sig), "signature does not verify")
        return dict(z=z, sig=sig, c=c)

def schnorr_request(k, beta, index, C, msg, path, opts):
    return stmt("request", VERSION, k.keyid, k.epoch, [beta, index], list(C), k.scheme, "none", msg, list(path), opts, k.policy.tag())

# ------------------------------------------------------------------ vectors for the C tests
def vectors(scheme, n, t, seed="schnorr-1", committee=None, count=2, derivation="none", form=0, taproot=0, root=None, msg_len=32):
    hx = lambda b: bytes(b).hex()
    curve = "Ed25519" if scheme == "eddsa" else "secp256k1"
    parts = {i: SchnorrParticipant(i, seed) for i in range(n)}
    pol = Policy(purpose="message", derivation=derivation, digests=("none",))
    keyid = "VectorKey%019d" % 1
    keygen(parts, curve, keyid, t, pol, scheme)
    g = GROUPS[curve]; k0 = parts[0].key; s = lambda v: hx(g.enc_s(v)); p = lambda A: hx(g.enc_p(A))
    C = list(committee) if committee else list(range(2*t+1)); lane, seq = 7, 1
    for j in C: parts[j].draw_nonce()
    nm = {j: parts[j].nonce_message(C, lane, seq, count, form) for j in C}
    Rm, beta = {}, None
    for j in C: beta, Rm[j] = parts[j].start_batch(C, lane, seq, count, form, nm)
    lm = {j: parts[j].take_R(beta, {i: Rm[i] for i in C if i != j}) for j in C}
    for j in C: parts[j].take_lists(beta, {i: lm[i] for i in C if i != j})
    idx = count - 1; b0 = parts[C[0]].batches[beta]
    msg = (hashlib.sha512(b"message of " + seed.encode()).digest() * 1024)[:msg_len]
    path = [86, 0, 7] if derivation == "bip32" else []
    opts = [] if scheme == "eddsa" else [taproot, ABSENT if root is None else bytes.fromhex(root)]
    Q = schnorr_request(k0, beta, idx, C, msg, path, opts)
    rep = {j: parts[j].sign(Q) for j in C}
    res = parts[C[0]].combine(Q, rep); c = res["c"]
    batch_data = stmt("batch-data", C, b"".join(g.enc_raw(A) for DE in b0["R"] for A in DE))
    return dict(curve=curve, scheme=scheme, n=n, t=t, seed=seed, key_id=keyid, derivation=derivation, policy=hx(pol.bytes()),
        policy_tag=hx(pol.tag()), sid=hx(k0.sid), stored=hx(k0.stored), Y=p(k0.Y), cc=hx(k0.cc),
        participants=[dict(index=j, x=s(parts[j].key.x), X=p(parts[j].key.X[j])) for j in range(n)],
        committee=C, lane=lane, seq=seq, count=count, form=form, beta=hx(beta),
        presign=dict(nonce=[hx(nm[j]) for j in C], R=[hx(Rm[j]) for j in C], list=[hx(lm[j]) for j in C]),
        prss={w: [[s(parts[j].prss(C, beta, w, i)) for j in C] for i in range(count)] for w in ("d", "e")},
        D=[p(D) for D, _ in b0["R"]], E=[p(E) for _, E in b0["R"]], batch_data=hx(batch_data),
        index=idx, path=path, payload=hx(msg), taproot=taproot, root=root, Q=hx(Q), T=hx(c.T),
        rho=s(c.rho), R=hx(c.R), c=s(c.c), epsilon=s(c.eps), tweak=s(c.tweak), Y_final=p(c.Yf), signs=[c.sR, c.s0, c.s1],
        pad_z=[s(parts[j].pad(c, "z")) for j in C], replies=[hx(rep[j]) for j in C], z=s(res["z"]), signature=hx(res["sig"]))

RUNS = [
    dict(scheme="bip340", n=3, t=1, count=3),
    dict(scheme="bip340", n=3, t=1, form=1, seed="schnorr-2", derivation="bip32", taproot=1),
    dict(scheme="bip340", n=3, t=1, seed="schnorr-3", derivation="bip32", taproot=1, root="5b"*32),
    dict(scheme="bip340", n=4, t=1, committee=[0, 1, 3], seed="schnorr-4", msg_len=0),
    dict(scheme="bip340", n=5, t=2),
    dict(scheme="bip340", n=7, t=3, count=1, taproot=1),
    dict(scheme="eddsa", n=3, t=1, count=3),
    dict(scheme="eddsa", n=4, t=1, committee=[0, 2, 3], seed="schnorr-5", form=1, msg_len=0),
    dict(scheme="eddsa", n=5, t=2, msg_len=1000),
    dict(scheme="eddsa", n=7, t=3, count=1),
]

if __name__ == "__main__":
    if sys.argv[1:] != ["vectors"]:
        sys.exit("usage: schnorr.py vectors")
    json.dump(dict(decisions=DECISIONS, runs=[vectors(**r) for r in RUNS]), sys.stdout, indent=1)
    print()
