#!/usr/bin/env python3
"""A database server of one's own: PostgreSQL or MariaDB in a temporary folder, gone when it is not needed.

usage: db_server.py start KIND FILE [OPTION]...    starts one, writes where it is to FILE
       db_server.py stop FILE                      stops it and removes all it made
       db_server.py down|up FILE                   stops the server only; starts it again, with its data
       db_server.py run KIND [OPTION]... -- COMMAND...    starts one, runs COMMAND, stops it

KIND is postgres or mariadb. Options: --fsync (data survive a power cut; off because that is slow), --tls (a
certificate for `localhost`, its CA), --set NAME=VALUE (a setting of the server), --own (not even when
FILE's server runs already).

FILE holds lines NAME=VALUE: kind, folder, socket (PostgreSQL: its folder), port (of 127.0.0.1), user and
password of an administrator, pid (of the server), supervisor, and with --tls ca. `run` hands FILE to COMMAND as
TDSA_TEST_POSTGRES or TDSA_TEST_MARIADB. Without a password the administrator comes in by the socket only.

Nothing is left behind: a supervisor stops the server when whoever called `start` ends (that is: its parent, as
CTest is for a fixture), when the supervisor itself is told to, or after an hour; and the kernel stops the server
when the supervisor is killed. Root runs servers as the user of their package, because PostgreSQL refuses root.
"""
import argparse
import ctypes
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

START_S = 60
STOP_S = 10
LIFE_S = 3600
PR_SET_PDEATHSIG = 1
ADMIN_PASSWORD = "admin of a test"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One server; its folder is made by the caller and readable by the server's user."""

    package_user = None  # whom root becomes
    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL  # when the supervisor is gone

    def __init__(self, folder, options):
        self.folder, self.options = pathlib.Path(folder), options
        self.port, self.process = free_port(), None
        self.facts = {"kind": options.kind, "folder": folder, "port": self.port, "supervisor": os.getpid()}

    def account(self):
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam(self.package_user)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def give(self, path):
        if os.geteuid() == 0:
            user = pwd.getpwnam(self.package_user)
            os.chown(path, user.pw_uid, user.pw_gid)

    def tool(self, *command, **more):
        """Runs a program to its end as the server's user."""
        done = subprocess.run([str(c) for c in command], cwd=self.folder, capture_output=True, text=True, check=False,
                              **self.account(), **more)
        if done.returncode != 0:
            raise SystemExit(f"{command[0]}: {done.stderr}{done.stdout}")
        return done.stdout

    def start(self):
        def tie():
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, self.death_signal)
        log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen([str(c) for c in self.command()], cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log, preexec_fn=tie, start_new_session=True,
                                        **self.account())
        log.close()
        until = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise SystemExit(f"{self.options.kind} does not start: {self.log()}")
            time.sleep(0.02)
        self.facts["pid"] = self.process.pid

    def log(self):
        return (self.folder / "server.log").read_text(errors="replace")[-2000:]

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def tls(self):
        """ca.pem, server.pem and server.key in the folder."""
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-days", "2"]
        self.tool(*new, "-subj", "/CN=CA of a test", "-keyout", "ca.key", "-out", "ca.pem")
        self.tool(*new, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext",
                  "basicConstraints=critical,CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "server.key",
                  "-out", "server.pem")
        (self.folder / "server.key").chmod(0o600)
        self.facts["ca"] = self.folder / "ca.pem"


