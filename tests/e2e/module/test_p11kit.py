#!/usr/bin/env python3
"""The installed files, p11-kit, its server and its proxy, over the module. usage: test_p11kit.py BUILD"""
import hashlib
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import LIBRARIES, run_test, serving  # noqa: E402
from cluster import need, run_facts  # noqa: E402

PROXY = LIBRARIES / "p11-kit-proxy.so"
CLIENT = LIBRARIES / "pkcs11/p11-kit-client.so"
SOFTHSM = pathlib.Path("/usr/share/p11-kit/modules/softhsm2.module")


def main(cluster):
    home = cluster.home
    place = home / "installed"
    modules = home / "modules"
    modules.mkdir()
    message = home / "message"
    message.write_bytes(b"what is signed\n" * 1000)
    digest = home / "digest"
    digest.write_bytes(hashlib.sha256(message.read_bytes()).digest())
    socket = home / "socket"
    remote = cluster.module_env(P11_KIT_SERVER_ADDRESS=f"unix:path={socket}", XDG_RUNTIME_DIR=str(home))

    def must(*command, env=None):
        done = cluster.run(*command, env=env)
        need(done.returncode == 0, f"{command}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def registered(*command):
        """Runs a command on a system where the folder modules is p11-kit's list; it has no other way to be told of one
        by root."""
        shown = must("pkg-config", "--variable=p11_module_configs", "p11-kit-1").strip()
        return must("unshare", "-rm", "sh", "-c", 'mount --bind "$0" "$1"; shift; exec "$@"', modules, shown, *command)

    def tool(module, *arguments, env=None, run=must):
        options = {} if env is None else {"env": env}
        return run("pkcs11-tool", "--module", module, "--token-label", "TDSA", "--login", "--pin", cluster.pin, *arguments,
                   **options)

    def verifies(signature):
        need("Verified OK" in must("openssl", "dgst", "-sha256", "-verify", cluster.public_key("01"), "-keyform", "DER",
                                   "-signature", signature, message), "not verified")

    def the_installed_files_name_the_installed_module():
        must("cmake", "--install", cluster.build, "--component", "pkcs11", env={**os.environ, "DESTDIR": str(place)})
        (config,) = place.glob("**/pkgconfig/tdsa-pkcs11.pc")
        env = {**os.environ, "PKG_CONFIG_PATH": str(config.parent)}
        named = must("pkg-config", "--variable=module", "tdsa-pkcs11", env=env).strip()
        folder = must("pkg-config", "--variable=moduledir", "tdsa-pkcs11", env=env).strip()
        need(pathlib.Path(f"{place}{named}").is_file() and str(pathlib.Path(named).parent) == folder,
             f"pkg-config says {named} in {folder}")
        need(re.fullmatch(r"\d+\.\d+\.\d+", must("pkg-config", "--modversion", "tdsa-pkcs11", env=env).strip()), "no version")
        (listed,) = place.glob("**/share/p11-kit/modules/tdsa.module")
        need(f"module: {named}\n" in listed.read_text(), f"p11-kit is told {listed.read_text()}")
        # the file as it is, but that DESTDIR is where the package was unpacked
        (modules / "tdsa.module").write_text(listed.read_text().replace(named, f"{place}{named}"))

    def p11_kit_lists_the_token_beside_that_of_softhsm():
        need(SOFTHSM.exists(), f"no {SOFTHSM}")
        shutil.copy(SOFTHSM, modules)
        out = registered("p11-kit", "list-modules")
        for word in (f"tdsa: {place}", "library-description: Threshold signing token", "token: TDSA", "token: wrap0"):
            need(word in out, f"no {word!r} in {out}")

    def a_key_is_made_and_signs_through_the_proxy():
        tool(PROXY, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "one", "--id", "01", run=registered)
        tool(PROXY, "--sign", "--mechanism", "ECDSA-SHA256", "--id", "01", "--signature-format", "openssl", "-i", message,
             "-o", home / "proxy.sig", run=registered)
        verifies(home / "proxy.sig")

    def a_child_may_initialise_the_proxy():
        out = tool(PROXY, "--test-fork", run=registered)
        need("C_Initialize in forked child" in out and "CKR_" not in out, out)

    def gnutls_finds_and_uses_the_key_by_its_uri_alone():
        out = registered("env", f"GNUTLS_PIN={cluster.pin}", "p11tool", "--login", "--test-sign",
                         "pkcs11:token=TDSA;object=one;type=private")
        need(out.count("... ok") == 3, out)

    def a_certificate_is_written_through_the_proxy_and_found_by_gnutls():
        must("openssl", "req", "-new", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
             home / "other.key", "-subj", "/CN=other", "-outform", "DER", "-out", home / "other.der", env=dict(os.environ))
        tool(PROXY, "--write-object", home / "other.der", "--type", "cert", "--id", "05", "--label", "other", run=registered)
        out = registered("p11tool", "--list-all-certs", "pkcs11:token=TDSA")
        need("Label: other" in out, out)

    def an_ed25519_key_disturbs_nobody():
        tool(PROXY, "--keypairgen", "--key-type", "EC:edwards25519", "--label", "odd", "--id", "06", run=registered)
        out = registered("env", f"GNUTLS_PIN={cluster.pin}", "p11tool", "--login", "--list-all", "pkcs11:token=TDSA")
        need(out.count("Label: odd") == 2 and out.count("Label: one") == 2, out)

    def a_client_of_the_server_lists_signs_makes_and_deletes():
        out = tool(CLIENT, "-O", env=remote)
        need(out.count("label:      one") == 2 and out.count("label:      other") == 1, out)
        tool(CLIENT, "--sign", "--mechanism", "ECDSA", "--id", "01", "--signature-format", "openssl", "-i", digest,
             "-o", home / "remote.sig", env=remote)
        verifies(home / "remote.sig")
        tool(CLIENT, "--keypairgen", "--key-type", "EC:secp384r1", "--label", "far", "--id", "02", env=remote)
        tool(CLIENT, "--delete-object", "--type", "privkey", "--id", "02", env=remote)
        need("label:      far" not in tool(CLIENT, "-O", env=remote), "the key is there after it was deleted")

    def the_suite_for_curves_passes_through_the_server():
        for curve in ("prime256v1", "secp384r1"):
            out = tool(CLIENT, "--session-rw", "--test-ec", "--key-type", f"EC:{curve}", "--id", "07", "--label", "t", env=remote)
            need("==> OK" in out, out)

    def a_child_may_initialise_through_the_server():
        out = tool(CLIENT, "--test-fork", env=remote)
        need("C_Initialize in forked child" in out and "CKR_" not in out, out)

    def a_wrong_pin_is_told_through_the_server():
        done = cluster.run("pkcs11-tool", "--module", CLIENT, "--login", "--pin", "wrong", "-O", env=remote)
        need(done.returncode != 0 and "CKR_PIN_INCORRECT" in done.stderr, f"{done.returncode}: {done.stdout}{done.stderr}")

    failed = run_facts([the_installed_files_name_the_installed_module, p11_kit_lists_the_token_beside_that_of_softhsm,
                        a_key_is_made_and_signs_through_the_proxy, a_child_may_initialise_the_proxy,
                        gnutls_finds_and_uses_the_key_by_its_uri_alone,
                        a_certificate_is_written_through_the_proxy_and_found_by_gnutls, an_ed25519_key_disturbs_nobody])
    with serving(["p11-kit", "server", "-f", "-n", socket, "--provider", cluster.module, "pkcs11:token=TDSA"],
                 socket.is_socket, home / "server.log", env=cluster.module_env()):
        failed += run_facts([a_client_of_the_server_lists_signs_makes_and_deletes,
                             the_suite_for_curves_passes_through_the_server, a_child_may_initialise_through_the_server,
                             a_wrong_pin_is_told_through_the_server])
    return failed


if __name__ == "__main__":
    run_test(main, ["ecdsaSha1: true"])
