"""What the tests of the module's clients share: a cluster around the test, programs that end and that serve, OpenSSL with
the engine."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

from cluster import Cluster, Problem, need, wait_for

LIBRARIES = pathlib.Path("/usr/lib", subprocess.run(["gcc", "-print-multiarch"], text=True, capture_output=True,
                                                    check=True).stdout.strip())
SKIPPED = 77


def run_test(main, module_lines=(), programs=(), n=3):
    """Runs main(cluster) with all but the client of n participants ready; module_lines go to the end of the module's
    section of its configuration. Where a program is not installed the test is skipped. Never returns."""
    os.environ["PATH"] += ":/usr/sbin"
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        print(f"SKIPPED not installed: {', '.join(missing)}")
        sys.exit(SKIPPED)
    try:
        with Cluster(sys.argv[1], n=n) as cluster:
            with cluster.config.open("a", encoding="ascii") as config:
                config.writelines(f"  {line}\n" for line in module_lines)
            cluster.start_all()
            code = main(cluster)
            cluster.keep = code != 0
    except Problem as problem:
        print(f"FAILED  to start: {problem}")
        code = 1
    sys.exit(code)


def listens(port):
    """Somebody listens on this port. Asking by a connection would be a client."""
    tables = (pathlib.Path("/proc/net", name).read_text(encoding="ascii") for name in ("tcp", "tcp6"))
    return any(re.search(rf":{port:04X} 0+:0000 0A", table) for table in tables)


@contextlib.contextmanager
def serving(command, ready, log, env=None, cwd=None):
    """A server as a child inside the block, which starts when ready() is true; its input stays open and empty. Gives
    the process; whoever wants its exit code waits for it, else it is terminated."""
    with open(log, "wb") as output, subprocess.Popen(
            [str(c) for c in command], env=env, cwd=cwd, stdin=subprocess.PIPE, stdout=output,
            stderr=output) as process:
        try:
            wait_for(lambda: process.poll() is not None or ready(), 30, f"{command[0]} to serve")
            need(process.poll() is None, f"{command[0]} ended: {log.read_text(errors='replace')[-2000:]}")
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


class Client:
    """The programs of one client, run in the home of a cluster with one environment."""

    def __init__(self, cluster, **env):
        self.home = cluster.home
        self.cluster = cluster
        self.env = cluster.module_env(**env)

    def run(self, *command):
        return self.cluster.run(*command, env=self.env)

    def ok(self, *command):
        """What the program said; it has to end with 0."""
        done = self.run(*command)
        need(done.returncode == 0, f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def refused(self, word, *command):
        """The program has to end with another code than 0, by itself, and to say the word."""
        done = self.run(*command)
        said = done.stdout + done.stderr
        need(done.returncode > 0 and word in said, f"{' '.join(map(str, command))}: exit {done.returncode}: {said}")

    def serving(self, command, ready, log):
        """A server in the same place, until the end of the block; see serving."""
        return serving(command, ready, self.home / log, env=self.env, cwd=self.home)

    def write(self, name, text):
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        return path


class Engine:
    """The command openssl with the PKCS#11 engine over the module of a cluster."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.home = cluster.home
        self.conf = cluster.home / "openssl.cnf"
        cluster.shell(f'cluster_write_openssl_conf "{cluster.dir}" "{self.conf}"')
        self.env = cluster.module_env(OPENSSL_CONF=str(self.conf))

    @staticmethod
    def uri(label):
        return f"pkcs11:token=TDSA;object={label};type=private"

    def key(self, label):
        """The arguments that name a private key of the token, for commands with -key."""
        return ["-engine", "pkcs11", "-keyform", "engine", "-key", self.uri(label)]

    def run(self, *arguments):
        """Anything but exit code 0 is a problem, a crash after the work is done too."""
        return self._must(arguments, self.env)

    def plain(self, *arguments):
        """OpenSSL without the module: the judge."""
        return self._must(arguments, None)

    def _must(self, arguments, env):
        done = self.cluster.run("openssl", *arguments, env=env)
        need(done.returncode == 0, f"openssl {arguments}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def generate(self, label, key_id, curve="prime256v1"):
        self.cluster.tool_ok("--keypairgen", "--key-type", f"EC:{curve}", "--label", label, "--id", key_id)

    def store(self, label, key_id):
        """The certificate that self_signed made becomes an object of the token, under the names of its key."""
        der = self.home / f"{label}.der"
        self.plain("x509", "-in", self.home / f"{label}.pem", "-outform", "DER", "-out", der)
        self.cluster.tool_ok("--write-object", der, "--type", "cert", "--id", key_id, "--label", label)
        return f"pkcs11:token=TDSA;object={label};type=cert"

    def self_signed(self, label, *extensions):
        """A certificate of the key by the key, for the host localhost; gives its file."""
        cert = self.home / f"{label}.pem"
        more = [word for extension in extensions for word in ("-addext", extension)]
        self.run("req", "-new", "-x509", *self.key(label), "-sha256", "-days", "3", "-subj", f"/CN={label}", "-addext",
                 "subjectAltName=DNS:localhost", *more, "-out", cert)
        return cert
