#!/usr/bin/env python3
"""SIGKILL of a member at every failpoint of a partial signature, then a restart: the same request gets its part,
and once anything may have been given, any other is refused. usage: test_partial.py BUILD   (BUILD: preset fault)"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, need, run_facts, wait_for  # noqa: E402

DIGEST, OTHER = "22" * 32, "33" * 32
# where participant 1 dies, and whether the presignature is burnt by then
POINTS = {"partial.before_burn": False, "partial.before_commit": False, "partial.after_burn": True}


def main(build):
    with Cluster(build, "servers", n=3, t=1) as cluster:
        cluster.start_all()
        return run_facts(facts_of(cluster))


def facts_of(cluster):
    def post(index, path, body):
        return cluster.call("POST", index, "api", path, body, seconds=30)

    def ask(index, name, digest):
        return post(index, "/v1/keys/k/partial-signatures", {"presignatureId": name, "hash": digest})

    def presignature():
        return cluster.get(0, "api", "/v1/keys/k/presignatures?ranges=1")[1]["ranges"][0]["first"]

    def a_key_is_made():
        need(post(0, "/v1/keys:generate", {"keyId": "k", "curve": "P-256", "derivation": "none"})[0] == 201, "key")
        need(post(0, "/v1/keys/k/presignatures", {"count": 16})[0] == 200, "presignatures")

    def killed_at(point, burnt):
        def fact():
            name = presignature()
            cluster.stop(1)
            cluster.start(1, {"TDSA_FAILPOINT_KILL": f"{point}:1"})
            try:
                ask(1, name, DIGEST)
            except OSError:
                pass
            wait_for(lambda: not cluster.running(1), 10, "participant 1 to die")
            cluster.start(1)
            if burnt:
                status, answer = ask(1, name, OTHER)
                need((status, answer["error"]) == (409, "PRESIGNATURE_USED"), f"another request: {status} {answer}")
            partials = [ask(index, name, DIGEST)[1]["partialSignature"] for index in (0, 1, 2)]
            status, answer = ask(1, name, OTHER)
            need((status, answer["error"]) == (409, "PRESIGNATURE_USED"), f"another request: {status} {answer}")
            status, answer = post(1, "/v1/keys/k/combine", {"partials": partials})
            need(status == 200, f"combining: {status} {answer}")
            status, answer = post(0, "/v1/keys/k/sign", {"hash": OTHER})
            need(status == 200, f"signing: {status} {answer}")
        fact.__name__ = "killed_at_" + point.replace(".", "_")
        return fact

    return [a_key_is_made] + [killed_at(point, burnt) for point, burnt in POINTS.items()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
