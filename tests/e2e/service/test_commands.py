#!/usr/bin/env python3
"""The command line of tdsa-service: commands, configuration sources, exit codes. usage: test_commands.py BUILD"""
import base64
import http.client
import os
import signal
import socket
import subprocess
import sys

import rig
from cluster import Cluster, need, run_facts, wait_for

SECRET = "canary-of-the-encryption-key-0123456789abcdef"
MONITOR = """health:
  monitors:
    - name: max_aborted_presiggen
      metric: com.sepior.tdsa.ABORTED.PRESIG
      statistic: m5_rate
      max: 5.0
"""


def main(build):
    with Cluster(build, "servers") as cluster:
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, SECRET)
        return run_facts(facts_of(cluster))


def facts_of(cluster):
    program = cluster.build / "service/daemon/tdsa-service"
    good = cluster.dir / "participant0/config.yml"
    text = good.read_text()
    work = cluster.home / "work"
    work.mkdir()

    def start(*arguments, **env):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TDSA_", "DB_", "PARTICIPANT_", "DATABASE_"))}
        return subprocess.Popen([program, *arguments], env={**clean, **env}, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(*arguments, **env):
        process = start(*arguments, **env)
        try:
            out, err = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return process.returncode, out + err

    def ends(code, part, *arguments, **env):
        got, out = run(*arguments, **env)
        need(got == code, f"{arguments}: exit {got} instead of {code}: {out}")
        need(part in out, f"{arguments}: no \"{part}\" in: {out}")
        need(SECRET not in out, "the output holds the encryption key")
        return out

    def config(name, old=None, new=None, more=""):
        need(old is None or old in text, f"{old} is not in the configuration")
        path = work / f"{name}.yml"
        path.write_text((text if old is None else text.replace(old, new, 1)) + more)
        return path

    def runs_until_sigterm(*arguments, ask=None, number=signal.SIGTERM, **env):
        """Starts, reads the ports file, calls ask(ports), stops; gives the log."""
        ports = work / "ports"
        ports.unlink(missing_ok=True)
        process = start(*arguments, TDSA_PORTS_FILE=str(ports), **env)
        try:
            wait_for(lambda: ports.exists() or process.poll() is not None, 30, "the ports file")
            if ports.exists():
                lines = dict(line.split("=") for line in ports.read_text().split())
                if ask is not None:
                    ask(lines)
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        need(process.returncode == 0, f"exit {process.returncode}: {out}{err}")
        need("ready: participant 0 of 3" in out, f"no ready line: {out}")
        need(f"protocol={lines['protocol']} api={lines['api']}" in out, f"ports {lines}: {out}")
        return out, lines

    def help_and_version_end_well():
        ends(0, "usage: tdsa-service", "--help")
        ends(0, "tdsa-service 0.", "--version")

    def a_wrong_command_line_ends_with_2():
        ends(2, "unknown option --loud", "--loud")
        ends(2, "check needs the file", "check")
        ends(2, "-D needs name=value", "-Dx")
        ends(2, "unexpected argument", "server", "a", "b")

    def check_says_whether_a_file_is_right():
        ends(0, "the configuration is right", "check", str(good))
        out = ends(2, "Did you mean", "check", str(config("typo", "sessionTimeout", "sessionTimeoutt")))
        need("sessionTimeout" in out and "typo.yml has an error" in out, out)
        ends(2, "absent.yml", "check", str(work / "absent.yml"))
        ends(0, "right", "check", str(config("monitor", more=MONITOR)))
        ends(2, "m1_rate", "check", str(config("wrong", more=MONITOR.replace("m5_rate", "count").replace(
            "com.sepior.tdsa.ABORTED.PRESIG", "com.sepior.tdsa.PRESIG.BURNED").replace("count", "m1_rate"))))
        ends(0, "there is no metric", "check", str(config("missing", more=MONITOR.replace("PRESIG", "PRESIGG"))))

    def what_is_not_built_is_refused_at_start():
        first = "    - {type: http, bindHost: 127.0.0.1, port: %s}\n" % cluster.ports[0][0]
        second = "    - {type: http, bindHost: 127.0.0.1, port: %s}\n" % cluster.ports[0][1]
        https = first.replace("http,", "https, keyStorePath: a, keyStorePassword: b,")
        ends(2, "server.applicationConnectors[0].type: \"https\" is not supported by this version", "server",
             str(config("https", first, https)))
        ends(2, "server.applicationConnectors must have two entries", "server", str(config("one", second, "")))
        ends(2, "it has 3", "server", str(config("three", second, second + second)))
        ends(2, "logging.appenders[0].type", "server",
             str(config("file", "logging:\n", "logging:\n  appenders: [{type: file, currentLogFilename: x}]\n")))
        ends(2, "the URL belongs to another driver", "server", str(config("pg", "driverClass: org.sqlite.JDBC",
                                                                          "driverClass: org.postgresql.Driver")))

    def without_a_configuration_it_says_where_it_looked():
        if os.path.exists("/config/config.yml") or os.path.exists("/config/config.yaml"):
            return
        ends(2, "/config/config.yaml", "server")
        ends(2, "/config/config.yml", TDSA_CONFIG="")

    def a_port_that_is_taken_ends_with_1():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            ends(1, str(port), "server",
                 str(config("taken", f"port: {cluster.ports[0][1]}}}", f"port: {port}}}")))

    def ports_may_be_left_to_the_system():
        free = text
        for number in cluster.ports[0]:
            free = free.replace(f"port: {number}}}", "port: 0}")
        path = work / "free.yml"
        path.write_text(free)
        _, lines = runs_until_sigterm("server", str(path))
        need(all(int(lines[name]) > 0 for name in ("protocol", "api", "admin")), str(lines))
        _, lines = runs_until_sigterm(str(path))  # "server" may be left out
        encoded = base64.urlsafe_b64encode(free.encode()).decode().rstrip("=")
        runs_until_sigterm(TDSA_CONFIG=encoded)
        runs_until_sigterm("server", TDSA_CONFIG=base64.encodebytes(free.encode()).decode())
        runs_until_sigterm("server", str(path), "-Ddw.logging.level=INFO")
        lacking = work / "lacking.yml"
        lacking.write_text(free.replace("  adminConnectors:\n    - {type: http, bindHost: 127.0.0.1, port: 0}\n", ""))
        out, lines = runs_until_sigterm("server", str(lacking))
        need(lines["admin"] == "0" and "no admin port" in out, f"{lines}: {out}")

    def status(port, method, path, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body, answer.headers

    def paths_have_the_configured_prefixes_and_requests_are_logged():
        free = text
        for number in cluster.ports[0]:
            free = free.replace(f"port: {number}}}", "port: 0}")
        path = work / "prefix.yml"
        path.write_text(free.replace("  requestLog:\n    appenders: []\n",
                                     "  requestLog:\n    appenders: [{type: console}]\n"
                                     "  applicationContextPath: /tdsa\n  rootPath: '/api/*'\n"
                                     "  adminContextPath: /admin\n  allowedMethods: [GET, POST]\n"))

        def ask(ports):
            need(status(ports["api"], "GET", "/tdsa/api/v1/info")[0] == 200, "API below its prefix")
            need(status(ports["api"], "GET", "/v1/info")[0] == 404, "API without its prefix")
            need(b"/tdsa/api/v1/keys" in status(ports["api"], "GET", "/tdsa/api/openapi.json")[1], "documented prefix")
            need(status(ports["api"], "DELETE", "/tdsa/api/v1/keys/k")[0] == 405, "method that is not allowed")
            need(status(ports["admin"], "GET", "/admin/ping")[0] == 200, "admin below its prefix")
            need(status(ports["admin"], "HEAD", "/admin/metrics")[:2] == (200, b""), "HEAD")
            for prefix in ("", "/tdsa/api"):
                need(status(ports["protocol"], "POST", prefix + "/protocol/round")[0] == 400, "protocol " + prefix)
            answer = status(ports["api"], "GET", "/tdsa/api/v1/keys/none", {"X-Request-Id": "my-request-7"})
            need(answer[0] == 404 and answer[2]["X-Request-Id"] == "my-request-7", "request id")

        out, _ = runs_until_sigterm("server", str(path), ask=ask, number=signal.SIGINT)
        need('com.sepior.tdsaservice.request: 127.0.0.1 "GET /tdsa/api/v1/info" 200' in out, out)
        need("404 NOT_FOUND: " in out and "(request my-request-7)" in out, out)

    def a_broken_tdsa_config_is_no_reason_to_read_the_file():
        ends(2, "TDSA_CONFIG", "server", str(good), TDSA_CONFIG="!!!")

    def another_encryption_key_ends_with_1():
        runs_until_sigterm("server", str(good))
        out = ends(1, "WRAPPING", "server", str(config("key", SECRET, SECRET[::-1])))
        need(SECRET[::-1] not in out, "the output holds the wrong key")
        ends(1, "WRAPPING", "server", str(config("nokey", f"    encryptionKey: {SECRET}\n", "")))

    def a_start_that_hangs_ends_with_sigterm():
        fifo = work / "pin"
        os.mkfifo(fifo) # nobody writes: as a token that does not answer
        process = start("-Ddw.tdsaLibrary.storageConfiguration.encryptor=pkcs11",
                        f"-Ddw.tdsaLibrary.storageConfiguration.encryptorArguments=pkcs11:token=t;object=o?pin-source={fifo}",
                        f"-Ddw.database.url=jdbc:sqlite:file:{work}/hangs.db", "server", str(good))
        try:
            wait_for(lambda: (work / "hangs.db").exists(), 10, "the start")
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
        need(process.returncode == 0, f"exit {process.returncode}: {out}{err}")

    def create_tables_reads_its_four_variables():
        file = work / "made.db"
        env = {"DB_DRIVER_CLASS": "org.sqlite.JDBC", "DB_URL": f"jdbc:sqlite:file:{file}", "DB_USERNAME": "u",
               "DB_PASSWORD": "p"}
        ends(2, "DB_DRIVER_CLASS", "create-tables-no-startup")
        ends(2, "DB_URL", "create-tables-no-startup", DB_DRIVER_CLASS="org.sqlite.JDBC")
        for _ in range(2):
            ends(0, "the tables are there", "create-tables-no-startup", **env)
        need(file.exists(), "no file")
        ends(1, "folder does not exist", "create-tables-no-startup",
             **{**env, "DB_URL": f"jdbc:sqlite:file:{work}/none/x.db"})
        ends(2, "DB_PASSWORD", "create-tables-no-startup", DB_DRIVER_CLASS="org.postgresql.Driver",
             DB_URL="jdbc:postgresql://postgres.example.com:5432/mydb", DB_USERNAME="u")
        path = config("tables", f"url: jdbc:sqlite:file:{cluster.dir}/participant0/tdsa.db",
                      f"url: jdbc:sqlite:file:{file}")
        path.write_text(path.read_text().replace("    encryptionKey:", "    skipCreateTables: true\n    encryptionKey:"))
        runs_until_sigterm("server", str(path))
        runs_until_sigterm("create-tables", str(path), **env)
        empty = config("empty", f"url: jdbc:sqlite:file:{cluster.dir}/participant0/tdsa.db",
                       f"url: jdbc:sqlite:file:{work}/never.db")
        empty.write_text(empty.read_text().replace("    encryptionKey:", "    skipCreateTables: true\n    encryptionKey:"))
        ends(1, "STORE", "server", str(empty))

    return [help_and_version_end_well, a_wrong_command_line_ends_with_2, check_says_whether_a_file_is_right,
            what_is_not_built_is_refused_at_start, without_a_configuration_it_says_where_it_looked,
            a_port_that_is_taken_ends_with_1, ports_may_be_left_to_the_system,
            paths_have_the_configured_prefixes_and_requests_are_logged, a_broken_tdsa_config_is_no_reason_to_read_the_file, another_encryption_key_ends_with_1,
            a_start_that_hangs_ends_with_sigterm, create_tables_reads_its_four_variables]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
