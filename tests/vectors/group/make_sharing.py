#!/usr/bin/env python3
"""Prints sharing.json from the primitives of the reference model of the protocol.

  python3 make_sharing.py vectors > sharing.json
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "model"))
import bplus as b  # noqa: E402

INDICES = [0, 1, 63, 64, 65, 1000]


def case(curve, n, t, committee):
    g = b.GROUPS[curve]
    rng = b.Rng("sharing", curve, n, t)
    hx = lambda v: bytes(v).hex()
    sc = lambda v: hx(g.enc_s(v % g.q))
    k = b.Key()
    k.g, k.t, k.streams = g, t, {}
    sets, pairs = b.sets_of(range(n), t), b.pairs_of(range(n))
    k.kset = {tuple(a): rng.bytes(32) for a in sets}
    k.kpair = {tuple(a): rng.bytes(32) for a in pairs}
    beta, transcript = rng.bytes(32), rng.bytes(64)
    coeff = [rng.scalar(g) for _ in range(t + 1)]
    lam = b.lam(g.q, [m + 1 for m in committee])
    members = []
    for j in committee:
        p = b.Participant(j, "unused")
        p.key = k
        c = b.Key()
        c.k, c.g, c.C, c.T = k, g, committee, transcript
        factors = []
        for a in b.sets_of(committee, t):
            if j in a:
                f = 1
                for m in committee:
                    if m not in a:
                        f = f * (m - j) * pow(m + 1, -1, g.q) % g.q
                factors.append(dict(set=a, f=sc(f)))
        members.append(dict(index=j, lam=sc(lam[j + 1]), share=sc(b.poly(coeff, j + 1, g.q)), factors=factors,
                            prss={nm: [sc(p.prss(committee, beta, nm, i)) for i in INDICES] for nm in ("k", "a")},
                            pads={w: sc(p.pad(c, w)) for w in ("mu", "nu", "z")}))
    return dict(curve=curve, n=n, t=t, committee=committee, beta=hx(beta), transcript=hx(transcript),
                indices=INDICES, sets=[dict(set=a, key=hx(k.kset[tuple(a)])) for a in sets],
                pairs=[dict(set=a, key=hx(k.kpair[tuple(a)])) for a in pairs],
                coeff=[sc(x) for x in coeff], commitments=[hx(g.enc_p(g.base(x))) for x in coeff],
                constant=sc(coeff[0]), members=members,
                h2s=sc(b.H2S(g, "delta", transcript)))


CASES = [("P-256", 3, 1, [0, 1, 2]), ("P-256", 4, 1, [0, 1, 3]), ("secp256k1", 4, 1, [0, 2, 3]),
         ("secp256k1", 5, 2, [0, 1, 2, 3, 4]), ("P-256", 6, 2, [0, 2, 3, 4, 5]),
         ("secp256k1", 7, 3, [0, 1, 2, 3, 4, 5, 6]), ("P-256", 9, 4, list(range(9))),
         ("P-384", 4, 1, [0, 2, 3]), ("P-521", 5, 2, [0, 1, 2, 3, 4])]
json.dump([case(*c) for c in CASES], sys.stdout, indent=1)
print()
