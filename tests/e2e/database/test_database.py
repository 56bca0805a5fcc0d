#!/usr/bin/env python3
"""Participants on PostgreSQL and MariaDB, as real processes. usage: test_database.py BUILD"""
import os
import pathlib
import subprocess
import sys
import tempfile

import rig_database as db
from rig import DIGEST, MESSAGE, change, expect, make_key, sign
from cluster import PORTS_BLOCK, Cluster, need, run_facts

SEEN = set()  # r of every signature


def signs(cluster, index, key, pem):
    """A signature that verifies, and whose r is new."""
    signature = expect(sign(cluster, index, key), 200)["signature"]
    need(db.verifies(pem, MESSAGE, signature), f"{signature} does not verify")
    need(signature[:72] not in SEEN, "r comes twice")
    SEEN.add(signature[:72])


def on(cluster, servers, kinds):
    """What three participants do whose rows are on these servers."""
    name = "_".join(kind[0] for kind in kinds)

    def fact():
        for index, kind in enumerate(kinds):
            db.use(cluster, index, servers[kind], servers[kind].place(f"s_{name}_{index}"))
        cluster.start_all()
        pem = make_key(cluster, 0, "k")
        for index in cluster.servers:
            signs(cluster, index, "k", pem)
        db.stop_all(cluster)
        cluster.start_all()
        signs(cluster, 1, "k", pem)
        two_daemons_of_one_participant_serve(cluster, pem)
        db.stop_all(cluster)

    fact.__name__ = f"three_participants_on_{'_'.join(kinds)}"
    return fact


def two_daemons_of_one_participant_serve(cluster, pem):
    """The second one has ports of its own and the same database."""
    spare = cluster.ports_lock.first + PORTS_BLOCK - 3
    path = cluster.dir / "participant0/config.yml"
    text = path.read_text()
    for at, port in enumerate(cluster.ports[0]):
        text = text.replace(f"127.0.0.1, port: {port}}}", f"127.0.0.1, port: {spare + at}}}")
    second = cluster.dir / "second.yml"
    second.write_text(text)
    with open(cluster.dir / "logs/second.log", "ab") as log:
        process = subprocess.Popen([cluster.build / "service/daemon/tdsa-service", "server", second],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    first = cluster.ports[0]
    cluster.process["second"] = process
    try:
        cluster.ports[0] = [str(spare + at) for at in range(3)]
        cluster.wait_ready(0)
        for ports in (cluster.ports[0], first) * 3:
            cluster.ports[0] = ports
            signs(cluster, 0, "k", pem)
        need(process.poll() is None, "the second daemon ended")
    finally:
        cluster.ports[0] = first
        process.kill()
        process.wait()
        del cluster.process["second"]


def the_module_keeps_its_rows_on_a_server(build, servers):
    """The client is the module, with its keystore on PostgreSQL; a daemon is on MariaDB, one on PostgreSQL."""
    def fact():
        with Cluster(build, "client") as cluster:
            for index, kind in enumerate(("postgres", "mariadb", "postgres")):
                db.use(cluster, index, servers[kind], servers[kind].place(f"m_{index}"))
            cluster.start_all()
            cluster.tool_ok("--keypairgen", "--key-type", "EC:prime256v1", "--label", "web", "--id", "01")
            message = cluster.home / "message"
            message.write_bytes(bytes.fromhex(DIGEST))
            for attempt in range(2):
                cluster.tool_ok("--sign", "--mechanism", "ECDSA", "--id", "01", "--signature-format", "openssl",
                                "--input-file", message, "--output-file", cluster.home / f"signature{attempt}")
                done = cluster.run("openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey",
                                   cluster.public_key("01"), "-in", message, "-sigfile",
                                   cluster.home / f"signature{attempt}", env=os.environ)
                need("Verified Successfully" in done.stdout, f"openssl: {done.stdout}{done.stderr}")
                for index in cluster.servers if attempt == 0 else ():
                    need(cluster.stop(index) == 0, "no peace")
                    cluster.start(index)
            servers["postgres"].sql("ALTER ROLE m_0 NOLOGIN")
            done = cluster.tool("--list-objects", login=False)
            need(done.returncode != 0 and "m_0" in (cluster.dir / "logs/module.log").read_text(),
                 f"a module without its database: {done.stdout}{done.stderr}")

    fact.__name__ = "the_module_keeps_its_rows_on_a_server"
    return fact


def service(build, *arguments, seconds=60, **env):
    done = subprocess.run([pathlib.Path(build) / "service/daemon/tdsa-service", *map(str, arguments)], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=seconds,
                          env={"PATH": os.environ["PATH"], **env})
    return done.returncode, done.stdout + done.stderr


def ends(code, says, got):
    need(got[0] == code, f"exit {got[0]} instead of {code}: {got[1]}")
    for part in says:
        need(part in got[1], f"{part!r} is not in {got[1]}")
    need(db.PASSWORD not in got[1] and db.QUOTED not in got[1], f"the password is in {got[1]}")


def tables_of_an_owner(cluster, servers, kind):
    """R016: the owner makes the tables, the service works with rights on rows alone."""
    server, build = servers[kind], cluster.build

    def fact():
        server.place("owner")
        server.user("worker")
        if kind == "postgres":
            server.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT CONNECT ON DATABASE owner TO worker; "
                       "SET ROLE owner; GRANT USAGE ON SCHEMA public TO worker; ALTER DEFAULT PRIVILEGES IN SCHEMA "
                       "public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO worker", "owner")
        else:
            server.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON owner.* TO worker")
        env = {"DB_DRIVER_CLASS": db.CLASS[kind], "DB_URL": server.url("owner"), "DB_USERNAME": "owner",
               "DB_PASSWORD": db.PASSWORD}
        for index in cluster.servers:
            db.use(cluster, index, server, server.place(f"o_{index}"))
        db.use(cluster, 0, server, "owner", user="worker")
        change(cluster, 0, "  storageConfiguration:", "  storageConfiguration:\n    skipCreateTables: true")
        ends(1, ["create-tables"], service(build, "server", cluster.dir / "participant0/config.yml"))
        ends(1, ["worker" if kind == "mariadb" else "permission denied"],
             service(build, "create-tables-no-startup", **{**env, "DB_USERNAME": "worker"}))
        for _ in range(2):
            ends(0, ["the tables are there: owner"], service(build, "create-tables-no-startup", **env))
        native = f"{db.SCHEME[kind]}://owner:{db.QUOTED}@127.0.0.1:{server.port()}/owner"
        ends(0, ["the tables are there: owner"], service(build, "create-tables-no-startup", DB_URL=native))
        cluster.start_all()
        signs(cluster, 0, "k", make_key(cluster, 0, "k"))
        db.stop_all(cluster)
        change(cluster, 0, "\n    skipCreateTables: true", "")

    fact.__name__ = f"tables_of_an_owner_serve_a_worker_on_{kind}"
    return fact


