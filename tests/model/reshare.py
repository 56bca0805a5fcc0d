#!/usr/bin/env python3
"""Executable reference model of docs/protocol.md, "Reshare": new shares for the members of a key or for others, and refresh.

  python3 reshare.py vectors    prints seeded vectors as JSON

Like bplus.py, whose encoding, groups and key generation it uses: literal, standard library only, not constant time.
"""
import hashlib, json, sys
from bplus import (ABSENT, GROUPS, H, H2S, H32, HKDF, Key, P, Participant, Policy, S, VERSION, consist, keygen, lam, need,
                   pairs_of, poly, psum, sets_of, stmt)

DECISIONS = {
 "R01": "who takes part: dealers S and new members, ascending; everybody sends everybody one message per round: random, commit, deal, report, stored, active",
 "R02": "sid = H('sid', version, 'reshare' | 'refresh', curve, scheme, [new members [index, id, X25519, X448]], n', t', key-id, new epoch, policy record, [dealers, the same], old t, [old indices], H('key', ...), [random values of all who take part]); H('inputs', the same without the last two)",
 "R03": "record of the old epoch = stmt('key', key-id, epoch, curve, t, [indices], Y, [X_i], cc); a dealer sends it whole in round random, others send absent",
 "R04": "opening = stmt('open', sid, i, [C_{i,m}], proof | absent, absent, [Hp], salt): who does not deal has no commitments; a refresh has C_{i,1}..C_{i,t} and no proof; who gets no share has no contributions; the chain code part is absent",
 "R05": "private part = stmt('priv', sid, i, j, share | absent, absent, [contributions that both share])",
 "R06": "drawn in this order: coefficients 1..t', nonce of the proof, contributions, salt",
 "R07": "stmt('active-echo', stored) after the new epoch is in use; cluster-id = sid; the chain code stays",
 "R08": "refresh = all old members deal to themselves (same keys) and t' = t",
}

def record(k):
    """The old epoch as its members report it."""
    return stmt("key", k.keyid, k.epoch, k.g.name, k.t, list(k.members), P(k.g, k.Y), [P(k.g, k.X[m]) for m in k.members], k.cc)

def reshare(parts, dealers, members, t):
    """parts {index: Participant}; -> round messages and raw values. Dealers hold the key; every new member gets its share."""
    old = parts[dealers[0]].key; g = old.g; q = g.q; n = len(members); epoch = old.epoch + 1
    need(n >= 2*t+1 and 1 <= t <= 4 and n <= 9 and len(dealers) > old.t and set(dealers) <= set(old.members), "sizes")
    ALL = sorted(set(dealers) | set(members))
    refresh = dealers == members == old.members and t == old.t                   # [R08]
    KEYS = [("prss", tuple(A)) for A in sets_of(members, t)] + [("pair", tuple(A)) for A in pairs_of(members)]
    out = {r: {} for r in ("random", "commit", "deal", "report", "stored", "active")}
    links = [(i, j) for i in ALL for j in ALL if i != j]
    who = lambda L: [[m, m+1, parts[m].pk25519, parts[m].pk448] for m in L]

    # R0
    rec = record(old)
    need(all(record(parts[i].key) == rec for i in dealers), "dealers report different old epochs")
    need(consist(g, {m+1: old.X[m] for m in old.members}, old.t), "old X")
    inputs = (VERSION, "refresh" if refresh else "reshare", g.name, old.scheme, who(members), n, t, old.keyid, epoch,
              old.policy.bytes(), who(dealers), old.t, list(old.members))         # [R02]
    rnd = [parts[i].rng.bytes(32) for i in ALL]
    for i, j in links:
        out["random"][i, j] = stmt("random", H("inputs", *inputs), rnd[ALL.index(i)], rec if i in dealers else ABSENT)
    full = H("sid", *inputs, H("key", old.keyid, old.epoch, g.name, old.t, list(old.members), P(g, old.Y),
                               [P(g, old.X[m]) for m in old.members], old.cc), rnd); sid = full[:32]

    # R1, R2: dealings of lambda_i x_i, contributions of the new members                      [R04 R05 R06]
    l = lam(q, [i+1 for i in dealers]); st = {}
    for i in ALL:
        p = parts[i]; s = st[i] = Key(); s.f, s.C, s.proof, s.con = None, [], ABSENT, {}
        if i in dealers:
            s.f = [0 if refresh else l[i+1]*p.key.x % q] + [p.rng.scalar(g) for _ in range(t)]
            s.C = [g.base(a) for a in s.f]                       # of a refresh C[0] = O and does not travel
        if i in dealers and not refresh:
            kk = p.rng.scalar(g); K = g.base(kk)
            e = H2S(g, "pop", sid, i, [P(g, x) for x in s.C], P(g, K))
            s.proof = [P(g, K), S(g, (kk + e*s.f[0]) % q)]
        if i in members: s.con = {x: p.rng.bytes(32) for x in KEYS if i in x[1]}
        s.salt = p.rng.bytes(32)
        Hcon = [H32("part", sid, i, kind, list(A), v) for (kind, A), v in s.con.items()]
        fields = (sid, i, [P(g, x) for x in s.C[1 if refresh else 0:]], s.proof, ABSENT, Hcon, s.salt)
        s.open, s.com = stmt("open", *fields), H("com", *fields)
    def private(i, j):
        share = S(g, poly(st[i].f, j+1, q)) if i in dealers and j in members else ABSENT
        return stmt("priv", sid, i, j, share, ABSENT, [v for (_, A), v in st[i].con.items() if j in A])
    for i, j in links:
        out["commit"][i, j] = stmt("commit", full, st[i].com)
        out["deal"][i, j] = stmt("deal", st[i].open, private(i, j))
    for i in dealers:
        need(refresh or st[i].C[0] == g.mul(l[i+1], old.X[i]), "C_{i,0} is not lambda_i X_i")
        for j in members:
            need(g.base(poly(st[i].f, j+1, q)) == psum(g, [g.mul(pow(j+1, m, q), x) for m, x in enumerate(st[i].C)]), "share")

    # R3
    view = H("view", sid, [st[i].com for i in ALL], [st[i].open for i in ALL])
    kap = {(kind, A): HKDF(b"".join(st[i].con[kind, A] for i in A), kind, sid, old.keyid, g.name, epoch, list(A)) for kind, A in KEYS}
    for i, j in links:
        out["report"][i, j] = stmt("report", view, ABSENT, [H("confirm", sid, kind, list(A), i, kap[kind, A])
                                                            for kind, A in KEYS if i in A and j in A])

    # output, R4, R5
    Y = psum(g, [st[i].C[0] for i in dealers])
    need(refresh or Y == old.Y, "the public key changed"); Y = old.Y
    X = {m: psum(g, [g.mul(pow(m+1, a, q), x) for i in dealers for a, x in enumerate(st[i].C)]) for m in members}
    if refresh: X = {m: g.add(X[m], old.X[m]) for m in members}
    need(all(x != g.O for x in X.values()) and consist(g, {m+1: X[m] for m in members}, t), "X")
    stored = H("stored", sid, view, P(g, Y), [P(g, X[m]) for m in members], old.cc, t, epoch)
    for i, j in links:
        out["stored"][i, j] = stmt("stored-echo", stored)
        out["active"][i, j] = stmt("active-echo", stored)
    for j in ALL:
        mine = parts[j].key
        if j not in members: parts[j].key = None; continue
        k = parts[j].key = Key()
        k.g, k.keyid, k.t, k.epoch, k.policy, k.scheme, k.members = g, old.keyid, t, epoch, old.policy, old.scheme, list(members)
        k.cluster = k.sid = sid                                                   # [R07]
        k.x = (sum(poly(st[i].f, j+1, q) for i in dealers) + (mine.x if refresh else 0)) % q
        need(g.base(k.x) == X[j], "x_j G is not X_j")
        k.Y, k.X, k.cc, k.view, k.stored, k.inputs = Y, X, old.cc, view, stored, H("inputs", *inputs)
        k.kset = {A: v for (kind, A), v in kap.items() if kind == "prss" and j in A}
        k.kpair = {A: v for (kind, A), v in kap.items() if kind == "pair" and j in A}
    key = psum(g, [g.mul(v, X[m]) for m, v in ((m, lam(q, [i+1 for i in members[:t+1]])[m+1]) for m in members[:t+1])])
    need(key == Y, "the new shares do not make the public key")
    return out, dict(record=rec, refresh=refresh, kap=kap)

