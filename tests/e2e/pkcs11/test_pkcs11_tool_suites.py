#!/usr/bin/env python3
"""All that pkcs11-tool can do with this token, its own test suites, and how programs end; started by p11_host."""
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import tool_list  # noqa: E402

MODULE = os.environ["TDSA_PKCS11_MODULE"]
PIN = os.environ["TDSA_PIN"]
TOKEN = os.environ["TDSA_TOKEN"]
WORK = os.environ["TDSA_WORK"]
CURVES = ("prime256v1", "secp256k1", "secp384r1", "secp521r1")
DIGESTS = ("1", "224", "256", "384", "512")
STRENGTH = {"secp256k1": "256", "secp384r1": "384", "secp521r1": "512"}
LONG = "TDSA_TEST_LONG" in os.environ


def run(*command, env=None):
    return subprocess.run([str(c) for c in command], cwd=WORK, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=100, check=False, env=env)


def work(name):
    return pathlib.Path(WORK, name)


def tool(*arguments):
    return run("pkcs11-tool", "--module", MODULE, "--login", "--pin", PIN, *arguments)


def need(done, *words):
    if done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode}\n{done.stdout}")
    for word in words:
        if word not in done.stdout:
            raise AssertionError(f"no {word!r} in\n{done.stdout}")


def the_general_suite_finds_no_errors():
    need(tool("--session-rw", "--test"), "No errors")


def the_suite_for_curves_passes():
    for curve in CURVES:
        need(tool("--session-rw", "--test-ec", "--key-type", f"EC:{curve}", "--id", "07", "--label", "t"), "==> OK")


def a_child_may_initialise():
    done = tool("--test-fork")
    need(done, "C_Initialize in forked child")
    if "CKR_" in done.stdout:
        raise AssertionError(done.stdout)


def nothing_is_left_behind():
    done = tool("-O")
    need(done)
    if "Object" in done.stdout:
        raise AssertionError(done.stdout)


def ids_and_labels_may_be_anything():
    need(tool("--keypairgen", "--key-type", "EC:prime256v1", "--id", "00ff", "--label", "Schlüssel ☂"),
         "Schlüssel ☂", "00ff")
    need(tool("-O"), "Schlüssel ☂")
    need(tool("--delete-object", "--type", "privkey", "--id", "00ff"))


