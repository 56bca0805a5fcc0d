"""What the tests of the command line share: running it, with pipes or on a terminal."""
import http.server
import json
import os
import pathlib
import pty
import select
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "service"))
import rig  # noqa: E402
from cluster import ROOT, Cluster, Problem, need, run_facts  # noqa: E402,F401

SECONDS = 90


class Tdsa:
    """The program of this build, and who answers it."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.program = cluster.build / "service/cli/tdsa"
        self.work = cluster.home / "work"
        self.work.mkdir(exist_ok=True)

    def env(self, index=None, config=None, **more):
        """An environment in which the server `index`, or the configuration, answers."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TDSA_") and k != "NO_COLOR"}
        if index is not None:
            kept["TDSA_API_URL"] = self.cluster.url(index, "api")
        if config is not None:
            kept["TDSA_CONFIG_FILE"] = str(self.cluster.dir / f"participant{config}/config.yml")
            kept.update(self.cluster.softhsm_env(config))
        return {**kept, **more}

    def run(self, *arguments, env=None, data=None, seconds=SECONDS):
        """(exit code, standard output, standard error), with nothing but pipes."""
        done = subprocess.run([self.program, *map(str, arguments)], env=env or self.env(1), cwd=self.work,
                              input=data if data is not None else b"", capture_output=True, timeout=seconds,
                              check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def ok(self, *arguments, **more):
        code, out, err = self.run(*arguments, **more)
        need(code == 0, f"tdsa {arguments}: exit {code}\n{out}{err}")
        need(err == "", f"tdsa {arguments}: says on standard error: {err}")
        return out

    def doc(self, *arguments, **more):
        """The document of --json."""
        return json.loads(self.ok(*arguments, "--json", **more))

    def fails(self, code, part, *arguments, **more):
        """Ends with this code and one line that has the part; with --json with a document."""
        got, out, err = self.run(*arguments, **more)
        need(got == code, f"tdsa {arguments}: exit {got} instead of {code}: {out}{err}")
        need(out == "", f"tdsa {arguments}: failed, and wrote {out}")
        need(err.count("\n") == 1 and err.startswith("tdsa: "), f"tdsa {arguments}: not one line: {err}")
        need(part in err, f"tdsa {arguments}: no \"{part}\" in: {err}")
        got, out, err = self.run(*arguments, "--json", **more)
        need(got == code and out == "", f"tdsa {arguments} --json: exit {got}, wrote {out}")
        doc = json.loads(err)
        need({"code", "error", "message"} <= doc.keys(), f"tdsa {arguments} --json: {doc}")
        return doc

    def on_terminal(self, *arguments, typed=(), env=None):
        """(exit code, what the terminal shows). typed: pairs of what is waited for and what is typed then."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.work)
            os.execve(self.program, [str(self.program), *map(str, arguments)],
                      {**(env or self.env(1)), "TERM": "xterm"})
        shown, typed, end = "", list(typed), time.monotonic() + SECONDS
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    piece = os.read(terminal, 4096)
                except OSError:
                    break
                if not piece:
                    break
                shown += piece.decode(errors="replace")
                if typed and typed[0][0] in shown:
                    time.sleep(0.05)  # the echo goes off just after the question
                    os.write(terminal, typed.pop(0)[1].encode() + b"\n")
        else:
            os.kill(pid, 9)
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


class FakeApi:
    """A server whose answers are given: pairs of a status and what makes a document of the body, the last one for ever."""

    def __init__(self, answers):
        fake = self
        self.answers = list(answers)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, make = fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0]
                text = json.dumps(make(body)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    need(done.returncode == 0, f"openssl {arguments}: {done.stdout}{done.stderr}")
    return done.stdout