class Postgres(Server):
    package_user = "postgres"
    stop_signal = signal.SIGINT   # clients are cut off
    death_signal = signal.SIGQUIT  # at once, and children go too

    def programs(self):
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
        on_path = shutil.which("initdb")
        if not found and not on_path:
            raise SystemExit("PostgreSQL is not installed: package postgresql")
        return found[-1].parent if found else pathlib.Path(on_path).parent

    def make(self):
        password = self.folder / "password"
        password.write_text(ADMIN_PASSWORD + "\n")
        self.give(password)
        self.tool(self.programs() / "initdb", "--no-sync", "--no-instructions", "-U", "admin", "-E", "UTF8",
                  "--locale=C", f"--pwfile={password}", "--auth-local=trust", "--auth-host=scram-sha-256",
                  "-D", self.folder / "data")
        if self.options.tls:
            self.tls()
        self.facts.update(socket=self.folder, user="admin", password=ADMIN_PASSWORD)

    def command(self):
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder,
                    "shared_buffers": "16MB", "max_connections": 40, "log_line_prefix": "%m [%p] ",
                    "autovacuum_naptime": "5min", "max_wal_senders": 4}
        if not self.options.fsync:
            settings.update(fsync="off", full_page_writes="off")
        if self.options.tls:
            settings.update(ssl="on", ssl_cert_file=self.folder / "server.pem", ssl_key_file=self.folder / "server.key")
        settings.update(s.split("=", 1) for s in self.options.set)
        return [self.programs() / "postgres", "-D", self.folder / "data",
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))]

    def answers(self):
        return subprocess.run([self.programs() / "pg_isready", "-q", "-h", str(self.folder), "-p", str(self.port)],
                              check=False).returncode == 0


