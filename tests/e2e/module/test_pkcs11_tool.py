#!/usr/bin/env python3
"""pkcs11-tool and openssl dgst against the module and two daemons. usage: test_pkcs11_tool.py BUILD"""
import hashlib
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import run_test  # noqa: E402
from cluster import need, run_facts  # noqa: E402

DEADLINE = 4.0
SLACK = 2.0  # starting a process, logging in, on a busy machine
CURVES = {"prime256v1": "a", "secp256k1": "b", "secp384r1": "c", "secp521r1": "d"}
IDS = {"a": "0a", "b": "0b", "c": "0c", "d": "0d"}  # pkcs11-tool signs with the key of an id, not of a label


def main(cluster):
    home = cluster.home
    message = home / "message"
    message.write_bytes(b"what is signed\n" * 1000)

    def sign(label, mechanism, source, seconds=60):
        out = home / f"{label}.sig"
        out.unlink(missing_ok=True)
        cluster.tool_ok("--sign", "--mechanism", mechanism, "--id", IDS[label], "--signature-format", "openssl",
                        "--input-file", source, "--output-file", out, seconds=seconds)
        return out

    def verified(label, signature):
        done = cluster.run("openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", cluster.public_key(IDS[label]),
                           "-signature", signature, message)
        return done.stdout.strip() == "Verified OK"

    def keys_are_generated_for_every_curve():
        for curve, label in CURVES.items():
            cluster.tool_ok("--keypairgen", "--key-type", f"EC:{curve}", "--label", label, "--id", IDS[label])

    def both_halves_are_listed():
        out = cluster.tool_ok("-O")
        for label in CURVES.values():
            need(out.count(f"label:      {label}") == 2, f"two objects {label} expected:\n{out}")
        need("warning" not in out.lower(), f"pkcs11-tool warns:\n{out}")

    def openssl_verifies_what_the_module_hashed_and_signed():
        for label in CURVES.values():
            need(verified(label, sign(label, "ECDSA-SHA256", message)), f"key {label}: not verified")

    def openssl_verifies_a_signed_digest():
        digest = home / "digest"
        digest.write_bytes(hashlib.sha256(message.read_bytes()).digest())
        for label in CURVES.values():
            need(verified(label, sign(label, "ECDSA", digest)), f"key {label}: not verified")

    def the_module_verifies_its_own_signature_and_refuses_another():
        raw = home / "raw.sig"
        verify = ("--verify", "--mechanism", "ECDSA-SHA256", "--id", IDS["a"], "--input-file", message, "--signature-file", raw)
        cluster.tool_ok("--sign", "--mechanism", "ECDSA-SHA256", "--id", IDS["a"], "--input-file", message, "--output-file", raw)
        out = cluster.tool_ok(*verify)
        need("Signature is valid" in out, out)
        changed = bytearray(raw.read_bytes())
        changed[40] ^= 1
        raw.write_bytes(changed)
        bad = cluster.tool(*verify)
        need("Invalid signature" in bad.stdout + bad.stderr or bad.returncode != 0, "a changed signature verifies")

    def no_two_signatures_share_r():
        seen = set()
        for _ in range(10):
            raw = home / "raw.sig"
            cluster.tool_ok("--sign", "--mechanism", "ECDSA-SHA256", "--id", IDS["a"], "--input-file", message,
                            "--output-file", raw)
            seen.add(raw.read_bytes()[:32])
        need(len(seen) == 10, f"{10 - len(seen)} values of r came twice")

    def refused(what, done, codes, started, log_words=()):
        took = time.monotonic() - started
        text = done.stdout + done.stderr
        need(done.returncode != 0, f"{what}: not refused:\n{text}")
        need(any(code in text for code in codes), f"{what}: none of {codes} in:\n{text}")
        need(took < DEADLINE + SLACK, f"{what}: took {took:.1f} s")
        logs = module_log()
        for word in log_words:
            need(word in logs, f"{what}: no log line with {word!r}:\n{logs[-2000:]}")

    def module_log():
        path = cluster.dir / "logs" / "module.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def signing(label="a"):
        return cluster.tool("--sign", "--mechanism", "ECDSA-SHA256", "--id", IDS[label], "--input-file", message,
                            "--output-file", home / "never.sig", env=logged())

    def logged():
        return cluster.module_env(TDSA_PKCS11_LOG="info",
                                  TDSA_PKCS11_LOG_FILE=str(cluster.dir / "logs" / "module.log"))

    def a_wrong_pin_is_refused_with_its_code():
        started = time.monotonic()
        refused("wrong PIN", cluster.tool("-O", pin="not-the-pin", env=logged()), ["CKR_PIN_INCORRECT"],
                started, ["PIN"])

    def an_unknown_curve_is_refused_with_its_code():
        started = time.monotonic()
        refused("unknown curve",
                cluster.tool("--keypairgen", "--key-type", "EC:secp224r1", "--label", "x", env=logged()),
                ["CKR_CURVE_NOT_SUPPORTED", "CKR_DOMAIN_PARAMS_INVALID", "CKR_ATTRIBUTE_VALUE_INVALID",
                 "CKR_MECHANISM_PARAM_INVALID", "(0x140)"], started, ["curve"])
        need("label:      x" not in cluster.tool_ok("-O"), "a half-made key is listed")

    def one_peer_down_is_said_within_the_deadline():
        cluster.stop(2)
        started = time.monotonic()
        refused("one peer down", signing(), ["CKR_DEVICE_REMOVED", "CKR_DEVICE_ERROR", "CKR_TOKEN_NOT_PRESENT"],
                started, ["participant 2"])
        need("label:      a" in cluster.tool_ok("-O"), "listing needs the network")

    def both_peers_down_is_said_within_the_deadline():
        cluster.stop(1)
        started = time.monotonic()
        refused("both peers down", signing(),
                ["CKR_DEVICE_REMOVED", "CKR_DEVICE_ERROR", "CKR_TOKEN_NOT_PRESENT"], started, ["participant"])
        started = time.monotonic()
        refused("key generation without peers",
                cluster.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "y", env=logged()),
                ["CKR_DEVICE_REMOVED", "CKR_DEVICE_ERROR", "CKR_TOKEN_NOT_PRESENT"], started)
        need("label:      y" not in cluster.tool_ok("-O"), "a half-made key is listed")

    def peers_that_come_back_sign_again():
        for index in (1, 2):
            cluster.start(index)
        for label in CURVES.values():
            need(verified(label, sign(label, "ECDSA-SHA256", message)), f"key {label}: not verified")

    def a_frozen_peer_costs_no_more_than_the_deadline():
        with cluster.frozen(2):
            started = time.monotonic()
            refused("frozen peer", signing(), ["CKR_DEVICE_REMOVED", "CKR_DEVICE_ERROR", "CKR_FUNCTION_FAILED"],
                    started, ["participant 2"])
        need(verified("a", sign("a", "ECDSA-SHA256", message)), "not verified after the peer went on")

    def a_deleted_key_is_gone_everywhere():
        cluster.tool_ok("--delete-object", "--type", "privkey", "--label", "b")
        out = cluster.tool_ok("-O")
        need("label:      b" not in out and "label:      a" in out, f"wrong list after deletion:\n{out}")
        for index in (1, 2):
            status, answer = cluster.get(index, "api", "/v1/keys")
            need(status == 200 and len(answer["keys"]) == len(CURVES) - 1, f"participant {index}: {status} {answer}")

    def another_wrapping_key_is_refused_with_its_code():
        wrapping = cluster.run("pkcs11-tool", "--module", cluster.shell("softhsm_module").strip(), "--token-label",
                               "wrap0", "--login", "--pin", cluster.pin, "--delete-object", "--type", "secrkey",
                               "--label", "tdsa-wrap")
        need(wrapping.returncode == 0, f"could not delete the wrapping key: {wrapping.stderr}")
        made = cluster.run("pkcs11-tool", "--module", cluster.shell("softhsm_module").strip(), "--token-label",
                           "wrap0", "--login", "--pin", cluster.pin, "--keygen", "--key-type", "AES:32", "--label",
                           "tdsa-wrap", "--extractable")
        need(made.returncode == 0, f"could not make another wrapping key: {made.stderr}")
        started = time.monotonic()
        refused("wrong wrapping key", signing(),
                ["CKR_DEVICE_ERROR", "CKR_TOKEN_NOT_RECOGNIZED", "CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED",
                 "CKR_PIN_INCORRECT"], started, ["WRAPPING", "check value"])

    return run_facts([
        keys_are_generated_for_every_curve, both_halves_are_listed,
        openssl_verifies_what_the_module_hashed_and_signed, openssl_verifies_a_signed_digest,
        the_module_verifies_its_own_signature_and_refuses_another, no_two_signatures_share_r,
        a_wrong_pin_is_refused_with_its_code, an_unknown_curve_is_refused_with_its_code,
        one_peer_down_is_said_within_the_deadline, both_peers_down_is_said_within_the_deadline,
        peers_that_come_back_sign_again, a_frozen_peer_costs_no_more_than_the_deadline,
        a_deleted_key_is_gone_everywhere, another_wrapping_key_is_refused_with_its_code])


if __name__ == "__main__":
    run_test(main)
