"""What the tests with real database servers share: servers of one's own, places on them, configurations that use them."""
import base64
import concurrent.futures
import ctypes
import ctypes.util
import functools
import os
import pathlib
import subprocess
import sys

SUPPORT = pathlib.Path(__file__).resolve().parents[2] / "support"
sys.path.insert(0, str(SUPPORT))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "service"))
from cluster import need  # noqa: E402
import rig  # noqa: E402

CLASS = {"postgres": "org.postgresql.Driver", "mariadb": "org.mariadb.jdbc.Driver"}
SCHEME = {"postgres": "postgresql", "mariadb": "mariadb"}
PASSWORD = "of a%test@:/?&"
QUOTED = "of%20a%25test%40%3A%2F%3F%26"


class Server:
    """A server of tests/support/db_server.py. SQL runs as its administrator, by the socket."""

    def __init__(self, kind, folder, *options):
        self.kind, self.file = kind, pathlib.Path(folder) / f"{kind}.server"
        self.tell("start", kind, self.file, "--own", *options)

    @staticmethod
    def tell(*arguments):
        done = subprocess.run([sys.executable, SUPPORT / "db_server.py", *map(str, arguments)], text=True,
                              capture_output=True, check=False, timeout=120)
        need(done.returncode == 0, f"db_server.py {arguments}: {done.stdout}{done.stderr}")

    def stop(self):
        self.tell("stop", self.file)

    def down(self):
        self.tell("down", self.file)

    def up(self):
        self.tell("up", self.file)

    def facts(self):
        return dict(line.split("=", 1) for line in self.file.read_text().splitlines())

    def port(self):
        return self.facts()["port"]

    def sql(self, text, database=None):
        f = self.facts()
        if self.kind == "postgres":
            command = ["psql", "-h", f["socket"], "-p", f["port"], "-U", f["user"], "-d", database or "postgres", "-qAt",
                       "-v", "ON_ERROR_STOP=1"]
        else:
            command = ["mariadb", "--no-defaults", f"--socket={f['socket']}", f"--user={f['user']}", "-N", "-B",
                       *([database] if database else [])]
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False,
                              env={**os.environ, "PGPASSWORD": f["password"], "MYSQL_PWD": f["password"]})
        need(done.returncode == 0, f"{text}: {done.stderr}")
        return done.stdout.strip()

    def user(self, name):
        """A user without any right."""
        if self.kind == "postgres":
            self.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        else:
            self.sql(f"CREATE USER {name} IDENTIFIED BY '{PASSWORD}'")

    def place(self, name):
        """A database that belongs to a user of the same name."""
        self.user(name)
        if self.kind == "postgres":
            self.sql(f"CREATE DATABASE {name} OWNER {name}")
        else:
            self.sql(f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO {name}")
        return name

    def url(self, name, query=None, host="127.0.0.1", port=None):
        if query is None:  # a busy machine may take longer than the five seconds that are usual
            query = "?connectTimeout=" + ("25" if self.kind == "postgres" else "25000")
        return f"jdbc:{SCHEME[self.kind]}://{host}:{port or self.port()}/{name}{query}"


def start_servers(folder, *options, kinds=("postgres", "mariadb")):
    """Both at the same time."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return {s.kind: s for s in pool.map(lambda kind: Server(kind, folder, *options), kinds)}


def use(cluster, index, server, name, user=None, password=PASSWORD, **url):
    """The participant keeps its rows on this server from now on."""
    path = cluster.dir / f"participant{index}/config.yml"
    lines = path.read_text().splitlines()
    at = lines.index("database:")
    rest = next(i for i in range(at + 1, len(lines) + 1) if i == len(lines) or not lines[i].startswith(" "))
    lines[at + 1:rest] = [f"  driverClass: {CLASS[server.kind]}", f"  url: '{server.url(name, **url)}'",
                          f"  user: {user or name}", f"  password: '{password}'",
                          "  properties:", "    charSet: UTF-8"]
    path.write_text("\n".join(lines) + "\n")


def light(cluster):
    """No wrapping tokens: what is tested here is where rows are."""
    for index in cluster.servers:
        rig.use_aesgcm(cluster, index, f"secret of {index}, long enough for nobody to guess it")


def stop_all(cluster):
    for index in cluster.servers:
        if cluster.running(index):
            need(cluster.stop(index) == 0, f"participant {index} does not end in peace")


def spki(pem):
    """The bytes of a PEM public key."""
    return base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-")))


def verifies(pem, message, signature_hex):
    """OpenSSL, inside this process, accepts an ECDSA signature with SHA-256."""
    lib, key, signature = crypto(), spki(pem), bytes.fromhex(signature_hex)
    public = lib.d2i_PUBKEY(None, ctypes.byref(ctypes.c_char_p(key)), len(key))
    context = lib.EVP_MD_CTX_new()
    try:
        return (public and lib.EVP_DigestVerifyInit(context, None, lib.EVP_sha256(), None, public) == 1
                and lib.EVP_DigestVerify(context, signature, len(signature), message, len(message)) == 1)
    finally:
        lib.EVP_MD_CTX_free(context)
        lib.EVP_PKEY_free(public)


@functools.cache
def crypto():
    lib = ctypes.CDLL(ctypes.util.find_library("crypto"))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
            ("d2i_PUBKEY", pointer, [pointer, pointer, ctypes.c_long]), ("EVP_MD_CTX_new", pointer, []),
            ("EVP_sha256", pointer, []), ("EVP_DigestVerifyInit", ctypes.c_int, [pointer] * 5),
            ("EVP_DigestVerify", ctypes.c_int, [pointer, ctypes.c_char_p, size, ctypes.c_char_p, size]),
            ("EVP_MD_CTX_free", None, [pointer]), ("EVP_PKEY_free", None, [pointer])):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
