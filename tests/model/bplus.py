#!/usr/bin/env python3
"""Executable reference model of docs/protocol.md (B+, ECDSA): key generation, presignatures, signing.

  python3 bplus.py vectors    prints seeded vectors as JSON (decisions, primitives, runs)

Standard library only, not constant time, for tests only. Written from the text, not from the C code;
every place where the text leaves the bytes open is marked [Dnn] and listed in DECISIONS.
"""
import hashlib, hmac, itertools, json, sys

VERSION = 1

DECISIONS = {
 "D01": "item = type(1) | length u32 BE | value.  types: 00 absent (length 0), 01 text ASCII, 02 uint (8 bytes BE), 03 octets, 04 scalar, 05 point, 06 list (value = items). statement = text item with the tag, then the fields in the order of the text",
 "D02": "scalars: ceil(bits(q)/8) bytes BE; points in hashes: SEC1 compressed",
 "D03": "H = SHA-512 of the statement; sid, beta, cluster-id, policy-tag, cc are its first 32 bytes; com, view, list, stored, confirm, T are all 64 bytes",
 "D04": "HKDF(ikm; fields) = RFC 5869 HKDF-SHA-512, salt empty, info = statement(fields), 32 bytes out",
 "D05": "PRF(kappa; w, T) = OS2IP(HKDF-Expand-SHA-512(PRK=kappa, info=statement('pad-'+w, T), L)) mod q",
 "D06": "PRSS stream: key HKDF(kappa_AC; 'prss-stream', name, beta); AES-256-CTR with initial block 0^16, 128-bit BE counter; L bytes at index*L, big-endian, mod q",
 "D07": "H2S(tag, fields) = OS2IP(first L bytes of SHA512(stmt(tag,uint 0,fields)) | SHA512(stmt(tag,uint 1,fields))) mod q; zero is refused by the caller, never re-hashed",
 "D08": "cluster-id = sid of the run that made the epoch",
 "D09": "commitment covers hashes H('cc-part',sid,i,cc_i)[:32] and H('part',sid,i,kind,A,value)[:32] (kind 'prss'|'pair'), because not everybody sees the values",
 "D10": "kappa_A uses tag 'prss', kappa_ij tag 'pair'; confirm = H('confirm',sid,kind,A,sender,kappa); sets and pairs as lists of indices ascending, sets in lexicographic order",
 "D11": "stored_j leaves 'confirms' out (members know different ones)",
 "D12": "participants' own index order everywhere; N_1..N_{2t+1} in ascending index of C",
 "D13": "lane u64, seq u64",
 "D14": "R list in hashes: compressed points, each in a list of one",
 "D15": "policy record = stmt('policy', purpose, derivation, minChainPathLength, minChainPathLengthXPub, maximum path length (0: 50), [path prefix], prepare, exportable, reshare, low-S, signatures per minute (0: no limit), [digest algorithms in ascending length]); policy tag = H of it, 32 bytes",
 "D16": "options: [uint low-S 0|1]",
 "D17": "coin list absent = type 00 item; in prepare mode the list of scalars [c_j] by position in C. T0 = H('prepare', the fields of T but the last); coin message = stmt('coin', sender, T0, C, [c_j]), c_j by PRSS with the name 'coin'",
 "D20": "random scalar = OS2IP(L random bytes) mod q, again while zero",
 "D21": "scheme 'ecdsa'; curves 'secp256k1', 'P-256', 'P-384', 'P-521'",
 "D22": "pop challenge e = H2S('pop', sid, i, [C_i], K)",
 "D23": "sid = H('sid', version, 'keygen', curve, scheme, [[index, id, X25519, X448]..], n, t, key-id, epoch, policy record, [one random value of each participant, ascending]); H('inputs', the same without the last list) is what R0 compares first",
 "D24": "messages: stmt('random', inputs, 32 random bytes); stmt('commit', sid in full, com); stmt('deal', octets opening, octets private part); stmt('report', view, absent | [dealer, reason], [confirms]); stmt('stored-echo', stored); stmt('N', key-id, epoch, lane, seq, count, C, form 0 compressed | 1 uncompressed, N_j); stmt('R', beta, index, octets of all R_j in that form); stmt('list-echo', list). No message shares its tag with a hashed statement",
}

class Abort(Exception):
    pass

def need(ok, why):
    if not ok:
        raise Abort(why)

# ------------------------------------------------------------------ TLV [D01]
ABSENT = ("absent",)

def item(t, v):
    return bytes([t]) + len(v).to_bytes(4, "big") + v

class S:                                    # scalar with its group
    def __init__(self, g, v): self.g, self.v = g, v
class P:                                    # point with its group
    def __init__(self, g, v): self.g, self.v = g, v

def enc(f):
    if f is ABSENT:                 return item(0, b"")
    if isinstance(f, str):          return item(1, f.encode("ascii"))
    if isinstance(f, bool):         raise TypeError
    if isinstance(f, int):          return item(2, f.to_bytes(8, "big"))
    if isinstance(f, (bytes, bytearray)): return item(3, bytes(f))
    if isinstance(f, S):            return item(4, f.g.enc_s(f.v))
    if isinstance(f, P):            return item(5, f.g.enc_p(f.v))
    if isinstance(f, (list, tuple)): return item(6, b"".join(enc(x) for x in f))
    raise TypeError(type(f))

def stmt(tag, *fields):
    return enc(tag) + b"".join(enc(f) for f in fields)

