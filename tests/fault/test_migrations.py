#!/usr/bin/env python3
"""SIGKILL in the middle of every migration of an older database; the next start finishes it.

usage: test_migrations.py BUILD      (BUILD: preset fault)
"""
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
OLD = ROOT / "tests/conformance/keystore/schema1.db"
LAST = len(list((ROOT / "keystore/sql/sqlite").glob("*.sql")))


def need(condition, text):
    if not condition:
        sys.exit(f"FAILED  {text}")


def version(file):
    with sqlite3.connect(file) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def contents(file):
    """What migrations leave as it is; the wrapped data key has another place since migration 4."""
    with sqlite3.connect(file) as db:
        moved = "SELECT value FROM meta WHERE name = 'ks.data-key'"
        if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'data_key'").fetchone():
            moved += " UNION SELECT wrapped FROM data_key WHERE number = 1 AND state = 1"
        rows = [db.execute(f"SELECT * FROM {table}").fetchall() for table in ("key", "batch", "block", "lane")]
        return rows + [db.execute("SELECT * FROM meta WHERE name <> 'ks.data-key'").fetchall(), db.execute(moved).fetchall()]


def create_tables(program, file, **env):
    return subprocess.run([program, "create-tables-no-startup"], capture_output=True, text=True, check=False, env={
        **os.environ, "DB_DRIVER_CLASS": "org.sqlite.JDBC", "DB_URL": f"jdbc:sqlite:file:{file}", **env})


def killed_at(program, file, point, step):
    done = create_tables(program, file, TDSA_FAILPOINT_KILL=f"{point}:{step}")
    need(done.returncode == -signal.SIGKILL, f"{point}:{step}: exit {done.returncode}: {done.stderr}")


def main(build):
    program = pathlib.Path(build) / "service/daemon/tdsa-service"
    before = contents(OLD)
    with tempfile.TemporaryDirectory() as folder:
        for step in range(1, LAST):
            for point, reached in (("migrate.before_commit", step), ("migrate.after_commit", step + 1)):
                file = pathlib.Path(folder) / f"{point}{step}.db"
                shutil.copy(OLD, file)
                killed_at(program, file, point, step)
                need(version(file) == reached, f"{point}:{step}: version {version(file)} instead of {reached}")
                done = create_tables(program, file)
                need(done.returncode == 0, f"{point}:{step}: it does not go on: {done.stderr}")
                need(version(file) == LAST, f"{point}:{step}: version {version(file)} at the end")
                need(contents(file) == before, f"{point}:{step}: rows changed")
                print(f"ok      killed at {point}, migration {step + 1}", flush=True)
        for step in range(1, LAST + 1):
            file = pathlib.Path(folder) / f"new{step}.db"
            killed_at(program, file, "migrate.before_commit", step)
            need(create_tables(program, file).returncode == 0, f"new database, {step}: it does not go on")
            need(version(file) == LAST, f"new database, {step}: version {version(file)}")
            print(f"ok      a new database killed at migration {step}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