def the_documented_form_makes_tables_and_runs(cluster, servers):
    """R017: create-tables with the four variables, then it runs."""
    def fact():
        server = servers["postgres"]
        db.use(cluster, 0, server, server.place("mydb"))
        change(cluster, 0, "  storageConfiguration:", "  storageConfiguration:\n    skipCreateTables: true")
        cluster.start(0, command="create-tables", env={
            "DB_DRIVER_CLASS": "org.postgresql.Driver", "DB_URL": server.url("mydb"), "DB_USERNAME": "mydb",
            "DB_PASSWORD": db.PASSWORD})
        environ = pathlib.Path(f"/proc/{cluster.process[0].pid}/environ").read_bytes()
        need(db.PASSWORD.encode() not in environ, "the owner's password is still in the environment")
        need(cluster.stop(0) == 0, "no peace")
        change(cluster, 0, "\n    skipCreateTables: true", "")

    fact.__name__ = "the_documented_form_makes_tables_and_runs"
    return fact


def what_is_wrong_is_said(cluster, server):
    """Message and exit code of each mistake; nothing of the password."""
    config = cluster.dir / "participant0/config.yml"
    ca = f"&sslrootcert={server.facts()['ca']}"

    def refuses(code, *says, replace=None, **url):
        db.use(cluster, 0, server, "errors", **url)
        if replace is not None:
            change(cluster, 0, *replace)
        ends(code, says, service(cluster.build, "server", config))

    def fact():
        server.place("errors")
        server.user("stranger")
        known = "known: org.sqlite.JDBC, org.h2.Driver, org.postgresql.Driver, org.mariadb.jdbc.Driver"
        refuses(2, "unknown driver class", known, replace=(db.CLASS[server.kind], "oracle.jdbc.Driver"))
        refuses(2, "another driver", replace=(db.CLASS[server.kind], "org.sqlite.JDBC"))
        refuses(2, "database.url: host 1: the port", port="x")
        refuses(1, "errors at 127.0.0.1", "password", password="wrong")
        refuses(1, "errors at 127.0.0.1:1", port=1)
        refuses(1, "errors at 127.0.0.1", "GRANT" if server.kind == "postgres" else "stranger", user="stranger")
        refuses(1, "errors at 127.0.0.1", "certificate", query="?sslmode=verify-full" + ca)
        refuses(1, "errors at localhost", "certificate", host="localhost", query="?sslmode=verify-full")
        db.use(cluster, 0, server, "errors", host="localhost", query="?sslmode=verify-full" + ca)
        cluster.start(0)
        need(cluster.stop(0) == 0, "no peace over TLS")

    fact.__name__ = f"what_is_wrong_with_{server.kind}_is_said"
    return fact


def main(build):
    with tempfile.TemporaryDirectory(prefix="tdsa-database-") as folder:
        servers = db.start_servers(folder, "--tls")
        try:
            with Cluster(build, "servers") as cluster:
                db.light(cluster)
                return run_facts([
                    on(cluster, servers, ("postgres",) * 3),
                    on(cluster, servers, ("mariadb",) * 3),
                    *(tables_of_an_owner(cluster, servers, kind) for kind in servers),
                    the_documented_form_makes_tables_and_runs(cluster, servers),
                    *(what_is_wrong_is_said(cluster, server) for server in servers.values()),
                    the_module_keeps_its_rows_on_a_server(build, servers),
                ])
        finally:
            for server in servers.values():
                server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
