"""A cluster of real processes in a temporary folder, for end-to-end and kill tests.

Keys, tokens and configurations come from examples/lib/cluster.sh; the daemons are children of the
test, so that it sees how they end.
"""
import contextlib
import fcntl
import functools
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import tool_list

ROOT = pathlib.Path(__file__).resolve().parents[2]
PORTS_FIRST, PORTS_BLOCK, PORTS_BLOCKS = 22000, 3 * 9, 148  # nine participants of three ports each


class Problem(Exception):
    """A test found something wrong."""


def need(condition, text):
    if not condition:
        raise Problem(text)


def wait_for(condition, seconds, what):
    """Polls until condition() is true; the limit is for a machine that hangs, not a measurement."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Problem(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def free_port():
    """A port on which nobody listens; below the range that outgoing connections use."""
    for port in random.SystemRandom().sample(range(26000, 32000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Problem("no free port")


class Ports:
    """A block of ports that no other test of this machine uses at the same time; the blocks end below the range
    of free_port."""

    def __init__(self):
        folder = pathlib.Path(tempfile.gettempdir(), "tdsa-test-ports")
        folder.mkdir(exist_ok=True)
        for block in range(PORTS_BLOCKS):
            self.lock = open(folder / str(block), "w", encoding="ascii")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.first = PORTS_FIRST + block * PORTS_BLOCK
                return
            except BlockingIOError:
                self.lock.close()
        raise Problem("no free block of ports")


class Cluster:
    """n participants of which t may be corrupt; kind "client": the module is 0, daemons are the others;
    "servers": all are daemons."""

    def __init__(self, build, kind="client", n=3, t=1):
        self.build = pathlib.Path(build).resolve()
        self.kind = kind
        self.ports_lock = Ports()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tdsa-cluster-"))
        self.dir = self.home / "c"
        self.keep = False
        self.size, self.threshold = n, t
        self.servers = list(range(1 if kind == "client" else 0, n))
        self.process = {}
        self.copy_template()
        self.ports = [line.split() for line in (self.dir / "ports").read_text().splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close(failed=kind is not None)

    def shell(self, script):
        """Runs a line of bash with the functions of examples/lib."""
        env = dict(os.environ, TDSA_BUILD=str(self.build), ROOT=str(ROOT), CLUSTER_SIZE=str(self.size),
                   CLUSTER_THRESHOLD=str(self.threshold))
        text = ('set -euo pipefail; . "$ROOT/examples/lib/common.sh"; . "$ROOT/examples/lib/cluster.sh"; '
                + script)
        done = subprocess.run(["bash", "-c", text], env=env, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False, timeout=120)
        need(done.returncode == 0, f"{script}: {done.stdout}{done.stderr}")
        return done.stdout

    def copy_template(self):
        """Keys, tokens and configurations as cluster_make makes them, made once for a build and copied with
        another folder and other ports: half of the time of many tests went into making them."""
        makers = [ROOT / "examples/lib/cluster.sh", ROOT / "softhsm-conf/setup-token.sh"]
        mark = hashlib.sha256(b"".join(m.read_bytes() for m in makers)).hexdigest()[:12]
        folder = self.build / "tests/cluster-templates"
        template = folder / f"{self.kind}-{self.size}-{self.threshold}-{os.environ.get('TDSA_LOG_LEVEL', 'INFO')}-{mark}"
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not template.exists():
                new = template.with_suffix(".new")
                shutil.rmtree(new, ignore_errors=True)
                self.shell(f'cluster_make "{new}" {self.kind} {self.ports_lock.first}')
                for text in [*new.glob("participant*/config.yml"), *new.glob("participant*/softhsm/softhsm2.conf")]:
                    text.write_text(text.read_text().replace(str(new), str(template)))
                new.rename(template)
        shutil.copytree(template, self.dir)
        old = (template / "ports").read_text().split()
        port = {number: str(self.ports_lock.first + place) for place, number in enumerate(old)}
        known = re.compile(r"\b(" + "|".join(old) + r")\b")
        for text in [self.dir / "ports", *self.dir.glob("participant*/config.yml"),
                     *self.dir.glob("participant*/softhsm/softhsm2.conf")]:
            changed = known.sub(lambda m: port[m.group()], text.read_text().replace(str(template), str(self.dir)))
            text.write_text(changed)

    # ---- daemons

    def log_path(self, index):
        return self.dir / "logs" / f"participant{index}.log"

    def log(self, index):
        path = self.log_path(index)
        return path.read_text(errors="replace") if path.exists() else ""

    def softhsm_env(self, index):
        return {"SOFTHSM2_CONF": str(self.dir / f"participant{index}/softhsm/softhsm2.conf")}

    def start(self, index, env=None, wait=True, command="server"):
        if self.running(index):  # a fact that failed left it: it would keep the ports, also from other tests
            self.stop(index, signal.SIGKILL)
        with open(self.log_path(index), "ab") as log:
            self.process[index] = subprocess.Popen(
                [self.build / "service/daemon/tdsa-service", command,
                 self.dir / f"participant{index}/config.yml"],
                env={**os.environ, **self.softhsm_env(index), **(env or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self.wait_up(index)

    def start_all(self, env=None):
        for index in self.servers:
            self.start(index, env, wait=False)
        for index in self.servers:  # nobody is asked yet: who asks a peer that does not listen waits a second to ask again
            wait_for(lambda: not self.running(index) or self.listens(index), 30, f"participant {index} to listen")
        for index in self.servers:
            self.wait_up(index)
        for index in self.servers:
            self.wait_ready(index)

    def listens(self, index):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(self.ports[index][0]))) == 0

    def running(self, index):
        return index in self.process and self.process[index].poll() is None

    def wait_up(self, index):
        wait_for(lambda: not self.running(index) or self.get(index, "admin", "/healthcheck")[0],
                 30, f"participant {index} to answer")
        need(self.running(index), f"participant {index} ended: {self.log(index)[-2000:]}")

    def wait_ready(self, index):
        wait_for(lambda: not self.running(index) or self.get(index, "admin", "/health/ready")[0] == 200,
                 30, f"participant {index} to be ready; it says {self.get(index, 'admin', '/health/ready')}")

    def stop(self, index, number=signal.SIGTERM):
        """Sends a signal and waits; gives the exit code (negative: the signal that ended it)."""
        self.process[index].send_signal(number)
        try:
            return self.process[index].wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process[index].kill()
            raise Problem(f"participant {index} did not end within 30 s of signal {number}") from None

    @contextlib.contextmanager
    def frozen(self, index):
        """The daemon keeps its connections and answers nothing inside the block. A stop signal takes effect
        thread by thread some time after it was sent: the block starts when every thread has stopped."""
        tasks = pathlib.Path(f"/proc/{self.process[index].pid}/task")

        def stopped():
            return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in tasks.glob("*/stat"))

        self.process[index].send_signal(signal.SIGSTOP)
        try:
            wait_for(stopped, 30, f"participant {index} to freeze")
            yield
        finally:
            self.process[index].send_signal(signal.SIGCONT)

    def close(self, failed=False):
        for index in list(self.process):
            if self.running(index):
                self.process[index].kill()
                self.process[index].wait()
        if failed or self.keep:
            print(f"logs are kept in {self.dir}/logs", file=sys.stderr)
        else:
            shutil.rmtree(self.home, ignore_errors=True)

    # ---- HTTP

    def url(self, index, port, path=""):
        number = self.ports[index][{"protocol": 0, "api": 1, "admin": 2}[port]]
        return f"http://127.0.0.1:{number}{path}"

    def get(self, index, port, path):
        return self.call("GET", index, port, path)

    def call(self, method, index, port, path, body=None, seconds=30):
        """(status, parsed or raw answer); (0, reason) when nothing answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url(index, port, path), data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                status, raw = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, raw = error.code, error.read()
        except (urllib.error.URLError, OSError) as error:
            return 0, str(error)
        try:
            return status, json.loads(raw)
        except ValueError:
            return status, raw.decode(errors="replace")

    # ---- the module

    @property
    def module(self):
        return str(self.build / "pkcs11-provider/libtdsa-pkcs11.so")

    @property
    def pin(self):
        return (self.dir / "participant0/pin").read_text().strip()

    @property
    def config(self):
        return self.dir / "participant0/config.yml"

    def module_env(self, **more):
        return {**os.environ, **self.softhsm_env(0), **self.sanitizer_env, "TDSA_PKCS11_CONFIG": str(self.config),
                "TDSA_PKCS11_LOG": "info", "TDSA_PKCS11_LOG_FILE": str(self.dir / "logs" / "module.log"), **more}

    @functools.cached_property
    def sanitizer_env(self):
        """Tools that are built without a sanitizer load a module that has one only beside its runtime. What a
        tool itself leaks at its exit is not ours."""
        needs = subprocess.run(["ldd", self.module], text=True, capture_output=True, check=True).stdout
        runtimes = re.findall(r"=> (\S*/lib[at]san\.so\S*)", needs)
        if not runtimes:
            return {}
        return {"LD_PRELOAD": " ".join(runtimes),
                "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0",
                "TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "") + ":ignore_noninstrumented_modules=1"}

    def run(self, *command, seconds=60, env=None):
        """Runs an application with the module in its environment; never raises for its exit code."""
        return subprocess.run([str(c) for c in command], env=env or self.module_env(), text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False,
                              errors="replace", cwd=self.home)

    def tool(self, *arguments, login=True, pin=None, seconds=60, env=None):
        login_arguments = ["--login", "--pin", pin or self.pin] if login else []
        return self.run("pkcs11-tool", "--module", self.module, "--token-label", "TDSA", *login_arguments,
                        *arguments, seconds=seconds, env=env)

    def tool_ok(self, *arguments, **options):
        done = self.tool(*arguments, **options)
        need(done.returncode == 0, f"pkcs11-tool {arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def public_key(self, key_id):
        """A file with the public key of an EC key of the token, in DER, read without login."""
        path = self.home / f"{key_id}.der"
        path.write_bytes(tool_list.public_key(self.tool_ok("-O", "--type", "pubkey", login=False), key_id))
        return path


class Caller:
    """tests/support/p11_caller: an application that is told line by line what to do."""

    def __init__(self, cluster, env=None):
        self.output = open(cluster.dir / "logs" / "caller.log", "ab")
        self.process = subprocess.Popen(
            [cluster.build / "tests/support/p11_caller", cluster.module, "TDSA", cluster.pin],
            env=cluster.module_env(**(env or {})), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.output, text=True, bufsize=1)
        self.ready = self.process.stdout.readline().strip() == "ok ready"

    def ask(self, line, answers=1):
        """The answer lines; fewer when the process died."""
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return []
        found = []
        for _ in range(answers):
            text = self.process.stdout.readline()
            if not text:
                break
            found.append(text.strip())
        return found

    def close(self):
        """Exit code; a process that was killed gives the negative signal."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        self.output.close()
        return code


def run_facts(facts):
    """Runs functions whose names are facts; prints one line each; exit code for sys.exit."""
    failed = 0
    for fact in facts:
        started = time.monotonic()
        try:
            fact()
            print(f"ok      {fact.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
        except (Problem, subprocess.TimeoutExpired, OSError) as problem:
            failed += 1
            print(f"FAILED  {fact.__name__}: {problem}", flush=True)
    return 1 if failed else 0
