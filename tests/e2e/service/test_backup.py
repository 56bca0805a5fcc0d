#!/usr/bin/env python3
"""A participant loses its database: its share comes back from a backup and signs again. usage: test_backup.py BUILD"""
import base64
import sys

import rig
from rig import expect, make_key, sign, verify
from cluster import Cluster, need, run_facts, wait_for

PASSPHRASE = "a passphrase that nobody knows"


def main(build):
    with Cluster(build, "servers") as cluster:
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, f"secret of {index}")
        cluster.start_all()
        return run_facts(facts_of(cluster))


def facts_of(cluster):
    pem = {"k": make_key(cluster, 0, "k"), "fixed": make_key(cluster, 0, "fixed", reshare=False)}
    kept = {}

    def signs(index):
        verify(cluster.home, pem["k"], expect(sign(cluster, index, "k"), 200)["signature"])

    def backup(index, key="k"):
        return expect(cluster.call("POST", index, "api", f"/v1/keys/{key}/backup", {"passphrase": PASSPHRASE}),
                      200)["backup"]

    def restore(index, text, passphrase=PASSPHRASE):
        return cluster.call("POST", index, "api", "/v1/keys:restore", {"backup": text, "passphrase": passphrase},
                            seconds=30)

    def shown(index):
        return expect(cluster.get(index, "api", "/v1/keys/k"), 200)

    def lose_database(index):
        cluster.stop(index)
        for path in (cluster.dir / f"participant{index}").iterdir():
            if path.is_file() and (path.name.endswith(".db") or ".db-" in path.name):
                path.unlink()
        cluster.start(index)

    def a_backup_is_sealed_and_names_its_key():
        for index in cluster.servers:
            kept[index] = backup(index)
        kept["fixed"] = backup(1, "fixed")
        raw = base64.b64decode(kept[1])
        need(b"tdsa-key-backup" in raw and len(raw) < 4096, "the header is not readable")
        need(backup(1) != kept[1], "two backups have the same salt")
        expect(cluster.call("POST", 1, "api", "/v1/keys/none/backup", {"passphrase": PASSPHRASE}), 404)
        expect(cluster.call("POST", 1, "api", "/v1/keys/k/backup", {"passphrase": "short"}), 422)

    def a_key_that_is_here_is_not_restored():
        need("is here" in expect(restore(1, kept[1]), 409)["message"], "it does not say why")

    def a_lost_share_comes_back_and_signs_after_a_refresh():
        signs(0)
        lose_database(1)
        expect(cluster.get(1, "api", "/v1/keys/k"), 404)
        refused()
        body = expect(restore(1, kept[1]), 201)
        need(body["state"] == "RESTORED" and body["epoch"] == 0, f"restored as {body}")
        wait_for(lambda: shown(1)["state"] == "ACTIVE", 30, "the refresh that it asks for")
        need([shown(i)["epoch"] for i in cluster.servers] == [1, 1, 1], "another epoch than 1")
        need(shown(0).get("publicKey") == shown(1).get("publicKey"), "another public key")
        for index in cluster.servers:
            signs(index)

    def refused():
        """Where the key is not: everything that is no backup of this participant's share."""
        raw = bytearray(base64.b64decode(kept[1]))
        expect(restore(1, kept[1], "another passphrase"), 403)
        for at in (40, len(raw) // 2, len(raw) - 1):
            edited = bytearray(raw)
            edited[at] ^= 1
            need(restore(1, base64.b64encode(bytes(edited)).decode())[0] in (400, 403), f"byte {at} was edited")
        expect(restore(1, base64.b64encode(bytes(raw[:-1])).decode()), 400)
        need("participant 2's" in expect(restore(1, kept[2]), 403)["message"], "it does not say whose it is")
        need("policy" in expect(restore(1, kept["fixed"]), 403)["message"], "it does not say why")

    def a_backup_of_an_older_epoch_is_worth_nothing():
        lose_database(2)
        need("BACKUP_TOO_OLD" in expect(restore(2, kept[2]), 409)["message"], "it does not say why")
        expect(cluster.get(2, "api", "/v1/keys/k"), 404)
        expect(cluster.call("POST", 0, "api", "/v1/keys/k/reshare", {}, seconds=30), 200)  # what the text advises
        need(shown(2)["state"] == "ACTIVE", "no new share")
        signs(2)

    def a_restored_share_waits_while_a_peer_is_away():
        text = backup(0)
        cluster.stop(2)
        lose_database(0)
        expect(restore(0, text), 201)
        need("already" in expect(restore(0, text), 409)["message"], "it is restored twice")
        expect(sign(cluster, 0, "k"), 409)
        cluster.stop(0)
        cluster.start(0)  # and it has not forgotten that it waits
        need(shown(0)["state"] == "RESTORED", "it did not wait")
        cluster.start(2)
        wait_for(lambda: shown(0)["state"] == "ACTIVE", 60, "the refresh")
        signs(0)
        signs(1)

    return [a_backup_is_sealed_and_names_its_key, a_key_that_is_here_is_not_restored,
            a_lost_share_comes_back_and_signs_after_a_refresh, a_backup_of_an_older_epoch_is_worth_nothing,
            a_restored_share_waits_while_a_peer_is_away]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
