#!/usr/bin/env python3
"""Keys are deleted, brought back and wiped by real daemons, of which one is away now and then.

usage: test_deletion.py BUILD
"""
import pathlib
import sqlite3
import sys

from rig import change, expect, make_key, sign, verify

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from cluster import Cluster, need, run_facts, wait_for  # noqa: E402

GRACE = 4


def state(cluster, index, key):
    status, body = cluster.get(index, "api", f"/v1/keys/{key}")
    return "DELETED" if status == 410 else body["state"]


def pending(cluster, index, key):
    return expect(cluster.get(index, "api", f"/v1/keys/{key}"), 200)["pending"]


def everywhere(cluster, key, wanted, seconds=30):
    wait_for(lambda: all(state(cluster, i, key) == wanted for i in cluster.servers), seconds,
             f"{key} {wanted} everywhere: {[state(cluster, i, key) for i in cluster.servers]}")


def database(cluster, index):
    return next((cluster.dir / f"participant{index}").glob("*.db"))


def sealed(cluster, index, key):
    with sqlite3.connect(database(cluster, index)) as db:
        return db.execute("SELECT sealed FROM key WHERE key_id = ?", (key,)).fetchone()[0]


def rows(cluster, index, key):
    queries = ["batch WHERE key_id = ?", "lane WHERE key_id = ?",
               "key WHERE key_id = ? AND (sealed IS NOT NULL OR state <> 4)"]
    with sqlite3.connect(database(cluster, index)) as db:
        return [db.execute(f"SELECT count(*) FROM {query}", (key,)).fetchone()[0] for query in queries]


def found(cluster, index, piece):
    return [path.name for path in (cluster.dir / f"participant{index}").glob("*.db*") if piece in path.read_bytes()]


def steps(cluster):
    pem = {}

    def delete(index, key, seconds=None):
        query = "" if seconds is None else f"?graceSeconds={seconds}"
        return expect(cluster.call("DELETE", index, "api", f"/v1/keys/{key}{query}"), 202)

    def undelete(index, key, status=200):
        return expect(cluster.call("POST", index, "api", f"/v1/keys/{key}/undelete", {}), status)

    def signs(key):
        for index in cluster.servers:
            verify(cluster.home, pem[key], expect(sign(cluster, index, key), 200)["signature"])

    def a_key_comes_back_within_its_grace_period():
        pem["back"] = make_key(cluster, 0, "back")
        signs("back")
        delete(0, "back", 3600)
        for index in cluster.servers:
            expect(sign(cluster, index, "back"), 409, "KEY_DELETING")
        need(undelete(1, "back")["state"] == "ACTIVE", "not active")
        everywhere(cluster, "back", "ACTIVE", 1)
        signs("back")
        need(undelete(2, "back")["state"] == "ACTIVE", "the same again")
        expect(cluster.call("POST", 0, "api", "/v1/keys/none/undelete", {}), 404)

    def periods_out_of_bounds_are_refused():
        for seconds in ("1", str(91 * 86400), "-1", "1h", ""):
            expect(cluster.call("DELETE", 0, "api", f"/v1/keys/back?graceSeconds={seconds}"), 400, "INVALID_QUERY")
        need(state(cluster, 0, "back") == "ACTIVE", "it was deleted all the same")

    def a_participant_that_was_away_learns_of_it():
        pem["away"] = make_key(cluster, 0, "away")
        cluster.stop(2)
        need(delete(0, "away", 3600)["pending"] == [2], "not pending")
        need(pending(cluster, 1, "away") == [2], "the other does not know who is away")
        cluster.start(2)
        everywhere(cluster, "away", "DELETING", 70)
        wait_for(lambda: pending(cluster, 0, "away") == [], 70, "nobody pending")

    def an_undoing_waits_for_one_that_is_away():
        cluster.stop(2)
        answer = undelete(0, "away", 202)
        need(answer["state"] == "DELETING" and answer["undoing"] is True and answer["pending"] == [2], f"{answer}")
        expect(sign(cluster, 1, "away"), 409, "KEY_DELETING")
        cluster.stop(0)  # what was ordered outlives the process that ordered it
        cluster.start(0)
        cluster.start(2)
        everywhere(cluster, "away", "ACTIVE", 70)
        signs("away")

    def after_the_grace_period_nothing_is_left():
        pem["gone"] = make_key(cluster, 0, "gone")
        signs("gone")
        shares = [sealed(cluster, index, "gone")[:48] for index in cluster.servers]
        for index in cluster.servers:
            need(found(cluster, index, shares[index]), "the search finds nothing")
        delete(1, "gone")
        everywhere(cluster, "gone", "DELETED", 60)
        for index in cluster.servers:
            need(rows(cluster, index, "gone") == [0, 0, 0], f"participant {index} keeps {rows(cluster, index, 'gone')}")
            need(not found(cluster, index, shares[index]), f"participant {index} keeps its share")
            expect(cluster.call("POST", index, "api", "/v1/keys/gone/undelete", {}), 410, "DELETED")
            expect(cluster.call("DELETE", index, "api", "/v1/keys/gone"), 410, "DELETED")

    def one_that_comes_back_after_that_follows():
        pem["late"] = make_key(cluster, 0, "late")
        cluster.stop(1)
        delete(0, "late")
        wait_for(lambda: state(cluster, 0, "late") == state(cluster, 2, "late") == "DELETED", 60, "wiped")
        cluster.start(1)
        everywhere(cluster, "late", "DELETED", 90)

    def a_key_without_shares_goes_at_once():
        expect(cluster.call("POST", 0, "api", "/v1/keys", {"keyId": "never", "curve": "P-256"}), 201)
        need(delete(0, "never")["state"] == "DELETED", "not at once")
        everywhere(cluster, "never", "DELETED", 5)

    def it_is_counted():
        undelete(0, "back")
        meters = expect(cluster.get(0, "admin", "/metrics"), 200)["meters"]
        for operation in ("DELETE", "UNDELETE"):
            need(meters[f"com.sepior.tdsa.STARTED.{operation}"]["count"] >= 1, operation)

    return [a_key_comes_back_within_its_grace_period, periods_out_of_bounds_are_refused,
            a_participant_that_was_away_learns_of_it, an_undoing_waits_for_one_that_is_away,
            after_the_grace_period_nothing_is_left, one_that_comes_back_after_that_follows,
            a_key_without_shares_goes_at_once, it_is_counted]


def main(build):
    with Cluster(build, "servers") as cluster:
        for index in cluster.servers:
            change(cluster, index, "tdsaLibrary:\n", f"tdsaLibrary:\n  deletionGracePeriod: {GRACE}s\n")
        cluster.start_all()
        return run_facts(steps(cluster))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