class Mariadb(Server):
    package_user = "mysql"

    def program(self):
        found = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if not found:
            raise SystemExit("MariaDB is not installed: package mariadb-server")
        return found

    def common(self):
        """What making the tables and serving them have in common."""
        slow = [] if self.options.fsync else ["--innodb-flush-method=nosync", "--debug-no-sync"]
        return [self.program(), "--no-defaults", f"--datadir={self.folder / 'data'}", "--innodb-log-file-size=8M",
                "--innodb-buffer-pool-size=16M", *slow]

    def make(self):
        """What mariadb-install-db does, without the help texts, which take longer than the rest."""
        scripts = pathlib.Path("/usr/share/mysql")
        text = "".join((scripts / f"mysql_system_tables{part}.sql").read_text() for part in ("", "_data"))
        (self.folder / "data").mkdir()
        self.give(self.folder / "data")
        self.tool(*self.common(), "--bootstrap", input=f"""CREATE DATABASE mysql;
USE mysql;
SET @auth_root_socket = NULL;
{text}
DELETE FROM global_priv WHERE User = 'root';
INSERT INTO global_priv VALUES ('%', 'admin', json_object('access', 18446744073709551615, 'plugin',
 'mysql_native_password', 'authentication_string', password('{ADMIN_PASSWORD}')));
""")
        if self.options.tls:
            self.tls()
        self.facts.update(socket=self.folder / "mysqld.sock", user="admin", password=ADMIN_PASSWORD)

    def command(self):
        tls = [f"--ssl-cert={self.folder}/server.pem", f"--ssl-key={self.folder}/server.key"] if self.options.tls else []
        return [*self.common(), f"--socket={self.folder}/mysqld.sock", "--bind-address=127.0.0.1",
                f"--port={self.port}", "--skip-name-resolve", "--innodb-fast-shutdown=2", "--performance-schema=OFF",
                *tls, *(f"--{s}" for s in self.options.set)]

    def answers(self):
        """It greets: a packet whose first byte is the protocol's version, 10."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(1)
            try:
                s.connect(str(self.folder / "mysqld.sock"))
                return s.recv(5)[4:] == b"\n"
            except OSError:
                return False


KINDS = {"postgres": Postgres, "mariadb": Mariadb}


def write_file(path, facts):
    """Whole or not at all."""
    part = pathlib.Path(f"{path}.part")
    part.write_text("".join(f"{name}={value}\n" for name, value in facts.items()))
    part.rename(path)


def read_file(path):
    return dict(line.split("=", 1) for line in pathlib.Path(path).read_text().splitlines())


def supervise(options):
    """Keeps a server until it is not needed any more."""
    folder = tempfile.mkdtemp(prefix=f"tdsa-{options.kind}-")
    server = KINDS[options.kind](folder, options)
    server.give(folder)
    wake_in, wake_out = os.pipe()
    os.set_blocking(wake_out, False)
    signal.set_wakeup_fd(wake_out)
    for wanted in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(wanted, lambda *_: None)
    try:
        owner = os.pidfd_open(options.owner)
        server.make()
        first_start(server)
        write_file(options.file, server.facts)
        attend(server, options, owner, wake_in)
    finally:
        server.stop()
        pathlib.Path(options.file).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def first_start(server):
    """Somebody may take the port before the server does."""
    for last in (False, False, True):
        try:
            return server.start()
        except SystemExit:
            if last:
                raise
        server.port = server.facts["port"] = free_port()


def attend(server, options, owner, wake_in):
    until = time.monotonic() + LIFE_S
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([owner, wake_in], [], [], left)
        told = os.read(wake_in, 1)[0] if wake_in in ready else None
        if told == signal.SIGUSR1:
            server.stop()
            server.facts["pid"] = 0
        elif told == signal.SIGUSR2 and server.process is None:
            server.start()
        elif told in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) or owner in ready:
            return
        write_file(options.file, server.facts)


def running(path):
    try:
        os.kill(int(read_file(path)["supervisor"]), 0)
        return True
    except (OSError, ValueError, KeyError):
        return False


def wait_for(what, text):
    until = time.monotonic() + START_S + STOP_S
    while not what():
        if time.monotonic() > until:
            raise SystemExit(text)
        time.sleep(0.02)


def start(options, arguments, owner):
    if running(options.file) and not options.own:
        return
    pathlib.Path(options.file).unlink(missing_ok=True)
    pathlib.Path(options.file).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen([sys.executable, __file__, "supervise", *arguments, "--owner", str(owner)],
                                 stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        wait_for(lambda: os.path.exists(options.file) or child.poll() is not None, "the server does not start")
        if child.returncode is not None:
            said.seek(0)
            raise SystemExit(said.read().decode(errors="replace"))


def tell(path, number, done, text):
    try:
        os.kill(int(read_file(path)["supervisor"]), number)
    except (OSError, KeyError):
        return
    wait_for(done, text)


def stop(path):
    tell(path, signal.SIGTERM, lambda: not os.path.exists(path), f"{path}: the server does not stop")


def run(options, command):
    with tempfile.TemporaryDirectory() as folder:
        options.file = os.path.join(folder, "server")
        arguments = [options.kind, options.file, *(["--fsync"] if options.fsync else []),
                     *(["--tls"] if options.tls else []), *(part for s in options.set for part in ("--set", s))]
        try:
            start(options, arguments, os.getpid())
            return subprocess.run(command, check=False, env={
                **os.environ, f"TDSA_TEST_{options.kind.upper()}": options.file}).returncode
        finally:
            stop(options.file)


def parser(names):
    out = argparse.ArgumentParser()
    for name in names:
        out.add_argument(name, choices=list(KINDS) if name == "kind" else None)
    for flag in ("--fsync", "--tls", "--own"):
        out.add_argument(flag, action="store_true")
    out.add_argument("--set", action="append", default=[])
    out.add_argument("--owner", type=int, default=0)
    return out


def main(argv):
    act, rest = (argv[1] if len(argv) > 1 else ""), argv[2:]
    if act == "start":
        start(parser(["kind", "file"]).parse_args(rest), rest, os.getppid())
    elif act == "supervise":
        supervise(parser(["kind", "file"]).parse_args(rest))
    elif act == "stop" and len(rest) == 1:
        stop(rest[0])
    elif act in ("up", "down") and len(rest) == 1:
        tell(rest[0], signal.SIGUSR2 if act == "up" else signal.SIGUSR1,
             lambda: (read_file(rest[0])["pid"] != "0") == (act == "up"), f"{rest[0]}: the server is not {act}")
    elif act == "run" and "--" in rest:
        at = rest.index("--")
        return run(parser(["kind"]).parse_args(rest[:at]), rest[at + 1:])
    else:
        sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
