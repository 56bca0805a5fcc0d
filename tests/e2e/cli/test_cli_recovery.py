#!/usr/bin/env python3
"""tdsa recovery and tdsa audit: offline with packages of every curve, RSA keys in files and in a token; with daemons
and a client. usage: test_cli_recovery.py BUILD"""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from rig_cli import Cluster, Tdsa, need, openssl, rig, run_facts

PIN = "recovery-pin-2718"


class NoCluster:
    """A folder; nobody answers."""

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tdsa-recovery-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.home, ignore_errors=True)

    def url(self, _index, _port):
        return "http://127.0.0.1:9"


def main(build):
    with NoCluster(build) as place:
        tdsa = Tdsa(place)
        failed = run_facts(recovery(tdsa) + token(tdsa) + audit(tdsa))
        failed += with_daemons(build, place, "servers", servers)
        failed += with_daemons(build, place, "client", client)
        return 1 if failed else 0


def with_daemons(build, place, kind, facts):
    """Daemons, and perhaps a client, whose recovery certificate is `first`."""
    der = base64.urlsafe_b64encode((place.home / "work/first.der").read_bytes()).rstrip(b"=").decode()
    with Cluster(build, kind) as cluster:
        for index in range(3):
            rig.change(cluster, index, "sessionTimeout: 60", f"sessionTimeout: 60\n  ersCertificates: [{der}]\n  exportCertificates: [{der}]"
                       f"\n  auditLog: {cluster.home}/audit{index}.log")
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, "a-key-of-the-command-line-test-0123456789")
        cluster.start_all()
        tdsa = Tdsa(cluster)
        for name in ("first.der", "first.key"):
            shutil.copy(place.home / "work" / name, tdsa.work / name)
        (tdsa.work / "letter").write_text("signed by a key that came back")
        return run_facts(facts(tdsa))


def signs(work, key, public):
    """openssl signs with a recovered key, and the threshold key's public key verifies it."""
    openssl("dgst", "-sha256", "-sign", work / key, "-out", work / "letter.sig", work / "letter")
    openssl("dgst", "-sha256", "-verify", work / public, "-signature", work / "letter.sig", work / "letter")


def servers(tdsa):
    work = tdsa.work

    def a_key_of_daemons_is_verified_and_recovered():
        tdsa.ok("key", "create", "will", "--curve", "P-256", "--derivation", "none")
        (work / "aux").write_bytes(b"vault 7")
        tdsa.ok("key", "public-key", "will", "--out", "will.pem")
        tdsa.ok("recovery", "info", "will", "--aux-data", "aux", "--out", "will.package")
        doc, _ = report(tdsa, 0, "recovery", "verify", "will.package", "--certificate", "first.der", "--public-key", "will.pem")
        need(doc["complete"] and base64.urlsafe_b64decode(doc["auxiliaryData"] + "==") == b"vault 7", doc)
        report(tdsa, 0, "recovery", "recover", "will.package", "--key", "first.key", "--public-key", "will.pem", "--out",
               "will.key")
        signs(work, "will.key", "will.pem")

    def without_out_the_package_goes_to_standard_output():
        package = json.loads(tdsa.ok("recovery", "info", "will"))
        need(len(package["participants"]) == 3, package)
        need(len(tdsa.doc("recovery", "info", "will", "--local")["participants"]) == 1, "--local")

    def a_server_makes_its_own_info_from_its_configuration():
        for index in range(3):
            tdsa.ok("recovery", "info", "will", "--local", "--quiet", "--out", f"part{index}", env=tdsa.env(config=index))
        parts = [f"part{index}" for index in range(3)]
        report(tdsa, 0, "recovery", "verify", *parts, "--certificate", "first.der")
        tdsa.fails(2, "--url", "recovery", "info", "will", "--quiet", env=tdsa.env(config=1))

    def a_key_leaves_when_every_server_has_approved():
        tdsa.ok("key", "create", "moving", "--curve", "P-256", "--derivation", "none", "--exportable")
        tdsa.ok("key", "public-key", "moving", "--out", "moving.pem")
        asked = ("key", "export", "moving", "--certificate", "first.der")
        tdsa.fails(4, "participant 1", *asked)
        for index in range(3):
            tdsa.ok("key", "approve-export", "moving", "--certificate", "first.der", "--valid", "600", env=tdsa.env(index))
        tdsa.ok(*asked, "--out", "moving.export")
        doc, _ = report(tdsa, 0, "recovery", "verify", "moving.export", "--certificate", "first.der", "--public-key", "moving.pem")
        need(doc["complete"] and doc["export"] is True, doc)
        report(tdsa, 0, "recovery", "recover", "moving.export", "--key", "first.key", "--public-key", "moving.pem", "--out",
               "moving.key")
        signs(work, "moving.key", "moving.pem")
        tdsa.fails(4, "participant", *asked)  # one approval, one export
        tdsa.fails(4, "forbids", "key", "approve-export", "will", "--certificate", "first.der")
        tdsa.fails(2, "certificate", "key", "export", "moving", "--certificate", "letter")

    def refusals_are_told():
        tdsa.fails(3, "nobody", "recovery", "info", "nobody")
        (work / "long").write_bytes(b"x" * 1025)
        tdsa.fails(2, "1024 bytes", "recovery", "info", "will", "--aux-data", "long")
        tdsa.fails(1, "No space left", "recovery", "info", "will", "--out", "/dev/full")
        tdsa.cluster.stop(2)
        tdsa.fails(5, "participant 2", "recovery", "info", "will")

    return [a_key_of_daemons_is_verified_and_recovered, without_out_the_package_goes_to_standard_output,
            a_server_makes_its_own_info_from_its_configuration, a_key_leaves_when_every_server_has_approved,
            refusals_are_told]