def parse(b, g=None):
    out, o = [], 0
    while o < len(b):
        need(o + 5 <= len(b), "tlv: short header")
        t, n = b[o], int.from_bytes(b[o+1:o+5], "big")
        need(o + 5 + n <= len(b), "tlv: short value")
        v = b[o+5:o+5+n]; o += 5 + n
        if t == 0:   need(n == 0, "tlv: absent with value"); out.append(ABSENT)
        elif t == 1: need(v.isascii(), "tlv: text"); out.append(v.decode("ascii"))
        elif t == 2: need(n == 8, "tlv: uint width"); out.append(int.from_bytes(v, "big"))
        elif t == 3: out.append(v)
        elif t == 4: out.append(g.dec_s(v))
        elif t == 5: out.append(g.dec_p(v))
        elif t == 6: out.append(parse(v, g))
        else: need(False, "tlv: unknown type")
    return out

def open_stmt(b, tag, nfields, g=None):
    f = parse(b, g)
    need(len(f) == nfields + 1 and f[0] == tag, "statement %s: wrong shape" % tag)
    return f[1:]

# ------------------------------------------------------------------ hash, KDF, PRF
def H(tag, *f):   return hashlib.sha512(stmt(tag, *f)).digest()
def H32(tag, *f): return H(tag, *f)[:32]

def hkdf_expand(prk, info, n):
    out, t, i = b"", b"", 1
    while len(out) < n:
        t = hmac.new(prk, t + info + bytes([i]), hashlib.sha512).digest()
        out += t; i += 1
    return out[:n]

def HKDF(ikm, *fields):                                        # [D04]
    prk = hmac.new(b"\0" * 64, ikm, hashlib.sha512).digest()
    return hkdf_expand(prk, stmt(*fields), 32)

def PRF(g, kappa, w, T):                                       # [D05]
    return int.from_bytes(hkdf_expand(kappa, stmt("pad-" + w, T), g.L), "big") % g.q

def H2S(g, tag, *f):                                           # [D07]
    b = hashlib.sha512(stmt(tag, 0, *f)).digest() + hashlib.sha512(stmt(tag, 1, *f)).digest()
    return int.from_bytes(b[:g.L], "big") % g.q

# ------------------------------------------------------------------ AES-256-CTR
def _sbox():
    s, p, q = [0]*256, 1, 1
    while True:
        p = p ^ ((p << 1) & 255) ^ (0x1B if p & 0x80 else 0)
        q ^= q << 1; q ^= q << 2; q ^= q << 4; q &= 255
        if q & 0x80: q ^= 0x09
        x = q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4)
        s[p] = (x ^ 0x63) & 255
        if p == 1: break
    s[0] = 0x63
    return s
SB = _sbox()
_x2 = lambda a: ((a << 1) ^ (0x1B if a & 0x80 else 0)) & 255
T0_ = [(_x2(s) << 24) | (s << 16) | (s << 8) | (_x2(s) ^ s) for s in SB]
T1_ = [(x >> 8) | ((x & 255) << 24) for x in T0_]
T2_ = [(x >> 8) | ((x & 255) << 24) for x in T1_]
T3_ = [(x >> 8) | ((x & 255) << 24) for x in T2_]

class AES256:
    def __init__(self, key):
        assert len(key) == 32
        w = [int.from_bytes(key[4*i:4*i+4], "big") for i in range(8)]
        rc, sw = 1, lambda x: (SB[x >> 24] << 24) | (SB[x >> 16 & 255] << 16) | (SB[x >> 8 & 255] << 8) | SB[x & 255]
        for i in range(8, 60):
            t = w[i-1]
            if i % 8 == 0:
                t = sw(((t << 8) | (t >> 24)) & 0xffffffff) ^ (rc << 24); rc = _x2(rc)
            elif i % 8 == 4: t = sw(t)
            w.append(w[i-8] ^ t)
        self.w = w
    def block(self, b):
        w = self.w
        s = [int.from_bytes(b[4*i:4*i+4], "big") ^ w[i] for i in range(4)]
        for r in range(1, 14):
            s = [T0_[s[i] >> 24] ^ T1_[s[(i+1) & 3] >> 16 & 255] ^ T2_[s[(i+2) & 3] >> 8 & 255]
                 ^ T3_[s[(i+3) & 3] & 255] ^ w[4*r+i] for i in range(4)]
        o = b""
        for i in range(4):
            v = (SB[s[i] >> 24] << 24) | (SB[s[(i+1) & 3] >> 16 & 255] << 16) | (SB[s[(i+2) & 3] >> 8 & 255] << 8) | SB[s[(i+3) & 3] & 255]
            o += (v ^ w[56+i]).to_bytes(4, "big")
        return o
    def ctr(self, off, n):                                     # key stream bytes [off, off+n)
        first, last = off // 16, (off + n + 15) // 16
        ks = b"".join(self.block((c % (1 << 128)).to_bytes(16, "big")) for c in range(first, last))
        return ks[off - 16*first: off - 16*first + n]

