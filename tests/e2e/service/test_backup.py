#!/usr/bin/env python3
"""A participant loses its database: its share comes back from a backup and signs again. usage: test_backup.py BUILD"""
import base64
import json
import os
import subprocess
import sys

import rig
from rig import expect, make_key, sign, verify
from cluster import Cluster, need, run_facts, wait_for

PASSPHRASE = "a passphrase that nobody knows"
SECONDS = 120  # a backup takes 128 MiB and half a second of an idle processor


def main(build):
    with Cluster(build, "servers") as cluster:
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, f"secret of {index}")
            rig.change(cluster, index, "tdsaLibrary:\n", "tdsaLibrary:\n  deletionGracePeriod: 2s\n")
        cluster.start_all()
        return run_facts(facts_of(cluster))


def facts_of(cluster):
    pem = {"k": make_key(cluster, 0, "k"), "fixed": make_key(cluster, 0, "fixed", reshare=False)}
    kept = {}

    def signs(index):
        verify(cluster.home, pem["k"], expect(sign(cluster, index, "k"), 200)["signature"])

    def backup(index, key="k"):
        return expect(cluster.call("POST", index, "api", f"/v1/keys/{key}/backup", {"passphrase": PASSPHRASE},
                                   seconds=SECONDS), 200)["backup"]

    def restore_beside_the_daemon(index, text):
        """tdsa as the participant itself, on the database that the daemon uses."""
        folder = cluster.home / "work"
        folder.mkdir(exist_ok=True)
        (folder / "backup").write_text(json.dumps({"backup": text}))
        (folder / "passphrase").write_text(PASSPHRASE + "\n")
        done = subprocess.run([cluster.build / "service/cli/tdsa", "restore", "backup", "--passphrase-file", "passphrase", "--quiet",
                               "--config", cluster.dir / f"participant{index}/config.yml"], cwd=folder, capture_output=True,
                              text=True, env={**os.environ, **cluster.softhsm_env(index)}, check=False)
        need(done.returncode == 0 and "RESTORED" in done.stdout, f"exit {done.returncode}: {done.stdout}{done.stderr}")

    def restore(index, text, passphrase=PASSPHRASE):
        return cluster.call("POST", index, "api", "/v1/keys:restore", {"backup": text, "passphrase": passphrase},
                            seconds=SECONDS)

    def shown(index, key="k"):
        return expect(cluster.get(index, "api", f"/v1/keys/{key}"), 200)

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
        answer = expect(sign(cluster, 0, "k"), 409, "KEY_NOT_ACTIVE")
        need("RESTORED" in answer["message"] and "participant 2" in answer["message"], f"it does not say why: {answer}")
        cluster.stop(0)
        cluster.start(0)  # and it has not forgotten that it waits
        need(shown(0)["state"] == "RESTORED", "it did not wait")
        cluster.start(2)
        wait_for(lambda: shown(0)["state"] == "ACTIVE", 60, "the refresh")
        signs(0)
        signs(1)

    def one_that_another_process_restored_is_refreshed_by_its_first_use():
        text, epoch = backup(1), shown(1)["epoch"]
        lose_database(1)
        restore_beside_the_daemon(1, text)
        expect(cluster.call("POST", 1, "api", "/v1/keys/k/backup", {"passphrase": PASSPHRASE}), 409, "KEY_NOT_ACTIVE")
        answer = expect(cluster.call("POST", 1, "api", "/v1/keys/k/sign-batch", {"items": [{"hash": rig.DIGEST}] * 3}), 200)
        for result in answer["results"]:
            verify(cluster.home, pem["k"], result["signature"])
        need((shown(1)["state"], shown(1)["epoch"]) == ("ACTIVE", epoch + 1), f"{shown(1)}")

    def a_restored_share_follows_a_deletion_and_its_undoing():
        text, epoch = backup(1), shown(1)["epoch"]
        expect(cluster.call("DELETE", 0, "api", "/v1/keys/k?graceSeconds=86400"), 202)
        lose_database(1)
        expect(cluster.call("POST", 2, "api", "/v1/keys/k/undelete", {}), 410, "DELETED")  # without 1 it does not come back
        need([shown(index)["state"] for index in (0, 2)] == ["DELETING"] * 2, "it is not deleted any more")
        expect(restore(1, text), 201)
        wait_for(lambda: shown(1)["state"] == "DELETING", 30, "word of the deletion")
        need("deletionTime" in shown(1), f"{shown(1)}")
        expect(sign(cluster, 1, "k"), 409, "KEY_DELETING")
        need(expect(cluster.call("POST", 2, "api", "/v1/keys/k/undelete", {}), 200)["state"] == "ACTIVE", "not undone")
        wait_for(lambda: shown(1)["state"] == "ACTIVE", 30, "the refresh")
        need(shown(1)["epoch"] == epoch + 1, f"{shown(1)}")
        signs(1)

    def a_backup_of_a_deleted_key_is_worth_nothing():
        make_key(cluster, 0, "gone")
        text = backup(2, "gone")
        expect(cluster.call("DELETE", 0, "api", "/v1/keys/gone?graceSeconds=2"), 202)
        wait_for(lambda: [cluster.get(i, "api", "/v1/keys/gone")[0] for i in cluster.servers] == [410] * 3, 60, "the wiping")
        lose_database(2)
        expect(restore(2, text), 410, "DELETED")

    return [a_backup_is_sealed_and_names_its_key, a_key_that_is_here_is_not_restored,
            a_lost_share_comes_back_and_signs_after_a_refresh, a_backup_of_an_older_epoch_is_worth_nothing,
            a_restored_share_waits_while_a_peer_is_away, one_that_another_process_restored_is_refreshed_by_its_first_use,
            a_restored_share_follows_a_deletion_and_its_undoing, a_backup_of_a_deleted_key_is_worth_nothing]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