def client(tdsa):
    work = tdsa.work

    def infos_of_a_clients_key_come_from_each_participant():
        mine = tdsa.env(config=0)
        pin = ("--quiet", "--pin-file", tdsa.cluster.dir / "participant0/pin")
        tdsa.ok("key", "create", "estate", "--curve", "secp256k1", "--derivation", "none", *pin, env=mine)
        tdsa.ok("key", "public-key", "estate", "--out", "estate.pem", *pin, env=mine)
        tdsa.ok("recovery", "info", "estate", "--local", "--out", "of0", *pin, env=mine)
        for index in (1, 2):
            tdsa.ok("recovery", "info", "estate", "--local", "--out", f"of{index}", env=tdsa.env(index))
        report(tdsa, 0, "recovery", "verify", "of0", "of1", "of2", "--certificate", "first.der", "--public-key", "estate.pem")
        tdsa.ok("recovery", "info", "estate", "--out", "of-all", *pin, env=mine)
        doc, _ = report(tdsa, 0, "recovery", "verify", "of-all", "--certificate", "first.der", "--public-key", "estate.pem")
        need(doc["complete"] and len(doc["participants"]) == 3, doc)
        doc = tdsa.fails(4, "client of this group", "recovery", "info", "estate", env=tdsa.env(1))
        need(doc["error"] == "CLIENT_PARTICIPATES", doc)
        report(tdsa, 0, "recovery", "recover", "of1", "of0", "--key", "first.key", "--public-key", "estate.pem", "--out",
               "estate.key")
        signs(work, "estate.key", "estate.pem")

    def a_key_of_a_client_leaves_when_the_servers_have_approved():
        mine = tdsa.env(config=0)
        pin = ("--quiet", "--pin-file", tdsa.cluster.dir / "participant0/pin")
        asked = ("key", "export", "moving", "--certificate", "first.der", *pin)
        tdsa.ok("key", "create", "moving", "--curve", "P-256", "--derivation", "none", "--exportable", *pin, env=mine)
        tdsa.ok("key", "public-key", "moving", "--out", "moving.pem", *pin, env=mine)
        tdsa.fails(4, "NOT_APPROVED", *asked, env=mine)
        for index in tdsa.cluster.servers:
            tdsa.ok("key", "approve-export", "moving", "--certificate", "first.der", env=tdsa.env(index))
            doc = tdsa.fails(4, "the client", "key", "export", "moving", "--certificate", "first.der", env=tdsa.env(index))
            need(doc["error"] == "CLIENT_PARTICIPATES", doc)
        tdsa.ok(*asked, "--out", "moving.export", env=mine)
        report(tdsa, 0, "recovery", "recover", "moving.export", "--key", "first.key", "--public-key", "moving.pem", "--out",
               "moving.key")
        signs(work, "moving.key", "moving.pem")
        tdsa.fails(4, "NOT_APPROVED", *asked, env=mine)  # one approval, one export
        for index in range(3):
            log = (tdsa.cluster.home / f"audit{index}.log").read_text()
            need(log.count('"event":"key.export","keyId":"moving"') == 1, f"participant {index}: {log}")

    return [infos_of_a_clients_key_come_from_each_participant, a_key_of_a_client_leaves_when_the_servers_have_approved]


