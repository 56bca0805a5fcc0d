#!/usr/bin/env python3
"""curl with a client certificate whose key is in the token. usage: test_curl.py BUILD"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Engine, listens, run_test, serving  # noqa: E402
from cluster import free_port, need, run_facts  # noqa: E402


def main(cluster):
    home = cluster.home
    engine = Engine(cluster)
    for label, key_id, curve in (("web", "01", "prime256v1"), ("me", "02", "prime256v1"), ("tall", "03", "secp384r1"),
                                 ("coin", "04", "secp256k1"), ("odd", "05", "edwards25519")):
        engine.generate(label, key_id, curve)
    web, me, tall = (engine.self_signed(label) for label in ("web", "me", "tall"))
    trusted = home / "trusted.pem"
    trusted.write_text(me.read_text() + tall.read_text())
    port = free_port()

    def get(*arguments):
        return cluster.run("curl", "-sS", "--max-time", "20", "--cacert", web, "--resolve", f"localhost:{port}:127.0.0.1", *arguments,
                           f"https://localhost:{port}/", env=engine.env)

    def shown(name, *arguments):
        """The page of s_server -www shows the client's certificate."""
        done = get(*arguments)
        need(done.returncode == 0 and f"Subject: CN={name}\n" in done.stdout,
             f"curl {arguments}: {done.returncode} {done.stdout[-500:]}{done.stderr}")

    def by_engine(label, cert):
        return ["--engine", "pkcs11", "--cert", cert, "--key-type", "ENG", "--key", engine.uri(label)]

    def a_server_whose_key_is_in_the_token_sees_the_client_s_certificate():
        for version in ("1.2", "1.3"):
            shown("me", *by_engine("me", me), f"--tlsv{version}", "--tls-max", version)

    def a_key_on_p_384_does_as_well():
        shown("tall", *by_engine("tall", tall))

    def a_key_s_uri_loads_the_engine_by_itself():
        shown("me", "--cert", me, "--key", engine.uri("me"))

    def the_certificate_is_found_in_the_token_as_well():
        shown("tall", "--cert", engine.store("tall", "03"), "--key", engine.uri("tall"))

    def nobody_gets_in_without_a_certificate():
        done = get()
        need(done.returncode != 0 and "alert" in done.stderr, f"{done.returncode} {done.stdout}{done.stderr}")

    def nobody_gets_in_with_another_key():
        done = get(*by_engine("tall", me))
        need(done.returncode == 58 and "private key" in done.stderr, f"{done.returncode} {done.stdout}{done.stderr}")

    with serving(["openssl", "s_server", *engine.key("web"), "-cert", web, "-accept", f"127.0.0.1:{port}", "-www", "-Verify", "1",
                  "-verify_return_error", "-CAfile", trusted], lambda: listens(port), home / "s_server.log", env=engine.env,
                 cwd=home):
        return run_facts([a_server_whose_key_is_in_the_token_sees_the_client_s_certificate, a_key_on_p_384_does_as_well,
                          a_key_s_uri_loads_the_engine_by_itself, the_certificate_is_found_in_the_token_as_well,
                          nobody_gets_in_without_a_certificate, nobody_gets_in_with_another_key])


if __name__ == "__main__":
    run_test(main)
