#!/usr/bin/env python3
"""Time of the module's searches among many keys: by id, by label, by both, after another process changed one key.

One real key is made by the participants and its row in the module's keystore copied under other ids and labels: copies can be listed
and found, not signed with. A search is C_FindObjectsInit, C_FindObjects, C_FindObjectsFinal of one private key, through ctypes, which
itself takes about 5 microseconds a search. The unit of the ratios is the same search among 2 keys, in the same run.

usage: bench_find.py BUILD [KEYS]
"""
import ctypes
import os
import pathlib
import sqlite3
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, need  # noqa: E402

CKA_CLASS, CKA_LABEL, CKA_ID = 0, 3, 0x102
CKO_PRIVATE_KEY = 3
SERIAL_RW = 6
ROUNDS = 200


class Attribute(ctypes.Structure):
    _fields_ = [("type", ctypes.c_ulong), ("value", ctypes.c_void_p), ("length", ctypes.c_ulong)]


class Module:
    """The module in this very process."""

    def __init__(self, path, pin):
        self.dll = ctypes.CDLL(str(path))
        self.good("C_Initialize", None)
        self.session = ctypes.c_ulong()
        self.good("C_OpenSession", ctypes.c_ulong(0), ctypes.c_ulong(SERIAL_RW), None, None, ctypes.byref(self.session))
        self.good("C_Login", self.session, ctypes.c_ulong(1), pin.encode(), ctypes.c_ulong(len(pin)))

    def good(self, name, *arguments):
        code = getattr(self.dll, name)(*arguments)
        need(code == 0, f"{name}: CKR {code:#x}")

    def find(self, **wanted):
        """Handles of the private keys that match; microseconds."""
        cls = ctypes.c_ulong(CKO_PRIVATE_KEY)
        buffers = [(CKA_CLASS, ctypes.addressof(cls), ctypes.sizeof(cls))]
        keep = [cls]
        for kind, name in ((CKA_ID, "id"), (CKA_LABEL, "label")):
            if name in wanted:
                keep.append(ctypes.create_string_buffer(wanted[name], len(wanted[name])))
                buffers.append((kind, ctypes.addressof(keep[-1]), len(wanted[name])))
        template = (Attribute * len(buffers))(*buffers)
        found, count = (ctypes.c_ulong * 16)(), ctypes.c_ulong()
        begin = time.perf_counter()
        self.good("C_FindObjectsInit", self.session, template, ctypes.c_ulong(len(buffers)))
        self.good("C_FindObjects", self.session, found, ctypes.c_ulong(16), ctypes.byref(count))
        self.good("C_FindObjectsFinal", self.session)
        return list(found[:count.value]), (time.perf_counter() - begin) * 1e6


def fill(database, keys):
    """Copies of one key: id copy<n>, label label<n>, CKA_ID the default, which all of them share."""
    db = sqlite3.connect(database)
    row = db.execute("SELECT epoch, state, created_ms, presignature_limit, public_part, attrs, sealed FROM key").fetchone()
    epoch, state, created, limit, public, _, sealed = row
    # names without a CKA_ID of their own: the label of the row counts
    db.executemany("INSERT INTO key (key_id, epoch, state, label, created_ms, presignature_limit, public_part, attrs, sealed) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)",
                   ((f"copy{n}", epoch, state, f"label{n}", created, limit, public, sealed) for n in range(keys)))
    before = db.execute("SELECT value FROM counter WHERE name = 'key-changes'").fetchone()[0]
    db.executemany("INSERT INTO key_change (key_id, number) VALUES (?, ?)", ((f"copy{n}", before + 1 + n) for n in range(keys)))
    db.execute("UPDATE counter SET value = ? WHERE name = 'key-changes'", (before + keys,))
    db.commit()
    db.close()


def measured(module, **wanted):
    times = []
    for _ in range(ROUNDS):
        found, micros = module.find(**wanted)
        need(len(found) == 1, f"{wanted}: {len(found)} objects")
        times.append(micros)
    return statistics.median(times), max(times)


def main(build, keys=100000):
    with Cluster(build) as cluster:
        cluster.start_all()
        for name in ("first", "second"):
            cluster.tool_ok("--keypairgen", "--key-type", "EC:prime256v1", "--label", name, "--id", name.encode().hex())
        database = next((cluster.dir / "participant0").glob("**/*.db"))
        os.environ.update(cluster.module_env())
        module = Module(cluster.module, cluster.pin)
        unit, _ = measured(module, id=b"first")
        fill(database, keys)
        _, first = module.find(id=b"first")
        print(f"keys {keys}; 2 keys: {unit:.0f} us a search by id")
        print(f"first search after the keys came, which reads them all: {first / 1000:.0f} ms")
        for what, wanted in (("by id", {"id": b"second"}), ("by label", {"label": f"label{keys // 2}".encode()}),
                             ("by both", {"id": b"second", "label": b"second"})):
            median, worst = measured(module, **wanted)
            print(f"{what}: median {median:.0f} us = {median / unit:.2f} of the unit, worst of {ROUNDS} {worst:.0f} us")
        cluster.tool_ok("--keypairgen", "--key-type", "EC:prime256v1", "--label", "third", "--id", b"third".hex(), seconds=300)
        found, after = module.find(id=b"third")
        need(len(found) == 1, "the key of the other process is not found")
        print(f"first search after another process made a key: {after / 1000:.2f} ms")


if __name__ == "__main__":
    main(sys.argv[1], *(int(n) for n in sys.argv[2:3]))