# ------------------------------------------------------------------ groups
class Weier:
    kind = "w"
    def __init__(s, name, p, a, b, gx, gy, q):
        s.name, s.p, s.a, s.b, s.q = name, p, a, b, q
        s.G, s.O = (gx, gy), None
        s.pl, s.sl = (p.bit_length()+7)//8, (q.bit_length()+7)//8
        s.L = (q.bit_length() + 128 + 7)//8
        s._tab = None
    def neg(s, A): return None if A is None else (A[0], -A[1] % s.p)
    def add(s, A, B):
        if A is None: return B
        if B is None: return A
        p = s.p
        if A[0] == B[0]:
            if (A[1] + B[1]) % p == 0: return None
            m = (3*A[0]*A[0] + s.a) * pow(2*A[1], -1, p)
        else:
            m = (B[1]-A[1]) * pow(B[0]-A[0], -1, p)
        x = (m*m - A[0] - B[0]) % p
        return (x, (m*(A[0]-x) - A[1]) % p)
    def sub(s, A, B): return s.add(A, s.neg(B))
    def _dbl(s, J):
        X, Y, Z = J; p = s.p
        if Z == 0 or Y == 0: return (1, 1, 0)
        YY = Y*Y % p; Sx = 4*X*YY % p
        M = (3*X*X + s.a*pow(Z, 4, p)) % p
        X3 = (M*M - 2*Sx) % p
        return (X3, (M*(Sx-X3) - 8*YY*YY) % p, 2*Y*Z % p)
    def _mad(s, J, A):                                         # Jacobian + affine
        X, Y, Z = J; p = s.p
        if Z == 0: return (A[0], A[1], 1)
        ZZ = Z*Z % p; U = A[0]*ZZ % p; Sy = A[1]*ZZ*Z % p
        h, r = (U-X) % p, (Sy-Y) % p
        if h == 0:
            return s._dbl(J) if r == 0 else (1, 1, 0)
        hh = h*h % p; hhh = h*hh % p; V = X*hh % p
        X3 = (r*r - hhh - 2*V) % p
        return (X3, (r*(V-X3) - Y*hhh) % p, Z*h % p)
    def _aff(s, J):
        if J[2] == 0: return None
        zi = pow(J[2], -1, s.p)
        return (J[0]*zi*zi % s.p, J[1]*zi*zi*zi % s.p)
    def mul(s, k, A):
        k %= s.q
        if A is None or k == 0: return None
        J = (1, 1, 0)
        for bit in bin(k)[2:]:
            J = s._dbl(J)
            if bit == "1": J = s._mad(J, A)
        return s._aff(J)
    def base(s, k):
        k %= s.q
        if s._tab is None:
            s._tab, A = [], s.G
            for _ in range((s.q.bit_length()+3)//4):
                row, B = [None], A
                for _ in range(15): row.append(B); B = s.add(B, A)
                s._tab.append(row); A = B
        J = (1, 1, 0)
        for row in s._tab:
            if k & 15: J = s._mad(J, row[k & 15])
            k >>= 4
        return s._aff(J)
    def enc_s(s, v): assert 0 <= v < s.q; return v.to_bytes(s.sl, "big")
    def dec_s(s, b):
        need(len(b) == s.sl, "scalar: length"); v = int.from_bytes(b, "big")
        need(v < s.q, "scalar: not canonical"); return v
    def enc_p(s, A):
        need(A is not None, "identity may not be encoded")
        return bytes([2 + (A[1] & 1)]) + A[0].to_bytes(s.pl, "big")
    def dec_p(s, b):
        need(len(b) == s.pl + 1 and b[0] in (2, 3), "point: form")
        x = int.from_bytes(b[1:], "big"); need(x < s.p, "point: x not canonical")
        c = (x*x*x + s.a*x + s.b) % s.p
        y = pow(c, (s.p+1)//4, s.p)
        need(y*y % s.p == c, "point: not on the curve")
        if y & 1 != b[0] & 1: y = -y % s.p
        need(y & 1 == b[0] & 1, "point: sign")
        return (x, y)
    def enc_raw(s, A):
        need(A is not None, "identity may not be encoded")
        return b"\4" + A[0].to_bytes(s.pl, "big") + A[1].to_bytes(s.pl, "big")
    def dec_raw(s, b):
        need(len(b) == 2*s.pl + 1 and b[0] == 4, "point: form")
        x, y = int.from_bytes(b[1:s.pl+1], "big"), int.from_bytes(b[s.pl+1:], "big")
        need(x < s.p and y < s.p and (y*y - x*x*x - s.a*x - s.b) % s.p == 0, "point: not on the curve")
        return (x, y)
    def F(s, A): return A[0] % s.q

def _g(name, p, a, b, gx, gy, q):
    g = Weier(name, p, a % p, b, gx, gy, q)
    assert (gy*gy - gx**3 - a*gx - b) % p == 0 and g.mul(q-1, g.G) == g.neg(g.G)
    return g
GROUPS = {g.name: g for g in [
 _g("secp256k1", 2**256-2**32-977, 0, 7,
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141),
 _g("P-256", 2**256-2**224+2**192+2**96-1, -3,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
 _g("P-384", 2**384-2**128-2**96+2**32-1, -3,
    0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
    0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973),
 _g("P-521", 2**521-1, -3,
    0x0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    0x00C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77EFE75928FE1DC127A2FFA8DE3348B3C1856A429BF97E7E31C2E5BD66,
    0x011839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE72995EF42640C550B9013FAD0761353C7086A272C24088BE94769FD16650,
    0x01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409),
 ]}
assert [GROUPS[n].L for n in ("secp256k1", "P-256", "P-384", "P-521")] == [48, 48, 64, 82]

def psum(g, pts):
    r = g.O
    for x in pts: r = g.add(r, x)
    return r

def lam(q, ids, at=0):
    """Lagrange coefficients at `at` over a set of ids (any ids, not only contiguous ones)."""
    out = {}
    for i in ids:
        n = d = 1
        for m in ids:
            if m != i: n = n*(at-m) % q; d = d*(i-m) % q
        out[i] = n*pow(d, -1, q) % q
    return out

def consist(g, pts, t):
    """pts {id: point}; True if all lie on one polynomial of degree t."""
    ids = sorted(pts)
    if ids == list(range(1, len(ids)+1)):                      # finite differences
        c, row = 1, []
        for i in range(t+2):
            row.append((-1)**i * c); c = c*(t+1-i)//(i+1)
        for a in range(1, len(ids)-t):
            if psum(g, [g.mul(row[i], pts[a+i]) for i in range(t+2)]) != g.O: return False
        return True
    first = ids[:t+1]
    for j in ids[t+1:]:
        l = lam(g.q, first, j)
        if psum(g, [g.mul(l[i], pts[i]) for i in first]) != pts[j]: return False
    return True

def poly(c, x, q):
    r = 0
    for a in reversed(c): r = (r*x + a) % q
    return r

# ------------------------------------------------------------------ deterministic randomness
class Rng:
    def __init__(self, *seed): self.k = hashlib.sha512(stmt("rng", *seed)).digest(); self.n = 0; self.buf = b""
    def bytes(self, n):
        while len(self.buf) < n:
            self.buf += hashlib.sha512(self.k + self.n.to_bytes(8, "big")).digest(); self.n += 1
        r, self.buf = self.buf[:n], self.buf[n:]
        return r
    def scalar(self, g):                                       # [D20]
        while True:
            v = int.from_bytes(self.bytes(g.L), "big") % g.q
            if v: return v

# ------------------------------------------------------------------ policy, BIP32
class Policy:
    def __init__(s, purpose="digest", derivation="none", minpath=1, minxpub=3, prepare=0, exportable=0, reshare=0, low_s=0,
                 digests=("sha256", "sha384", "sha512"), maxpath=0, prefix=(), rate=0):
        s.purpose, s.derivation, s.minpath, s.minxpub, s.prepare = purpose, derivation, minpath, minxpub, prepare
        s.exportable, s.reshare, s.low_s, s.digests = exportable, reshare, low_s, list(digests)
        s.maxpath, s.prefix, s.rate = maxpath, list(prefix), rate
    def bytes(s):                                              # [D15]
        return stmt("policy", s.purpose, s.derivation, s.minpath, s.minxpub, s.maxpath, s.prefix,
                    s.prepare, s.exportable, s.reshare, s.low_s, s.rate, s.digests)
    def tag(s): return H32("policy-tag", s.bytes())

def bip32_path(g, Y, cc, path):
    eps = 0
    for i in path:
        need(0 <= i < 2**31, "hardened path element")
        I = hmac.new(cc, g.enc_p(Y) + i.to_bytes(4, "big"), hashlib.sha512).digest()
        e = int.from_bytes(I[:32], "big")
        need(e < g.q, "path: tweak >= q")
        Y = g.add(Y, g.base(e)); need(Y != g.O, "path: identity")
        eps, cc = (eps + e) % g.q, I[32:]
    return eps, Y, cc

def sets_of(N, t):  return [list(A) for A in itertools.combinations(sorted(N), t+1)]
def pairs_of(N):    return [list(A) for A in itertools.combinations(sorted(N), 2)]

# ------------------------------------------------------------------ key record and participant
class Key:
    pass

class Participant:
    def __init__(self, index, seed):
        self.index, self.id = index, index + 1
        self.rng = Rng("participant", index, seed)
        self.pk25519, self.pk448 = self.rng.bytes(32), self.rng.bytes(56)   # stand-ins for channel keys
        self.key, self.batches, self.presig, self.locks = None, {}, {}, {}

    # ---------------------------------------------------------------- presign
    def draw_nonce(self):
        self.nonce = self.rng.bytes(32)
        return self.nonce

    def nonce_message(self, C, lane, seq, count, form):                        # [D24]
        k = self.key
        return stmt("N", k.keyid, k.epoch, lane, seq, count, C, form, self.nonce)

    def prss(self, C, beta, name, index):
        """v_j = sum over A (j in A, A subset C) of PRF(kappa_AC; name, beta, index) f_A(id_j)."""
        k = self.key; q, v = k.g.q, 0
        for A in sets_of(C, k.t):
            if self.index not in A: continue
            kac = HKDF(k.kset[tuple(A)], "committee", C)
            stream = AES256(HKDF(kac, "prss-stream", name, beta))
            val = int.from_bytes(stream.ctr(index*k.g.L, k.g.L), "big") % q
            f = 1
            for m in C:                                        # 1 at 0, 0 at the ids outside A
                if m not in A: f = f * (m+1 - self.id) * pow(m+1, -1, q) % q
            v = (v + val*f) % q
        return v

    def start_batch(self, C, lane, seq, count, form, messages):
        """messages {index: bytes} of all members; -> beta and my R message."""
        k = self.key; g = k.g; Ns = []
        need(C == sorted(set(C)) and len(C) == 2*k.t + 1 and self.index in C and set(C) <= set(k.members), "committee")
        for i in C:
            keyid, epoch, ln, sq, cnt, cc, fm, N = open_stmt(messages[i], "N", 8)
            need((keyid, epoch, ln, sq, cnt, cc, fm) == (k.keyid, k.epoch, lane, seq, count, C, form), "N: another batch")
            need(len(N) == 32, "N: nonce"); Ns.append(N)
        need(Ns[C.index(self.index)] == self.nonce, "label without my nonce")
        beta = H32("batch", k.cluster, k.keyid, k.epoch, g.name, k.scheme, C, k.t, lane, seq, count, Ns)
        mine = [g.base(self.prss(C, beta, "k", i)) for i in range(count)]
        self.batches[beta] = dict(C=C, count=count, form=form, state="NEW", mine=mine)
        wire = b"".join(g.enc_p(x) if form == 0 else g.enc_raw(x) for x in mine)
        return beta, stmt("R", beta, self.index, wire)

    def take_R(self, beta, msgs):
        """msgs {index: bytes} of the others; -> my list message."""
        b = self.batches[beta]; k = self.key; g = k.g
        need(set(msgs) == set(b["C"]) - {self.index}, "R from the wrong members")
        width = g.pl + 1 if b["form"] == 0 else 2*g.pl + 1
        rows = {self.index: b["mine"]}
        for j, m in msgs.items():
            mb, mj, vec = open_stmt(m, "R", 3)
            need(mb == beta and mj == j and len(vec) == b["count"]*width, "R: shape")
            dec = g.dec_p if b["form"] == 0 else g.dec_raw
            rows[j] = [dec(vec[o:o+width]) for o in range(0, len(vec), width)]
        l = lam(g.q, [j+1 for j in b["C"]]); R = []
        for i in range(b["count"]):
            pts = {j+1: rows[j][i] for j in b["C"]}
            need(consist(g, pts, k.t), "R_j not on one polynomial")
            Rp = psum(g, [g.mul(l[x], pts[x]) for x in pts])
            need(Rp != g.O, "R = O"); need(g.F(Rp) != 0, "F(R) = 0")
            R.append(Rp)
        b["R"], b["state"] = R, "MADE"
        b["list"] = H("list", beta, [[P(g, x)] for x in R])                     # [D14]
        return stmt("list-echo", b["list"])

    def take_lists(self, beta, msgs):
        b = self.batches[beta]
        need(set(msgs) == set(b["C"]) - {self.index}, "lists from the wrong members")
        need(all(open_stmt(m, "list-echo", 1)[0] == b["list"] for m in msgs.values()), "list digests differ")
        b["state"] = "FREE"

    # ---------------------------------------------------------------- request -> context
    def context(self, Q, coins=None, only_T0=False):
        (ver, keyid, epoch, pid, C, scheme, dalg, payload, path, opts, ptag) = open_stmt(Q, "request", 11)
        k = self.key; g = k.g; c = Key()
        need(ver == VERSION and keyid == k.keyid and epoch == k.epoch and scheme == k.scheme, "version, key, epoch or scheme")
        need(ptag == k.policy.tag(), "policy tag")
        need(len(pid) == 2 and pid[0] in self.batches, "unknown presignature")
        beta, index = pid; b = self.batches[beta]
        need(0 <= index < b["count"] and b["state"] == "FREE", "presignature")
        need(C == b["C"] and len(C) == 2*k.t+1 and self.index in C, "committee is not the stored one")
        R = b["R"][index]                                      # own record, never the request
        need(len(opts) == 1 and opts[0] in (0, 1) and opts[0] >= k.policy.low_s, "options")
        if k.policy.derivation == "none": need(path == [], "key has no derivation"); eps, Yf = 0, k.Y
        else:
            need(k.policy.minpath <= len(path) <= (k.policy.maxpath or 50), "path length")
            need(path[:len(k.policy.prefix)] == k.policy.prefix, "path prefix")
            eps, Yf, _ = bip32_path(g, k.Y, k.cc, path)
        need(Yf != g.O, "Y' = O"); need(dalg in k.policy.digests, "digest algorithm")
        if k.policy.purpose == "message": dig = hashlib.new(dalg, payload).digest()
        else: need(len(payload) == hashlib.new(dalg).digest_size, "digest length"); dig = payload
        nb = g.q.bit_length(); h = int.from_bytes(dig, "big")
        if 8*len(dig) > nb: h >>= 8*len(dig) - nb
        c.h = h % g.q; need(c.h != 0, "h = 0")
        c.g, c.C, c.beta, c.index, c.eps, c.Yf, c.low_s = g, C, beta, index, eps, Yf, opts[0]
        fields = (VERSION, k.cluster, g.name, Q, beta, index, [P(g, R)], P(g, k.Y), H32("cc", k.cc),
                  S(g, eps), P(g, Yf), C, k.t)
        c.T0 = H("prepare", *fields) if k.policy.prepare else None              # [D17]
        if only_T0: return c
        need((coins is not None) == bool(k.policy.prepare), "coins")
        if coins is not None:                                   # own c_j in place, one polynomial of degree t
            need(len(coins) == len(C) and coins[C.index(self.index)] == self.prss(C, beta, "coin", index), "my coin")
            first = dict(zip([j+1 for j in C[:k.t+1]], coins))
            for j, v in zip(C, coins):
                l = lam(g.q, first, j+1)
                need(sum(l[i]*first[i] for i in first) % g.q == v, "coins not on one polynomial")
        c.T = H("sign", *fields, ABSENT if coins is None else [S(g, v) for v in coins])
        c.delta = H2S(g, "delta", c.T); need(c.delta != 0, "delta = 0")
        c.Rh = g.add(R, g.base(c.delta)); need(c.Rh != g.O, "R^ = O")
        c.r = g.F(c.Rh); need(c.r != 0, "r = 0")
        return c

    def pad(self, c, w):
        q, acc = c.g.q, 0
        for i in c.C:
            if i == self.index: continue
            v = PRF(c.g, self.key.kpair[tuple(sorted((i, self.index)))], w, c.T)
            acc += v if self.index < i else -v
        l = lam(q, [m+1 for m in c.C])[self.id]
        return acc * pow(l, -1, q) % q

    def prepare(self, Q):
        c = self.context(Q, only_T0=True)
        T0 = self.locks.setdefault((c.beta, c.index), c.T0)    # FREE -> LOCKED(T0), durable, then the coin
        need(T0 == c.T0, "presignature locked to another request")
        return stmt("coin", self.index, c.T0, c.C, [S(c.g, self.prss(c.C, c.beta, "coin", c.index))])

    def take_coins(self, Q, msgs):
        c = self.context(Q, only_T0=True); coins = []
        for j in c.C:
            mj, T0, C, vals = open_stmt(msgs[j], "coin", 4, c.g)
            need(mj == j and C == c.C and T0 == c.T0 and len(vals) == 1, "coin"); coins.append(vals[0])
        return coins

    def sign(self, Q, coins=None):
        c = self.context(Q, coins); q = c.g.q
        need(c.T0 is None or self.locks.get((c.beta, c.index)) == c.T0, "presignature not locked to this request")
        T = self.presig.setdefault((c.beta, c.index), c.T)     # durable, then the answer
        need(T == c.T, "presignature used for another request")
        kj, aj = self.prss(c.C, c.beta, "k", c.index), self.prss(c.C, c.beta, "a", c.index)
        mu = (aj*(kj + c.delta) + self.pad(c, "mu")) % q
        nu = (aj*(c.h + c.r*(self.key.x + c.eps)) + self.pad(c, "nu")) % q
        return stmt("reply", self.index, c.T, c.C, [S(c.g, mu), S(c.g, nu)])

    def combine(self, Q, replies, coins=None):
        c = self.context(Q, coins); g = c.g; q = g.q
        need(set(replies) == set(c.C), "replies from the wrong members")
        l = lam(q, [m+1 for m in c.C]); mu = nu = 0
        for j, m in replies.items():
            mj, T, C, vals = open_stmt(m, "reply", 4, g)
            need(mj == j and C == c.C and T == c.T and len(vals) == 2, "reply")
            mu, nu = (mu + l[j+1]*vals[0]) % q, (nu + l[j+1]*vals[1]) % q
        need(mu and nu, "mu or nu = 0")
        s = nu*pow(mu, -1, q) % q
        if c.low_s and s > q//2: s = q - s
        si = pow(s, -1, q)
        V = g.add(g.base(si*c.h), g.mul(si*c.r, c.Yf))
        need(V is not None and g.F(V) == c.r, "signature does not verify")
        rec = (V[1] & 1) | (2 if V[0] >= q else 0)
        return dict(s=s, rec=rec, mu=mu, nu=nu, c=c)

# ------------------------------------------------------------------ key generation, R0..R4
def keygen(parts, curve, keyid, t, policy, scheme="ecdsa"):
    """-> the round messages {round: {(sender, receiver): bytes}}; every participant gets its key.
    The participants are honest here: the negative cases are tests of the C code."""
    g = GROUPS[curve]; q = g.q; N = sorted(parts); n = len(N); epoch = 0
    need(n >= 2*t+1 and 1 <= t <= 4 and n <= 9, "n, t")
    SETS, PAIRS = sets_of(N, t), pairs_of(N)
    KEYS = [("prss", tuple(A)) for A in SETS] + [("pair", tuple(A)) for A in PAIRS]
    out = {r: {} for r in ("random", "commit", "deal", "report", "stored")}
    links = [(i, j) for i in N for j in N if i != j]

    # R0: inputs compared, fresh randomness of everybody                                     [D23]
    mem = [[m, m+1, parts[m].pk25519, parts[m].pk448] for m in N]
    inputs = (VERSION, "keygen", curve, scheme, mem, n, t, keyid, epoch, policy.bytes())
    rnd = [parts[i].rng.bytes(32) for i in N]
    for i, j in links: out["random"][i, j] = stmt("random", H("inputs", *inputs), rnd[i])
    full = H("sid", *inputs, rnd); sid = full[:32]

    # R1: sid compared; everything is drawn in this order: f, nonce of the proof, cc part, contributions, salt
    st = {}
    for i in N:
        p = parts[i]; s = st[i] = Key()
        s.f = [p.rng.scalar(g) for _ in range(t+1)]
        s.C = [g.base(a) for a in s.f]
        kk = p.rng.scalar(g); K = g.base(kk)
        e = H2S(g, "pop", sid, i, [P(g, x) for x in s.C], P(g, K))              # [D22]
        s.proof = [P(g, K), S(g, (kk + e*s.f[0]) % q)]
        s.cc = p.rng.bytes(32)
        s.con = {x: p.rng.bytes(32) for x in KEYS if i in x[1]}
        s.salt = p.rng.bytes(32)
        Hcc = H32("cc-part", sid, i, s.cc)                                      # [D09]
        Hcon = [H32("part", sid, i, kind, list(A), v) for (kind, A), v in s.con.items()]
        fields = (sid, i, [P(g, x) for x in s.C], s.proof, Hcc, Hcon, s.salt)
        s.open, s.com = stmt("open", *fields), H("com", *fields)
    for i, j in links: out["commit"][i, j] = stmt("commit", full, st[i].com)

    # R2: openings, and privately share, cc part and contributions
    def private(i, j):
        con = [v for (_, A), v in st[i].con.items() if j in A]
        return stmt("priv", sid, i, j, S(g, poly(st[i].f, j+1, q)), st[i].cc, con)
    for i, j in links: out["deal"][i, j] = stmt("deal", st[i].open, private(i, j))
    for i, j in links:                                          # the checks, in the order of the text
        fsid, fi, C, proof, Hcc, Hcon, salt = open_stmt(st[i].open, "open", 7, g)
        need(fsid == sid and fi == i and len(C) == t+1, "R2: opening")
        e = H2S(g, "pop", sid, i, [P(g, x) for x in C], P(g, proof[0]))
        need(g.base(proof[1]) == g.add(proof[0], g.mul(e, C[0])), "R2: proof of possession")
        fsid, fi, fj, sh, cc, con = open_stmt(private(i, j), "priv", 6, g)
        need(g.base(sh) == psum(g, [g.mul(pow(j+1, m, q), x) for m, x in enumerate(C)]), "R2: share")
        need(H32("cc-part", sid, i, cc) == Hcc, "R2: chain code part")
        hashes = dict(zip([x for x in KEYS if i in x[1]], Hcon))
        for x, v in zip([x for x in KEYS if i in x[1] and j in x[1]], con):
            need(H32("part", sid, i, x[0], list(x[1]), v) == hashes[x], "R2: contribution")

    # R3: views, kappa confirms
    view = H("view", sid, [st[i].com for i in N], [st[i].open for i in N])
    kap = {(kind, A): HKDF(b"".join(st[i].con[kind, A] for i in A), kind, sid, keyid, curve, epoch, list(A)) for kind, A in KEYS}
    for i, j in links:
        conf = [H("confirm", sid, kind, list(A), i, kap[kind, A]) for kind, A in KEYS if i in A and j in A]
        out["report"][i, j] = stmt("report", view, ABSENT, conf)

    # output, R4
    Y = psum(g, [st[i].C[0] for i in N])
    X = {m: psum(g, [g.mul(pow(m+1, a, q), x) for i in N for a, x in enumerate(st[i].C)]) for m in N}
    cc = H32("cc", sid, [st[i].cc for i in N])
    need(Y != g.O and all(x != g.O for x in X.values()), "Y = O or X_j = O")
    need(consist(g, {m+1: X[m] for m in N}, t), "X not on one polynomial")
    stored = H("stored", sid, view, P(g, Y), [P(g, X[m]) for m in N], cc, t, epoch)         # [D11]
    for i, j in links: out["stored"][i, j] = stmt("stored-echo", stored)
    for j in N:
        k = parts[j].key = Key()
        k.g, k.keyid, k.t, k.epoch, k.policy, k.scheme, k.members = g, keyid, t, epoch, policy, scheme, list(N)
        k.cluster = k.sid = sid                                                 # [D08]
        k.x = sum(poly(st[i].f, j+1, q) for i in N) % q
        need(g.base(k.x) == X[j], "x_j G is not X_j")
        k.Y, k.X, k.cc, k.view, k.stored, k.inputs, k.full = Y, X, cc, view, stored, H("inputs", *inputs), full
        k.kset = {A: v for (kind, A), v in kap.items() if kind == "prss" and j in A}
        k.kpair = {A: v for (kind, A), v in kap.items() if kind == "pair" and j in A}
    coms = [st[i].com for i in N]; opens = [st[i].open for i in N]
    return out, dict(coms=coms, opens=opens, private=private, kap=kap)

def request(k, beta, index, C, payload, dalg, path, low_s):
    return stmt("request", VERSION, k.keyid, k.epoch, [beta, index], list(C), k.scheme, dalg, payload, list(path), [low_s], k.policy.tag())

# ------------------------------------------------------------------ vectors for the C tests
def vectors(curve, n, t, seed="vector-1", committee=None, count=2, derivation="none", purpose="digest", form=0, low_s=1, dalg="sha256", full=True,
            maxpath=0, prefix=(), rate=0, prepare=0):
    """-> dict that dumps to JSON: every intermediate value of keygen, presign, sign. full: whole
    messages; else their SHA-256 (the larger runs)."""
    hx = lambda b: bytes(b).hex()
    msg = hx if full else lambda b: hashlib.sha256(b).hexdigest()
    table = lambda m: [dict(sender=i, to=j, body=msg(b)) for (i, j), b in sorted(m.items())]
    parts = {i: Participant(i, seed) for i in range(n)}
    pol = Policy(purpose=purpose, derivation=derivation, low_s=low_s, maxpath=maxpath, prefix=prefix, rate=rate, prepare=prepare)
    keyid = "VectorKey%019d" % 1
    rounds, raw = keygen(parts, curve, keyid, t, pol)
    g = GROUPS[curve]; k0 = parts[0].key; s = lambda v: hx(g.enc_s(v)); p = lambda A: hx(g.enc_p(A))
    C = list(committee) if committee else list(range(2*t+1)); lane, seq = 7, 1
    for j in C: parts[j].draw_nonce()
    nm = {j: parts[j].nonce_message(C, lane, seq, count, form) for j in C}
    Rm, beta = {}, None
    for j in C: beta, Rm[j] = parts[j].start_batch(C, lane, seq, count, form, nm)
    lm = {j: parts[j].take_R(beta, {i: Rm[i] for i in C if i != j}) for j in C}
    for j in C: parts[j].take_lists(beta, {i: lm[i] for i in C if i != j})
    idx = count - 1; b0 = parts[C[0]].batches[beta]
    payload = hashlib.new(dalg, b"model " + seed.encode()).digest() if purpose == "digest" else b"message of " + seed.encode()
    path = [44, 0, 7] if derivation == "bip32" else []
    Q = request(k0, beta, idx, C, payload, dalg, path, low_s)
    cm = {j: parts[j].prepare(Q) for j in C} if prepare else {}
    coins = parts[C[0]].take_coins(Q, cm) if prepare else None
    rep = {j: parts[j].sign(Q, coins) for j in C}
    res = parts[C[0]].combine(Q, rep, coins); c = res["c"]
    batch_data = stmt("batch-data", C, b"".join(b"\4" + x[0].to_bytes(g.pl, "big") + x[1].to_bytes(g.pl, "big") for x in b0["R"]))
    return dict(curve=curve, n=n, t=t, L=g.L, seed=seed, key_id=keyid, full=full,
        purpose=purpose, derivation=derivation, max_path=maxpath, prefix=list(prefix), rate=rate, prepare=prepare, policy=hx(pol.bytes()), policy_tag=hx(pol.tag()),
        inputs=hx(k0.inputs), sid=hx(k0.sid), sid_full=hx(k0.full), view=hx(k0.view), stored=hx(k0.stored), Y=p(k0.Y), cc=hx(k0.cc),
        participants=[dict(index=j, x25519=hx(parts[j].pk25519), x448=hx(parts[j].pk448), com=hx(raw["coms"][j]), open=hx(raw["opens"][j]),
            x=s(parts[j].key.x), X=p(parts[j].key.X[j])) for j in range(n)],
        private=[dict(sender=i, to=j, body=msg(raw["private"](i, j))) for i in range(n) for j in range(n) if i != j],
        kappa=[dict(kind=kind, A=list(A), key=hx(v)) for (kind, A), v in raw["kap"].items()],
        keygen={r: table(m) for r, m in rounds.items()},
        committee=C, lane=lane, seq=seq, count=count, form=form, beta=hx(beta),
        presign=dict(nonce=[hx(nm[j]) for j in C], R=[hx(Rm[j]) for j in C], list=[hx(lm[j]) for j in C]),
        prss={w: [[s(parts[j].prss(C, beta, w, i)) for j in C] for i in range(count)] for w in ("k", "a")},
        R=[p(x) for x in b0["R"]], list=hx(b0["list"]), batch_data=hx(batch_data),
        lambda_=[s(lam(g.q, [m+1 for m in C])[j+1]) for j in C],
        index=idx, path=path, payload=hx(payload), digest_alg=dalg, low_s=low_s, Q=hx(Q),
        T0=hx(c.T0 or b""), coin_messages=[hx(cm[j]) for j in C if cm], T=hx(c.T), h=s(c.h), delta=s(c.delta), R_hat=p(c.Rh), r=s(c.r), epsilon=s(c.eps), Y_final=p(c.Yf),
        pads={w: [s(parts[j].pad(c, w)) for j in C] for w in ("mu", "nu")},
        replies=[hx(rep[j]) for j in C], mu=s(res["mu"]), nu=s(res["nu"]), s=s(res["s"]), recovery_id=res["rec"])

def primitive_vectors():
    hx = lambda b: bytes(b).hex(); out = []
    out.append(dict(what="stmt('t', absent, 5, 'ab', 0x0102, [1,[0xff]])", hex=hx(stmt("t", ABSENT, 5, "ab", b"\1\2", [1, [b"\xff"]]))))
    out.append(dict(what="H('t', 5)", hex=hx(H("t", 5))))
    out.append(dict(what="HKDF(32x00; 'committee', [0,1,2])", hex=hx(HKDF(bytes(32), "committee", [0, 1, 2]))))
    for n, g in GROUPS.items():
        out.append(dict(what="H2S('delta', 64x11) " + n, hex=hx(g.enc_s(H2S(g, "delta", b"\x11"*64)))))
        out.append(dict(what="PRF(32x22; 'mu', 64x11) " + n, hex=hx(g.enc_s(PRF(g, b"\x22"*32, "mu", b"\x11"*64)))))
        out.append(dict(what="PRSS stream key 32x33 index 5 " + n, hex=hx(g.enc_s(int.from_bytes(AES256(b"\x33"*32).ctr(5*g.L, g.L), "big") % g.q))))
    return out

RUNS = [
    dict(curve="secp256k1", n=3, t=1, count=3),
    dict(curve="P-256", n=3, t=1, form=1, low_s=0, seed="vector-2"),
    dict(curve="P-256", n=4, t=1, committee=[0, 1, 3], full=False),
    dict(curve="P-256", n=5, t=2, full=False),
    dict(curve="P-256", n=7, t=3, count=1, full=False),
    dict(curve="secp256k1", n=3, t=1, derivation="bip32", seed="vector-3", full=False,
         maxpath=5, prefix=[44, 0], rate=600),
    dict(curve="P-256", n=3, t=1, purpose="message", dalg="sha512", seed="vector-4", full=False),
    dict(curve="secp256k1", n=3, t=1, prepare=1, count=1, seed="vector-6", full=False),
    dict(curve="P-256", n=5, t=2, prepare=1, count=1, seed="vector-6", full=False),
    dict(curve="P-384", n=3, t=1, dalg="sha384", seed="vector-5", full=False),
    dict(curve="P-521", n=3, t=1, form=1, purpose="message", dalg="sha512", seed="vector-6", full=False),
]

if __name__ == "__main__":
    if sys.argv[1:] != ["vectors"]:
        sys.exit("usage: bplus.py vectors")
    json.dump(dict(decisions=DECISIONS, primitives=primitive_vectors(), runs=[vectors(**r) for r in RUNS]), sys.stdout, indent=1)
    print()
