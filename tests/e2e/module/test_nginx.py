#!/usr/bin/env python3
"""nginx with four workers, its key through the OpenSSL engine over the module, and curl. usage: test_nginx.py BUILD"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from cluster import Cluster, Problem, free_port, need, run_facts, wait_for  # noqa: E402

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
KEY = "pkcs11:token=TDSA;object=web;type=private"
CONF = """daemon off;
worker_processes 4;
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


def main(cluster):
    home = cluster.home
    port = free_port()
    cluster.shell(f'cluster_write_openssl_conf "{cluster.dir}" "{home}/openssl.cnf"')
    env = cluster.module_env(OPENSSL_CONF=str(home / "openssl.cnf"))
    cluster.tool_ok("--keypairgen", "--key-type", "EC:prime256v1", "--label", "web", "--id", "07")
    done = cluster.run("openssl", "req", "-new", "-x509", "-engine", "pkcs11", "-keyform", "engine", "-key", KEY, "-days",
                       "3", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", home / "web.pem",
                       env=env)
    need(done.returncode == 0, done.stdout + done.stderr)
    user = "user root;" if os.getuid() == 0 else ""
    (home / "nginx.conf").write_text(CONF.format(home=home, port=port, key=KEY, user=user))
    errors = home / "error.log"

    def get():
        done = cluster.run("curl", "-sS", "--max-time", "20", "--cacert", home / "web.pem", "--resolve",
                           f"localhost:{port}:127.0.0.1", f"https://localhost:{port}/")
        need(done.returncode == 0, f"curl: {done.returncode} {done.stderr} {errors.read_text()[-1500:]}")
        return done.stdout

    def first_connections(known):
        """Until every worker has answered; no connection may fail, the first of a worker neither."""
        seen = set()
        for _ in range(200):
            seen.add(get())
            if len(seen - known) == 4:
                return seen
        raise Problem(f"only {seen - known} answered")

    with subprocess.Popen([NGINX, "-p", home, "-c", home / "nginx.conf", "-e", errors], env=env, cwd=home,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        workers = set()

        def every_worker_signs_from_its_first_connection_on():
            wait_for(lambda: server.poll() is not None or (home / "nginx.pid").exists(), 30, "nginx to start")
            need(server.poll() is None, f"nginx ended: {errors.read_text()}")
            workers.update(first_connections(set()))

        def new_workers_sign_after_a_reload():
            server.send_signal(signal.SIGHUP)
            first_connections(set(workers))

        def nginx_ends_cleanly():
            server.send_signal(signal.SIGQUIT)
            need(server.wait(timeout=30) == 0, f"exit code {server.returncode}")
            for word in ("exited on signal", "stale global SSL error"):
                need(word not in errors.read_text(), f"{word}: {errors.read_text()[-1500:]}")

        try:
            return run_facts([every_worker_signs_from_its_first_connection_on, new_workers_sign_after_a_reload,
                              nginx_ends_cleanly])
        finally:
            if server.poll() is None:
                server.terminate()


if __name__ == "__main__":
    if NGINX is None:
        print("SKIPPED nginx is not installed")
        sys.exit(0)
    try:
        with Cluster(sys.argv[1]) as made:
            made.start_all()
            code = main(made)
            made.keep = code != 0
    except Problem as problem:
        print(f"FAILED  to start: {problem}")
        code = 1
    sys.exit(code)
