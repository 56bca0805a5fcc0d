#!/usr/bin/env python3
"""What a database costs signatures: three daemons on SQLite, on SQLite with a slow disk, on PostgreSQL, on MariaDB.

usage: bench_databases.py BUILD [quick]     BUILD: cmake --preset release -DTDSA_BUILD_BENCH=ON -DTDSA_BUILD_TESTS=ON

Each signs a P-256 digest from stock, through participant 0: one caller, then eight at once. All data are durable
(fsync on). Prints one line for each store; compare within one run only: the ratio is to SQLite on the same disk.
"""
import http.client
import json
import pathlib
import statistics
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/e2e/database"), str(ROOT / "tests/e2e/service")]
import rig  # noqa: E402
import rig_database  # noqa: E402
from cluster import Cluster, need  # noqa: E402

KEY, CALLERS, BATCH = "bench", 8, 1000


class Caller:
    """One caller with a connection of its own that is kept."""

    def __init__(self, cluster, number):
        self.connection = http.client.HTTPConnection("127.0.0.1", int(cluster.ports[0][1]), timeout=60)
        self.number = number

    def sign(self):
        self.number += 1
        self.connection.request("POST", f"/v1/keys/{KEY}/sign", json.dumps({"hash": f"{self.number:064x}"}),
                                {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        body = answer.read()
        need(answer.status == 200, f"{answer.status}: {body}")


def commits(cluster):
    return sum(rig.expect(cluster.get(i, "admin", "/metrics"), 200)["counters"]["com.sepior.tdsa.db.commits"]["count"]
               for i in cluster.servers)


def one_caller(cluster, count):
    """Median milliseconds of a signature."""
    caller, times = Caller(cluster, 1 << 40), []
    for _ in range(count):
        begin = time.monotonic()
        caller.sign()
        times.append(time.monotonic() - begin)
    return statistics.median(times) * 1000


def many_callers(cluster, count):
    """Signatures per second."""
    callers = [Caller(cluster, i << 32) for i in range(CALLERS)]
    threads = [threading.Thread(target=lambda c=c: [c.sign() for _ in range(count // CALLERS)]) for c in callers]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count // CALLERS * CALLERS / (time.monotonic() - begin)


def measure(cluster, count):
    rig.make_key(cluster, 0, KEY)
    for _ in range(0, 2 * count, BATCH):
        rig.expect(cluster.call("POST", 0, "api", f"/v1/keys/{KEY}/presignatures", {"count": BATCH}), 200)
    many_callers(cluster, count // 4)  # leases grow
    before = commits(cluster)
    rate = many_callers(cluster, count)
    each = (commits(cluster) - before) / len(cluster.servers) / count
    return rate, one_caller(cluster, count // 10), each


def run(build, name, count, server=None, env=None):
    with Cluster(build, "servers") as cluster:
        rig_database.light(cluster)
        for index in cluster.servers if server is not None else ():
            rig_database.use(cluster, index, server, server.place(f"p{index}"))
        cluster.start_all(env)
        result = measure(cluster, count)
        rig_database.stop_all(cluster)
    return name, result


def main(build, quick):
    count = 1000 if quick else 4000
    shim = pathlib.Path(build).resolve() / "tests/bench/libslow_fsync.so"
    need(shim.exists(), f"{shim} is not built (-DTDSA_BUILD_BENCH=ON)")
    rows = [run(build, "sqlite", count)]
    for ms in (5, 50):
        rows.append(run(build, f"sqlite, fsync {ms} ms slower", count, env={"LD_PRELOAD": str(shim), "SLOW_FSYNC_MS": str(ms)}))
    with tempfile.TemporaryDirectory(prefix="tdsa-bench-") as folder:
        for kind in ("postgres", "mariadb"):
            server = rig_database.Server(kind, folder, "--fsync")
            try:
                rows.append(run(build, kind, count, server))
            finally:
                server.stop()
    print(f"{'store':28} {'signatures/s':>12} {'ratio':>6} {'one caller ms':>14} {'commits per signature':>22}")
    for name, (rate, median, each) in rows:
        print(f"{name:28} {rate:12,.0f} {rate / rows[0][1][0]:6.2f} {median:14.2f} {each:22.3f}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:] == ["quick"])