def public_halves_are_listed_before_login():
    need(tool("--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "one"))
    done = run("pkcs11-tool", "--module", MODULE, "-O")
    need(done, "Public Key Object")
    if "Private Key Object" in done.stdout:
        raise AssertionError(done.stdout)


def interfaces_slots_and_mechanisms_are_listed():
    done = run("pkcs11-tool", "--module", MODULE, "--list-interfaces")
    need(done)
    if re.findall(r"version: (\S+)", done.stdout) != ["3.2", "3.0", "2.40"]:
        raise AssertionError(done.stdout)
    for option in ("-L", "-T"):
        need(tool(option), f"token label        : {TOKEN}", "login required, rng, token initialized, PIN initialized")
    need(tool("-I"), "Cryptoki version 3.0", "Threshold signing token")
    mechanisms = {line.split(",")[0].strip(): line for line in tool("-M").stdout.splitlines() if "," in line}
    for name in ("ECDSA", *(f"ECDSA-SHA{bits}" for bits in DIGESTS)):
        if "sign, verify" not in mechanisms.get(name, ""):
            raise AssertionError(f"{name}: {mechanisms}")
    if "sign, verify" not in mechanisms.get("EDDSA", ""):
        raise AssertionError(mechanisms)
    for name in ("SHA-1", "SHA224", "SHA256", "SHA384", "SHA512", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512"):
        if "digest" not in mechanisms.get(name, ""):
            raise AssertionError(f"{name}: {mechanisms}")


def every_mechanism_signs_and_verifies():
    """All of them on P-256, on the other curves that of the curve's strength; in the long form all on all."""
    message = work("message")
    message.write_bytes(b"what is signed\n" * 10000)
    for number, curve in enumerate(CURVES):
        key = ("--id", f"1{number}")
        need(tool("--keypairgen", "--key-type", f"EC:{curve}", *key, "--label", curve))
        public = public_key(f"1{number}")
        for bits in DIGESTS if curve == "prime256v1" or LONG else (STRENGTH[curve],):
            digest = work("digest")
            digest.write_bytes(hashlib.new(f"sha{bits}", message.read_bytes()).digest())
            for mechanism, source in ((f"ECDSA-SHA{bits}", message), ("ECDSA", digest)):
                signs_and_verifies(key, mechanism, source, public, bits, message)


def signs_and_verifies(key, mechanism, source, public, bits, message):
    """The token and OpenSSL say so of one signature."""
    form = ("--mechanism", mechanism, *key, "-i", source, "--signature-format", "openssl")
    need(tool("--sign", *form, "-o", work("der")))
    need(tool("--verify", *form, "--signature-file", work("der")), "Signature is valid")
    need(run("openssl", "dgst", f"-sha{bits}", "-verify", public, "-signature", work("der"), message), "Verified OK")


def public_key(key_id):
    work("public.der").write_bytes(tool_list.public_key(tool("-O", "--type", "pubkey").stdout, key_id))
    need(run("openssl", "pkey", "-pubin", "-inform", "DER", "-in", work("public.der"), "-out", work("public.pem")))
    return work("public.pem")


def ed25519_signs_and_verifies():
    """0.23 asks for version 3.0, which has the point as it is, and reads it as an OCTET STRING: the module knows it."""
    key = ("--id", "1e", "--mechanism", "EDDSA", "-i", work("digest"))
    need(tool("--keypairgen", "--key-type", "EC:edwards25519", "--id", "1e", "--label", "odd"), "EC_EDWARDS")
    need(tool("--sign", *key, "-o", work("eddsa")))
    need(tool("--verify", *key, "--signature-file", work("eddsa")), "Signature is valid")
    need(tool("--read-object", "--type", "pubkey", "--id", "1e", "-o", work("odd.pub")))
    need(run("openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", work("odd.pub"), "-in",
             work("digest"), "-sigfile", work("eddsa")), "Signature Verified Successfully")


def a_key_that_asks_each_time_signs():
    need(tool("--keypairgen", "--key-type", "EC:prime256v1", "--id", "1f", "--label", "careful", "--always-auth"),
         "always authenticate")
    need(tool("--sign", "--mechanism", "ECDSA-SHA256", "--id", "1f", "-i", work("message"), "-o", work("rs")))
    need(tool("--verify", "--mechanism", "ECDSA-SHA256", "--id", "1f", "-i", work("message"), "--signature-file", work("rs")),
         "Signature is valid")


def a_changed_signature_is_refused():
    form = ("--mechanism", "ECDSA-SHA512", "--id", f"1{len(CURVES) - 1}", "-i", work("message"))
    need(tool("--sign", *form, "-o", work("rs")))
    need(tool("--verify", *form, "--signature-file", work("rs")), "Signature is valid")
    signature = bytearray(work("rs").read_bytes())
    signature[-1] ^= 1
    work("rs").write_bytes(signature)
    done = tool("--verify", *form, "--signature-file", work("rs"))
    if "Invalid signature" not in done.stdout:
        raise AssertionError(f"{done.returncode}: {done.stdout}")


def a_key_keeps_to_the_mechanisms_it_was_made_for():
    need(tool("--keypairgen", "--key-type", "EC:prime256v1", "--id", "20", "--label", "messages", "--usage-sign",
              "--sensitive", "--private", "--allowed-mechanisms", "ECDSA-SHA256"), "Allowed mechanisms: ECDSA-SHA256\n")
    need(tool("--sign", "--mechanism", "ECDSA-SHA256", "--id", "20", "-i", work("digest"), "-o", work("rs")))
    for mechanism in ("ECDSA", "ECDSA-SHA512"):
        done = tool("--sign", "--mechanism", mechanism, "--id", "20", "-i", work("digest"), "-o", work("rs"))
        if done.returncode == 0 or "CKR_MECHANISM_INVALID" not in done.stdout:
            raise AssertionError(f"{mechanism}: {done.returncode} {done.stdout}")


def an_id_set_on_one_half_is_the_pair_s():
    need(tool("--set-id", "2122", "--type", "privkey", "--id", "20"), "2122")
    labels_are("messages", "2122")
    need(tool("--set-id", "20", "--type", "pubkey", "--id", "2122"), "label:      messages")
    labels_are("messages", "20")


def labels_are(label, key_id):
    """Of both halves."""
    listed = tool("-O").stdout
    for half in ("Private", "Public"):
        if f"label:      {label}\n" not in tool_list.object_of(listed, f"{half} Key Object", key_id):
            raise AssertionError(f"{half} {key_id} is not {label}:\n{listed}")


def a_public_key_that_is_written_names_its_pair():
    messages = public_key("20").read_bytes()
    need(tool("--write-object", work("public.der"), "--type", "pubkey", "--id", "23", "--label", "renamed"), "renamed")
    labels_are("renamed", "23")
    if public_key("23").read_bytes() != messages:
        raise AssertionError("another key is read")


def digests_and_random_numbers_come():
    for mechanism, name in (("SHA256", "sha256"), ("SHA3-384", "sha3_384")):
        done = tool("--hash", "--mechanism", mechanism, "-i", work("message"), "-o", work("hash"))
        need(done)
        if work("hash").read_bytes() != hashlib.new(name, work("message").read_bytes()).digest():
            raise AssertionError(done.stdout)
    for _ in range(2):
        need(tool("--generate-random", "32", "-o", work("random")))
        if len(work("random").read_bytes()) != 32:
            raise AssertionError(work("random").read_bytes())


def made_elsewhere():
    """A key and a certificate that the token has nothing to do with."""
    need(run("openssl", "req", "-new", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
             work("other.key"), "-subj", "/CN=other", "-days", "2", "-outform", "DER", "-out", work("other.der")))
    need(run("openssl", "pkey", "-in", work("other.key"), "-pubout", "-outform", "DER", "-out", work("other.pub")))


def what_is_written_is_read_back():
    made_elsewhere()
    work("note").write_text("not a secret\n")
    names = ("--id", "30", "--label", "other")
    for kind, source, more in (("cert", "other.der", names), ("pubkey", "other.pub", names),
                               ("data", "note", ("--label", "note", "--application-label", "tests"))):
        need(tool("--write-object", work(source), "--type", kind, *more))
        need(tool("--read-object", "--type", kind, *more, "-o", work("back")))
        if work("back").read_bytes() != work(source).read_bytes():
            raise AssertionError(f"{kind}: something else is read")
    need(tool("-O", "--type", "cert"), "subject:    DN: CN=other", "label:      other")
    need(tool("-O", "--type", "data"), "label:          'note'", "application:    'tests'")


def the_token_verifies_with_a_foreign_key():
    need(run("openssl", "dgst", "-sha256", "-sign", work("other.key"), "-out", work("foreign"), work("message")))
    form = ("--mechanism", "ECDSA-SHA256", "--id", "30", "--signature-format", "openssl", "--signature-file", work("foreign"))
    need(tool("--verify", *form, "-i", work("message")), "Signature is valid")
    if "Invalid signature" not in tool("--verify", *form, "-i", work("note")).stdout:
        raise AssertionError("it verifies anything")


def what_was_written_is_deleted():
    for kind, more in (("cert", ("--id", "30")), ("pubkey", ("--id", "30")), ("data", ("--label", "note"))):
        need(tool("--delete-object", "--type", kind, *more))
        done = tool("--delete-object", "--type", kind, *more)
        if done.returncode == 0 or "object not found" not in done.stdout:
            raise AssertionError(f"{kind}: {done.stdout}")


def objects_go_one_kind_at_a_time():
    need(tool("--delete-object", "--type", "pubkey", "--id", "23"))
    done = tool("-O")
    need(done, "label:      renamed")
    if done.stdout.count("label:      renamed") != 1:
        raise AssertionError(done.stdout)
    need(tool("--delete-object", "--type", "privkey", "--id", "23"))
    done = tool("-O")
    need(done)
    if "renamed" in done.stdout:
        raise AssertionError(done.stdout)
    done = tool("--delete-object", "--type", "privkey", "--id", "23")
    if done.returncode == 0 or "object not found" not in done.stdout:
        raise AssertionError(done.stdout)


def the_engine_ends_cleanly():
    with tempfile.NamedTemporaryFile("w", suffix=".cnf", dir=WORK) as conf:
        conf.write(f"openssl_conf = s\n[s]\nengines = e\n[e]\np = p\n[p]\nengine_id = pkcs11\n"
                   f"MODULE_PATH = {MODULE}\nPIN = {PIN}\ninit = 0\n")
        conf.flush()
        env = dict(os.environ, OPENSSL_CONF=conf.name)
        for _ in range(3):  # OpenSSL's own clean-up calls C_CloseSession and C_Finalize inside exit()
            need(run("openssl", "dgst", "-engine", "pkcs11", "-keyform", "engine", "-sha256", "-sign",
                     f"pkcs11:token={TOKEN};object=one;type=private", "-out", "sig", conf.name, env=env))


def an_engine_that_an_application_has_loaded_does_not_become_its_default():
    """pkcs11-tool makes an EVP_PKEY of the point that it reads. With libp11's engine as the default for EC, that fails:
    "cannot set CTX". The step after it may fail by a mistake of its own (tool_list.py)."""
    conf = work("engine.cnf")
    conf.write_text("openssl_conf = s\n[s]\nengines = e\n[e]\np = p\n[p]\nengine_id = pkcs11\ninit = 0\n")
    done = run("pkcs11-tool", "--module", MODULE, "--read-object", "--type", "pubkey", "--id", "01", "-o", work("one.der"),
               env=dict(os.environ, OPENSSL_CONF=str(conf)))
    if "cannot create EVP_PKEY" not in done.stdout:
        need(done)
        need(run("openssl", "pkey", "-pubin", "-inform", "DER", "-in", work("one.der"), "-noout"))


def a_wrong_pin_is_told():
    done = run("pkcs11-tool", "--module", MODULE, "--login", "--pin", "wrong", "-O")
    if done.returncode == 0 or "CKR_PIN_INCORRECT" not in done.stdout:
        raise AssertionError(done.stdout)


FACTS = [the_general_suite_finds_no_errors, the_suite_for_curves_passes, a_child_may_initialise,
         nothing_is_left_behind, ids_and_labels_may_be_anything, public_halves_are_listed_before_login,
         interfaces_slots_and_mechanisms_are_listed, every_mechanism_signs_and_verifies,
         ed25519_signs_and_verifies, a_key_that_asks_each_time_signs, a_changed_signature_is_refused,
         a_key_keeps_to_the_mechanisms_it_was_made_for,
         an_id_set_on_one_half_is_the_pair_s, a_public_key_that_is_written_names_its_pair,
         digests_and_random_numbers_come, what_is_written_is_read_back, the_token_verifies_with_a_foreign_key,
         what_was_written_is_deleted, objects_go_one_kind_at_a_time, the_engine_ends_cleanly,
         an_engine_that_an_application_has_loaded_does_not_become_its_default, a_wrong_pin_is_told]

if __name__ == "__main__":
    failed = 0
    for fact in FACTS:
        try:
            fact()
            print(f"ok      {fact.__name__}")
        except AssertionError as problem:
            failed += 1
            print(f"FAILED  {fact.__name__}: {problem}")
    sys.exit(1 if failed else 0)