def certificate(work, name, bits=3072):
    openssl("req", "-x509", "-newkey", f"rsa:{bits}", "-nodes", "-keyout", work / f"{name}.key", "-out", work / f"{name}.pem",
            "-days", "30", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyEncipherment")
    openssl("x509", "-in", work / f"{name}.pem", "-outform", "DER", "-out", work / f"{name}.der")


def package(tdsa, curve, *names, n=3, t=1):
    path = tdsa.work / f"{curve}-{'-'.join(names)}.package"
    done = subprocess.run([tdsa.cluster.build / "tests/e2e/cli/recovery_package", curve, str(n), str(t),
                           *(tdsa.work / f"{name}.der" for name in names)], capture_output=True, check=True)
    path.write_bytes(done.stdout)
    return path


def spoil(path, name, change):
    """A copy of a package whose document was changed."""
    doc = json.loads(path.read_text())
    change(doc)
    out = path.with_name(name)
    out.write_text(json.dumps(doc))
    return out


def flip(doc, participant, where):
    """One bit of an info is wrong."""
    info = doc["participants"][participant]["infos"][0]
    raw = bytearray(base64.urlsafe_b64decode(info["recoveryInfo"] + "=="))
    raw[where] ^= 1
    info["recoveryInfo"] = base64.urlsafe_b64encode(raw).decode()


def report(tdsa, code, *arguments):
    """The exit code, and the document on standard output."""
    got, out, err = tdsa.run(*arguments, "--json")
    need(got == code, f"{arguments}: exit {got} instead of {code}: {out}{err}")
    return json.loads(out), err


def recovery(tdsa):
    work = tdsa.work
    certificate(work, "first")
    certificate(work, "second", 2048)
    plain = package(tdsa, "P-256", "first")

    def a_package_is_checked_without_a_private_key():
        doc, _ = report(tdsa, 0, "recovery", "verify", plain, "--certificate", "first.pem")
        need(doc["complete"] and [p["verdict"] for p in doc["participants"]] == ["good"] * 3, doc)
        need(base64.urlsafe_b64decode(doc["auxiliaryData"] + "==") == b"a letter to the heirs", doc)
        need("good" in tdsa.ok("recovery", "verify", plain, "--certificate", "first.der"), "people")
        (work / "public.hex").write_text(doc["publicKey"])
        tdsa.ok("recovery", "verify", plain, "--certificate", "first.pem", "--public-key", "public.hex")

    def a_key_is_recovered_and_openssl_signs_with_it():
        doc, _ = report(tdsa, 0, "recovery", "recover", plain, "--key", "first.key", "--public-key", "public.hex", "--out",
                        "recovered.key", "--chain-code-out", "recovered.cc")
        need(sorted(p["verdict"] for p in doc["participants"]) == ["good", "good", "not needed"], doc)
        for name in ("recovered.key", "recovered.cc"):
            need((work / name).stat().st_mode & 0o777 == 0o600, f"mode of {name}")
        need(len(bytes.fromhex((work / "recovered.cc").read_text())) == 32, "chain code")
        (work / "letter").write_text("signed by a key that came back")
        openssl("dgst", "-sha256", "-sign", work / "recovered.key", "-out", work / "letter.sig", work / "letter")
        text = openssl("ec", "-in", work / "recovered.key", "-pubout", "-conv_form", "compressed", "-outform", "PEM")
        (work / "public.pem").write_text(text)
        openssl("dgst", "-sha256", "-verify", work / "public.pem", "-signature", work / "letter.sig", work / "letter")
        der = subprocess.run(["openssl", "pkey", "-in", work / "recovered.key", "-pubout", "-outform", "DER"],
                             capture_output=True, check=True).stdout
        (work / "public.spki").write_bytes(der)
        tdsa.ok("recovery", "verify", plain, "--certificate", "first.pem", "--public-key", "public.spki")
        tdsa.fails(4, "not replaced", "recovery", "recover", plain, "--key", "first.key", "--out", "recovered.key")

    def every_curve_comes_back():
        for curve in ("secp256k1", "P-384", "P-521"):
            one = package(tdsa, curve, "second", n=4)
            report(tdsa, 0, "recovery", "verify", one, "--certificate", "second.pem", "--quiet")
            report(tdsa, 0, "recovery", "recover", one, "--key", "second.key", "--out", f"{curve}.key")
            openssl("pkey", "-in", work / f"{curve}.key", "-noout", "-check")
        one = package(tdsa, "Ed25519", "second")
        report(tdsa, 0, "recovery", "recover", one, "--key", "second.key", "--out", "ed25519.key")
        need((work / "ed25519.key").read_text().startswith("ed25519-scalar "), "Ed25519 has a scalar, no seed")

    def a_short_certificate_is_told():
        one = package(tdsa, "P-256", "second")
        code, _, err = tdsa.run("recovery", "verify", one, "--certificate", "second.pem")
        need(code == 0 and "2048 bits" in err, err)

    def a_corrupt_info_is_named():
        bad = spoil(plain, "corrupt.package", lambda doc: flip(doc, 1, -1))
        doc, err = report(tdsa, 6, "recovery", "verify", bad, "--certificate", "first.pem")
        need([p["verdict"] for p in doc["participants"]] == ["good", "corrupt", "good"], doc)
        need(json.loads(err)["participantIndex"] == 1 and json.loads(err)["error"] == "VERIFY", err)
        code, out, err = tdsa.run("recovery", "verify", bad, "--certificate", "first.pem")
        need(code == 6 and "corrupt" in out and "participant 1" in err, f"exit {code}: {out}{err}")

    def infos_that_cannot_be_read_are_named_too():
        def short(doc):
            doc["participants"][2]["infos"][0]["recoveryInfo"] = "AAAA"

        def exchanged(doc):
            doc["participants"][0]["participantIndex"] = 2

        for name, change, who in (("short", short, 2), ("exchanged", exchanged, 2)):
            doc, err = report(tdsa, 6, "recovery", "verify", spoil(plain, name, change), "--certificate", "first.pem")
            need(json.loads(err)["participantIndex"] == who, err)

    def a_missing_info_is_told():
        two = spoil(plain, "two.package", lambda doc: doc["participants"].pop(0))
        doc, err = report(tdsa, 6, "recovery", "verify", two, "--certificate", "first.pem")
        need(not doc["complete"] and json.loads(err)["participantIndex"] == 0, err)

    def good_infos_suffice_and_the_corrupt_one_is_named():
        def spoil_all_of_it(doc):
            for at in range(-9000, 0, 100):  # the kept ciphertexts
                flip(doc, 0, at)

        three = spoil(plain, "spoilt.package", lambda doc: doc["participants"][0]["infos"][0].update(recoveryInfo="AAAA"))
        doc, _ = report(tdsa, 0, "recovery", "recover", three, "--key", "first.key", "--out", "again.key")
        need({p["participantIndex"]: p["verdict"] for p in doc["participants"]} == {0: "corrupt", 1: "good", 2: "good"}, doc)
        need((work / "again.key").read_text() == (work / "recovered.key").read_text(), "another key")
        bad = spoil(spoil(plain, "a", lambda doc: doc["participants"].pop(2)), "b", spoil_all_of_it)
        report(tdsa, 0, "recovery", "recover", bad, "--key", "first.key", "--out", "most.key")

    def too_few_infos_give_no_key():
        one = spoil(plain, "one.package", lambda doc: doc.update(participants=doc["participants"][:1]))
        doc, err = report(tdsa, 6, "recovery", "recover", one, "--key", "first.key", "--out", "none.key")
        need(not (work / "none.key").exists(), "a file was made")
        _, err = report(tdsa, 6, "recovery", "recover", plain, "--key", "second.key", "--out", "none.key")
        need("0 good" in json.loads(err)["message"] and not (work / "none.key").exists(), err)

    def another_public_key_is_refused():
        other = package(tdsa, "secp256k1", "first")
        doc, _ = report(tdsa, 0, "recovery", "verify", other, "--certificate", "first.pem")
        (work / "other.hex").write_text(doc["publicKey"])
        report(tdsa, 6, "recovery", "verify", plain, "--certificate", "first.pem", "--public-key", "other.hex")
        tdsa.fails(6, "no info is of the key", "recovery", "recover", plain, "--key", "first.key", "--public-key",
                   "other.hex", "--out", "none.key")

    def several_files_and_certificates_are_one_package():
        both = package(tdsa, "P-256", "first", "second")
        halves = [spoil(both, f"half{i}", lambda doc, i=i: doc.update(participants=[doc["participants"][i]])) for i in range(3)]
        doc, _ = report(tdsa, 0, "recovery", "verify", *halves, halves[0], "--certificate", "second.pem", "--quiet")
        need(doc["complete"] and doc["otherCertificates"] == 3 and len(doc["participants"]) == 3, doc)
        tdsa.fails(2, "--certificate", "recovery", "recover", *halves, "--key", "second.key", "--out", "part.key")
        report(tdsa, 0, "recovery", "recover", *halves, "--key", "second.key", "--certificate", "second.pem", "--out", "part.key")

    def an_encrypted_key_wants_its_passphrase():
        openssl("pkcs8", "-topk8", "-in", work / "first.key", "-out", work / "locked.key", "-passout", "pass:open sesame")
        (work / "passphrase").write_text("open sesame\n")
        report(tdsa, 0, "recovery", "recover", plain, "--key", "locked.key", "--passphrase-file", "passphrase", "--out",
               "unlocked.key")
        code, shown = tdsa.on_terminal("recovery", "recover", plain, "--key", "locked.key", "--out", "typed.key",
                                       typed=[("passphrase of the RSA key:", "open sesame")])
        need(code == 0 and "sesame" not in shown and "decryptions" in shown, f"exit {code}: {shown}")
        (work / "wrong").write_text("open barley")
        tdsa.fails(2, "", "recovery", "recover", plain, "--key", "locked.key", "--passphrase-file", "wrong", "--out", "x.key")
        need(not (work / "x.key").exists(), "a file was made")

    def wrong_files_are_refused():
        (work / "text").write_text("no package")
        (work / "empty").write_text('{"participants":[]}')
        tdsa.fails(2, "no recovery package", "recovery", "verify", "text", "--certificate", "first.pem")
        tdsa.fails(2, "no recovery info", "recovery", "verify", "empty", "--certificate", "first.pem")
        tdsa.fails(2, "missing", "recovery", "verify", "missing", "--certificate", "first.pem")
        tdsa.fails(2, "", "recovery", "verify", plain, "--certificate", "text")
        tdsa.fails(6, "for this certificate", "recovery", "verify", plain, "--certificate", "second.pem", "--quiet")
        tdsa.fails(2, "--key FILE or --pkcs11-uri", "recovery", "recover", plain, "--out", "x.key")
        tdsa.fails(2, "", "recovery", "recover", plain, "--key", "text", "--out", "x.key")

    def a_full_disk_leaves_nothing():
        tdsa.fails(1, "No space left", "recovery", "recover", plain, "--key", "first.key", "--out", "/dev/full")

    def a_terminal_shows_how_far_it_is():
        code, shown = tdsa.on_terminal("recovery", "verify", plain, "--certificate", "first.pem")
        need(code == 0 and "recovery infos [" in shown and "3/3" in shown, shown)

    return [a_package_is_checked_without_a_private_key, a_key_is_recovered_and_openssl_signs_with_it, every_curve_comes_back,
            a_short_certificate_is_told, a_corrupt_info_is_named, infos_that_cannot_be_read_are_named_too,
            a_missing_info_is_told, good_infos_suffice_and_the_corrupt_one_is_named, too_few_infos_give_no_key,
            another_public_key_is_refused, several_files_and_certificates_are_one_package,
            an_encrypted_key_wants_its_passphrase, wrong_files_are_refused, a_full_disk_leaves_nothing,
            a_terminal_shows_how_far_it_is]


def token(tdsa):
    work = tdsa.work
    plain = work / "P-256-first.package"
    uri = "pkcs11:token=recovery;object=recovery-key;type=private"

    def env():
        return tdsa.env(1, SOFTHSM2_CONF=str(work / "softhsm2.conf"))

    def a_key_in_a_token_recovers():
        (work / "tokens").mkdir()
        (work / "softhsm2.conf").write_text(f"directories.tokendir = {work}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        (work / "pin").write_text(PIN + "\n")
        (work / "pin").chmod(0o600)
        for command in (["--init-token", "--free", "--label", "recovery", "--so-pin", "so-pin-2718", "--pin", PIN],
                        ["--import", work / "first.key", "--token", "recovery", "--label", "recovery-key", "--id", "01",
                         "--pin", PIN, "--no-public-key"]):
            done = subprocess.run(["softhsm2-util", *map(str, command)], env=env(), capture_output=True, text=True, check=False)
            if done.returncode != 0 and "--no-public-key" in map(str, command):
                done = subprocess.run(["softhsm2-util", *map(str, command[:-1])], env=env(), capture_output=True, text=True,
                                      check=False)
            need(done.returncode == 0, done.stdout + done.stderr)
        tdsa.ok("recovery", "recover", plain, "--pkcs11-uri", uri, "--pin-file", "pin", "--out", "token.key", env=env())
        need((work / "token.key").read_text() == (work / "recovered.key").read_text(), "another key")
        source = f"{uri}?pin-source=file:{work}/pin"
        tdsa.ok("recovery", "recover", plain, "--pkcs11-uri", source, "--out", "source.key", env=env())
        code, shown = tdsa.on_terminal("recovery", "recover", plain, "--pkcs11-uri", uri, "--out", "typed-pin.key", env=env(),
                                       typed=[("PIN of the token:", PIN)])
        need(code == 0 and PIN not in shown, f"exit {code}: {shown}")

    def a_corrupt_info_is_no_trouble_of_the_token():
        bad = spoil(plain, "bad-for-the-token", lambda doc: flip(doc, 0, -1))
        tdsa.ok("recovery", "recover", bad, "--pkcs11-uri", uri, "--pin-file", "pin", "--out", "token2.key", env=env())

    def wrong_tokens_keys_and_pins_are_told():
        def fails(code, part, uri, pin="pin"):
            tdsa.fails(code, part, "recovery", "recover", plain, "--pkcs11-uri", uri, "--pin-file", pin, "--out", "x.key", env=env())

        (work / "wrong-pin").write_text("0000\n")
        fails(1, "PIN", uri, "wrong-pin")
        fails(1, "nowhere", uri.replace("token=recovery", "token=nowhere"))
        fails(1, "no RSA private key", uri.replace("recovery-key", "none"))
        fails(1, "module", f"{uri}?module-path={work}/none.so")
        fails(2, "command line", f"{uri}?pin-value={PIN}")
        fails(2, "type=private", uri.replace("type=private", "type=cert"))

    return [a_key_in_a_token_recovers, a_corrupt_info_is_no_trouble_of_the_token, wrong_tokens_keys_and_pins_are_told]


def audit(tdsa):
    work = tdsa.work
    log = work / "audit.log"

    def a_log_is_checked():
        subprocess.run([tdsa.cluster.build / "tests/e2e/cli/audit_log", log, "5"], check=True)
        doc, _ = report(tdsa, 0, "audit", "verify", "audit.log")
        need((doc["records"], doc["first"], doc["last"], doc["findings"]) == (5, 1, 5, []), doc)
        (work / "noted").write_text(f"{doc['last']}:{doc['lastHash']}")
        need("Records" in tdsa.ok("audit", "verify", "audit.log", "--noted", (work / "noted").read_text()), "people")

    def a_log_in_pieces_is_one_chain():
        os.rename(log, work / "audit.1")
        subprocess.run([tdsa.cluster.build / "tests/e2e/cli/audit_log", log, "3"], check=True)
        doc, _ = report(tdsa, 0, "audit", "verify", "audit.1", "audit.log")
        need(doc["records"] == 8, doc)

    def a_change_ends_with_6_and_the_line_is_named():
        lines = (work / "audit.1").read_text().splitlines(keepends=True)
        for name, text, line in (("edited", lines[0] + lines[1].replace("key.", "kex.") + "".join(lines[2:]), 2),
                                 ("removed", "".join(lines[:2] + lines[3:]), 3),
                                 ("moved", "".join([lines[0], lines[2], lines[1], *lines[3:]]), 2)):
            (work / name).write_text(text)
            doc, err = report(tdsa, 6, "audit", "verify", name)
            need(doc["evidence"] >= 1 and f"line {line}" in json.loads(err)["message"], f"{name}: {doc} {err}")

    def what_a_crash_leaves_is_told_and_harmless():
        text = (work / "audit.1").read_text()
        (work / "torn").write_text(text + text.splitlines()[0][:40])
        doc, _ = report(tdsa, 0, "audit", "verify", "torn")
        need(doc["findings"][0]["flaw"] == "unfinished" and not doc["findings"][0]["evidence"], doc)

    def a_record_that_was_noted_must_be_there():
        noted = (work / "noted").read_text()
        report(tdsa, 6, "audit", "verify", "audit.1", "--noted", noted[:-1] + ("0" if noted[-1] != "0" else "1"))
        report(tdsa, 6, "audit", "verify", "audit.1", "--noted", "99:" + noted.split(":")[1])
        tdsa.fails(2, "--noted", "audit", "verify", "audit.1", "--noted", "5")
        tdsa.fails(2, "missing", "audit", "verify", "missing")

    return [a_log_is_checked, a_log_in_pieces_is_one_chain, a_change_ends_with_6_and_the_line_is_named,
            what_a_crash_leaves_is_told_and_harmless, a_record_that_was_noted_must_be_there]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
