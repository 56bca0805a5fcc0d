#!/usr/bin/env python3
"""nginx with four workers, its key through the OpenSSL engine over the module: each worker is a fork that logs in by
itself. usage: test_nginx.py BUILD"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Engine, listens, run_test, serving  # noqa: E402
from cluster import Problem, free_port, need, run_facts, wait_for  # noqa: E402

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
WORKERS = 4
CONF = """daemon off;
worker_processes {workers};
pid {home}/nginx.pid;
env TDSA_PKCS11_CONFIG; env TDSA_PKCS11_LOG; env TDSA_PKCS11_LOG_FILE; env SOFTHSM2_CONF; env OPENSSL_CONF;
ssl_engine pkcs11;
{user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3;
    uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
    server {{
        listen 127.0.0.1:{port} ssl reuseport;
        ssl_session_cache off;
        ssl_certificate {home}/web.pem;
        ssl_certificate_key "engine:pkcs11:{key}";
        location / {{ return 200 "$pid"; }}
    }}
}}
"""


class Visitors:
    """Threads that connect again and again; each visit is a handshake, so a signature."""

    def __init__(self, visit, count=4):
        self.done = self.failed = 0
        self.lock = threading.Lock()
        self.enough = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(visit,)) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, visit):
        while not self.enough.is_set():
            code = visit().returncode
            with self.lock:
                self.done += code == 0
                self.failed += code != 0

    def more(self, name, count):
        """Waits until count more visits have ended that way."""
        goal = getattr(self, name) + count
        wait_for(lambda: getattr(self, name) >= goal, 60, f"{count} more visits that are {name}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.enough.set()
        for thread in self.threads:
            thread.join()


def main(cluster):
    home = cluster.home
    port = free_port()
    engine = Engine(cluster)
    engine.generate("web", "07")
    engine.generate("coin", "08", "secp256k1")
    engine.generate("odd", "09", "edwards25519")
    cert = engine.self_signed("web")
    (home / "nginx.conf").write_text(CONF.format(home=home, port=port, key=engine.uri("web"), workers=WORKERS,
                                                 user="user root;" if os.getuid() == 0 else ""))
    errors = home / "error.log"

    def visit():
        return subprocess.run(["curl", "-sS", "--max-time", "20", "--cacert", cert, "--resolve", f"localhost:{port}:127.0.0.1",
                               f"https://localhost:{port}/"], text=True, capture_output=True, timeout=30, check=False)

    def get():
        done = visit()
        need(done.returncode == 0, f"curl: {done.returncode} {done.stderr} {errors.read_text()[-1500:]}")
        return done.stdout

    def first_connections(known, count=WORKERS):
        """Until count workers that were not known have answered; no connection may fail, the first of a worker neither."""
        seen = set()
        for _ in range(200):
            seen.add(get())
            if len(seen - known) == count:
                return seen
        raise Problem(f"only {seen - known} answered")

    workers = set()

    def every_worker_signs_from_its_first_connection_on():
        workers.update(first_connections(set()))

    def new_workers_sign_after_a_reload():
        server.send_signal(signal.SIGHUP)
        seen = first_connections(set(workers))
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), 30, "the old workers to end")
        workers.clear()
        workers.update(seen - workers)

    def a_worker_that_is_killed_is_replaced_by_one_that_signs():
        victim = first_connections(set()).pop()
        others = set(first_connections(set())) - {victim}
        os.kill(int(victim), signal.SIGKILL)
        wait_for(lambda: "exited on signal 9" in errors.read_text(), 30, "nginx to see that a worker is gone")
        workers.clear()
        workers.update(others | first_connections(others | {victim}, 1))

    def a_peer_that_is_restarted_under_load_costs_no_worker():
        before = set(workers)
        with Visitors(visit) as visitors:
            visitors.more("done", 8)
            cluster.stop(2)
            visitors.more("failed", 4)
            cluster.start(2)
            visitors.more("done", 8)
        need(first_connections(set()) == before, "a worker did not outlive its peer's restart")

    def nginx_ends_cleanly():
        server.send_signal(signal.SIGQUIT)
        need(server.wait(timeout=30) == 0, f"exit code {server.returncode}")
        said = errors.read_text()
        need(said.count("exited on signal") == 1, f"a worker crashed: {said[-1500:]}")  # the one that was killed
        need("stale global SSL error" not in said, f"{said[-1500:]}")

    with serving([NGINX, "-p", home, "-c", home / "nginx.conf", "-e", errors], lambda: listens(port), home / "nginx.log",
                 env=engine.env, cwd=home) as server:
        return run_facts([every_worker_signs_from_its_first_connection_on, new_workers_sign_after_a_reload,
                          a_worker_that_is_killed_is_replaced_by_one_that_signs,
                          a_peer_that_is_restarted_under_load_costs_no_worker, nginx_ends_cleanly])


if __name__ == "__main__":
    run_test(main)