def vectors(curve, n, t, steps, seed):
    hx = lambda b: bytes(b).hex(); small = lambda b: hashlib.sha256(b).hexdigest()
    parts = {i: Participant(i, seed) for i in range(9)}; g = GROUPS[curve]
    keyid = "ReshareKey%018d" % 1
    keygen({i: parts[i] for i in range(n)}, curve, keyid, t, Policy(reshare=1))
    done = []
    for dealers, members, t2, lost in steps:
        for i in lost: parts[i].key = None
        rounds, raw = reshare(parts, dealers, members, t2); k = parts[members[0]].key
        done.append(dict(dealers=dealers, members=members, t=t2, lost=lost, refresh=raw["refresh"], epoch=k.epoch,
            record=hx(raw["record"]), inputs=hx(k.inputs), sid=hx(k.sid), view=hx(k.view), stored=hx(k.stored), Y=hx(g.enc_p(k.Y)),
            shares=[dict(index=m, x=hx(g.enc_s(parts[m].key.x)), X=hx(g.enc_p(k.X[m]))) for m in members],
            kappa=[dict(kind=kind, A=list(A), key=hx(v)) for (kind, A), v in raw["kap"].items()],
            messages={r: [dict(sender=i, to=j, sha256=small(b)) for (i, j), b in sorted(m.items())] for r, m in rounds.items()}))
    return dict(curve=curve, n=n, t=t, seed=seed, key_id=keyid, steps=done)

R = lambda n: list(range(n))
RUNS = [
    dict(curve="secp256k1", n=3, t=1, seed="refresh", steps=[(R(3), R(3), 1, []), (R(3), R(3), 1, [])]),
    dict(curve="P-256", n=5, t=2, seed="fewer", steps=[(R(5), [0, 2, 4], 1, []), ([0, 2, 4], [0, 2, 4], 1, [])]),
    dict(curve="P-256", n=7, t=3, seed="seven", steps=[(R(7), R(7), 3, [])]),
    dict(curve="P-256", n=3, t=1, seed="more", steps=[(R(3), R(5), 2, [])]),
    dict(curve="P-256", n=3, t=1, seed="lost", steps=[([0, 2], R(3), 1, [1]), (R(3), [4, 6, 8], 1, [])]),
]

if __name__ == "__main__":
    if sys.argv[1:] != ["vectors"]:
        sys.exit("usage: reshare.py vectors")
    json.dump(dict(decisions=DECISIONS, runs=[vectors(**r) for r in RUNS]), sys.stdout, indent=1)
    print()
