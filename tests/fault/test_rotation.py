#!/usr/bin/env python3
"""SIGKILL at every step of a rotation of the data key, while the daemon goes on: keys sign all the time, the same
command goes on where it was, and nothing is left under the old key. usage: test_rotation.py BUILD  (preset fault)"""
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e/service"))
import rig  # noqa: E402
from cluster import Cluster, need, run_facts  # noqa: E402

DIGEST = "22" * 32
# where the command dies, at which hit, and whether the new key is there by then
POINTS = [("data_key.before_rotation", 1, False), ("data_key.before_add", 1, False), ("data_key.after_add", 1, True),
          ("data_key.before_reseal", 1, True), ("data_key.before_reseal", 2, True), ("data_key.after_reseal", 1, True),
          ("data_key.after_reseal", 2, True), ("data_key.before_drop", 1, True), ("data_key.after_drop", 1, True),
          ("data_key.after_unchain", 1, True)]


def main(build):
    with Cluster(build, "servers") as cluster:
        rig.use_aesgcm(cluster, 0, "secret of 0")
        cluster.start_all()
        return run_facts(facts_of(cluster))


def facts_of(cluster):
    folder = cluster.dir / "participant0"

    def post(path, body):
        return cluster.call("POST", 0, "api", path, body, seconds=30)

    def signs():
        status, answer = post("/v1/keys/k/sign", {"hash": DIGEST})
        need(status == 200, f"signing: {status} {answer}")

    def stock():
        return cluster.get(0, "api", "/v1/keys/k/presignatures")[1]["available"]

    def tdsa(*arguments, **env):
        command = [cluster.build / "service/cli/tdsa", "keystore", *arguments, "--json", "--config", folder / "config.yml"]
        return subprocess.run(list(map(str, command)), text=True, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              env={**os.environ, **cluster.softhsm_env(0), **env}, timeout=120)

    def status():
        return json.loads(tdsa("status").stdout)

    def all_is_under(number):
        head = bytes([2]) + number.to_bytes(4, "big")
        with sqlite3.connect(folder / "tdsa.db") as db:
            for query in ("SELECT sealed FROM key WHERE length(sealed) > 0", "SELECT sealed FROM batch_data"):
                rows = db.execute(query).fetchall()
                need(rows and all(row[0][:5] == head for row in rows), f"not under data key {number}: {query}")
            rows = db.execute("SELECT number, chained IS NULL FROM data_key").fetchall()
            need(rows == [(number, 1)], f"data keys {rows}")

    def a_key_is_made():
        need(post("/v1/keys:generate", {"keyId": "k", "curve": "P-256", "derivation": "none"})[0] == 201, "key")
        need(post("/v1/keys/k/presignatures", {"count": 512})[0] == 200, "presignatures")

    def killed_at(point, hit, begun):
        def fact():
            number, before = status()["dataKey"], stock()
            done = tdsa("rotate-data-key", "--follow", "0", TDSA_FAILPOINT_KILL=f"{point}:{hit}")
            need(done.returncode == -signal.SIGKILL, f"exit {done.returncode}: {done.stdout}{done.stderr}")
            now = status()
            need(now["dataKey"] == number + (1 if begun else 0), f"{now} after {number}")
            signs()
            need(before - 2 <= stock() < before, "presignatures are lost")
            done = tdsa("rotate-data-key", "--follow", "0")
            need(done.returncode == 0, f"it does not go on: {done.stdout}{done.stderr}")
            need(json.loads(done.stdout)["resumed"] == (begun and point != "data_key.after_unchain"), done.stdout)
            all_is_under(status()["dataKey"])
            signs()
            cluster.stop(0)
            cluster.start(0)
            cluster.wait_ready(0)
            signs()
        fact.__name__ = "killed_at_" + point.replace(".", "_") + f"_{hit}"
        return fact

    def a_change_of_the_encryptor_is_made_or_not():
        (folder / "new.yml").write_text((folder / "config.yml").read_text().replace("secret of 0", "another secret"))
        done = tdsa("change-encryptor", "--to", folder / "new.yml", TDSA_FAILPOINT_KILL="data_key.before_wrap:1")
        need(done.returncode == -signal.SIGKILL, f"exit {done.returncode}: {done.stdout}{done.stderr}")
        signs()
        need(json.loads(tdsa("change-encryptor", "--to", folder / "new.yml").stdout)["changed"], "not changed")
        (folder / "new.yml").replace(folder / "config.yml")
        cluster.stop(0)
        cluster.start(0)
        cluster.wait_ready(0)
        signs()

    return [a_key_is_made] + [killed_at(*point) for point in POINTS] + [a_change_of_the_encryptor_is_made_or_not]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
