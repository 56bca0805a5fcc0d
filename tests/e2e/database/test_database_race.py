#!/usr/bin/env python3
"""Two processes take presignatures out of one database as fast as they can: none is leased or burnt twice, and none is
lost. usage: test_database_race.py BUILD      (TDSA_TEST_LONG=1: a million presignatures in each kind of database)"""
import os
import pathlib
import subprocess
import sys
import tempfile

import rig_database as db
from cluster import need, run_facts

BATCH = 1024
BATCHES = 978 if os.environ.get("TDSA_TEST_LONG") else 98
RACERS = 2
ALL = (1 << BATCH) - 1


def race(racer, *place):
    def start(mode):
        return subprocess.Popen([racer, mode, str(BATCHES), *place], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def finish(process):
        said, _ = process.communicate(timeout=3600)
        need(process.returncode == 0, f"ks_racer: exit {process.returncode}: {said}")
        return said.splitlines()

    def fact():
        finish(start("make"))
        won, winners = {}, [0] * RACERS
        running = [start("run") for _ in range(RACERS)]
        for process in running:
            need(process.stdout.readline() == "ready\n", "a racer does not start")
        for process in running:
            process.stdin.close()
            process.stdin = None
        for number, process in enumerate(running):
            lines = finish(process)
            need(len(lines) == BATCHES, f"{len(lines)} batches of {BATCHES}")
            for line in lines:
                what, batch, mask = line.split()
                mine, others = int(mask, 16), won.get((what, batch), 0)
                need(mine & others == 0, f"{what} {batch}: twice: {mine & others:x}")
                won[what, batch] = mine | others
                winners[number] += mine.bit_count()
        need(len(won) == BATCHES and all(mask == ALL for mask in won.values()), "a presignature is lost")
        need(all(winners) or place[0] == "sqlite", f"no race: {winners}")  # SQLite's waiting is not fair
        print(f"        {sum(winners)} presignatures: {winners}")

    fact.__name__ = f"two_processes_race_on_{place[0]}"
    return fact


def main(build):
    racer = pathlib.Path(build) / "tests/e2e/database/ks_racer"
    with tempfile.TemporaryDirectory(prefix="tdsa-race-") as folder:
        servers = db.start_servers(folder)
        try:
            facts = [race(racer, "sqlite", f"{folder}/race.db")]
            for kind, server in servers.items():
                name = server.place("race")
                facts.append(race(racer, kind, "127.0.0.1", server.port(), name, name, db.PASSWORD))
            return run_facts(facts)
        finally:
            for server in servers.values():
                server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
