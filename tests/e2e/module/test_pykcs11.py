#!/usr/bin/env python3
"""PyKCS11 over the module: every function of the binding, used well and used wrongly. usage: test_pykcs11.py BUILD"""
import contextlib
import functools
import hashlib
import os
import pathlib
import struct
import sys

SYSTEM = "/usr/bin/python3"  # whose packages are Debian's
try:
    import PyKCS11 as p11
except ImportError:
    if sys.executable != SYSTEM and os.path.exists(SYSTEM):
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    p11 = None

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Client, SKIPPED, run_test  # noqa: E402
from cluster import Problem, need, run_facts  # noqa: E402

CURVES = {  # EC_PARAMS, bytes of a signature, what ECDSA_SHAxxx is used
    "P-256": ("06082a8648ce3d030107", 64, 256),
    "P-384": ("06052b81040022", 96, 384),
    "P-521": ("06052b81040023", 132, 512),
    "secp256k1": ("06052b8104000a", 64, 256),
}
ED25519 = bytes.fromhex("06032b6570")
ACTION_PROHIBITED = 0x1B  # not among the binding's names
BIP340 = 0x80000000 | 0x54445341
MESSAGE = b"what is signed\n" * 100
FUNCTIONS = {name for name in dir(p11.LowLevel.CPKCS11Lib) if name.startswith("C_")} if p11 else set()
NOT_CALLABLE = {"C_GetObjectSize"}  # from Python: nothing makes its last argument


class Recorder:
    """The binding's library; remembers which functions were called. C_Finalize comes with the end of it."""

    def __init__(self, lib):
        self.lib = lib
        self.called = {"C_Initialize"}

    def __getattr__(self, name):
        self.called.add(name)
        return getattr(self.lib, name)


@contextlib.contextmanager
def refused(code):
    try:
        yield
    except p11.PyKCS11Error as error:
        need(error.value == code, f"{error}, not {p11.PyKCS11Error(code)}")
    else:
        raise Problem(f"accepted, not {p11.PyKCS11Error(code)}")


def reported(fact):
    """An error that nobody expected fails the fact, not the script."""
    @functools.wraps(fact)
    def run():
        try:
            fact()
        except p11.PyKCS11Error as error:
            raise Problem(f"{error} at line {error.__traceback__.tb_next.tb_lineno}") from error

    return run


def must(code):
    if code != p11.CKR_OK:
        raise p11.PyKCS11Error(code)


def der(raw):
    """The form of OpenSSL for r | s."""
    def integer(value):
        text = value.lstrip(b"\0")
        text = (b"\0" if not text or text[0] > 127 else b"") + text
        return bytes([2, len(text)]) + text

    both = integer(raw[:len(raw) // 2]) + integer(raw[len(raw) // 2:])
    return (b"\x30" + bytes([len(both)]) if len(both) < 128 else b"\x30\x81" + bytes([len(both)])) + both


class Program:
    """An application in Python."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.pin = cluster.pin
        self.openssl = Client(cluster)
        os.environ.update(cluster.module_env())
        self.lib = p11.PyKCS11Lib()
        self.lib.load(cluster.module)
        self.recorder = self.lib.lib = Recorder(self.lib.lib)
        self.slot = self.lib.getSlotList(tokenPresent=True)[0]
        self.session = self.lib.openSession(self.slot, p11.CKF_RW_SESSION)
        self.keys = {}

    def file(self, name, data):
        (self.cluster.home / name).write_bytes(bytes(data))
        return name

    def generate(self, name, params, private=(), mechanism=None):
        key_id = (p11.CKA_ID, name.encode())
        label = (p11.CKA_LABEL, f"py {name}")
        pair = self.session.generateKeyPair(
            [(p11.CKA_CLASS, p11.CKO_PUBLIC_KEY), (p11.CKA_TOKEN, p11.CK_TRUE), (p11.CKA_EC_PARAMS, params), key_id, label,
             (p11.CKA_VERIFY, p11.CK_TRUE)],
            [(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY), (p11.CKA_TOKEN, p11.CK_TRUE), (p11.CKA_PRIVATE, p11.CK_TRUE), key_id,
             label, (p11.CKA_SIGN, p11.CK_TRUE), (p11.CKA_SENSITIVE, p11.CK_TRUE), *private],
            p11.Mechanism(p11.CKM_EC_KEY_PAIR_GEN if mechanism is None else mechanism))
        self.keys[name] = pair
        return pair

    def get(self, handle, *attributes):
        return self.session.getAttributeValue(handle, list(attributes))

    def find(self, **attributes):
        return self.session.findObjects([(getattr(p11, f"CKA_{name}"), value) for name, value in attributes.items()])

    def openssl_verifies(self, name, signature, *digest):
        key = self.file("key.der", self.get(self.keys[name][0], p11.CKA_PUBLIC_KEY_INFO)[0])
        said = self.openssl.ok("openssl", "dgst", *digest, "-verify", key, "-keyform", "DER", "-signature",
                               self.file("signature", signature), self.file("message", MESSAGE))
        need("Verified OK" in said, said)


class Facts(Program):
    """Each method is a fact; they are run in this order."""

    def library_slot_and_token_say_what_they_are(self):
        info = self.lib.getInfo().to_dict()
        need(info["cryptokiVersion"] == (2, 40) and info["manufacturerID"].strip() == "TDSA", info)
        need(self.lib.getSlotList() == self.lib.getSlotList(tokenPresent=True) == [self.slot], self.lib.getSlotList())
        need("CKF_TOKEN_PRESENT" in self.lib.getSlotInfo(self.slot).flags2text(), str(self.lib.getSlotInfo(self.slot)))
        token = self.lib.getTokenInfo(self.slot)
        need(token.label.strip() == "TDSA" and token.ulSessionCount == token.ulRwSessionCount == 1, str(token))
        need({"CKF_RNG", "CKF_LOGIN_REQUIRED", "CKF_USER_PIN_INITIALIZED", "CKF_TOKEN_INITIALIZED"}
             <= set(token.flags2text()), token.flags2text())
        for ask in (self.lib.getSlotInfo, self.lib.getTokenInfo, self.lib.getMechanismList, self.lib.openSession,
                    self.lib.closeAllSessions):
            with refused(p11.CKR_SLOT_ID_INVALID):
                ask(77)

    def every_mechanism_has_its_information(self):
        flags = {name: set(self.lib.getMechanismInfo(self.slot, name).flags2text()) for name in self.lib.getMechanismList(self.slot)}
        for name in ("CKM_EC_KEY_PAIR_GEN", "CKM_EC_EDWARDS_KEY_PAIR_GEN"):
            need("CKF_GENERATE_KEY_PAIR" in flags.get(name, ()), f"{name}: {flags}")
        for name in ("CKM_ECDSA", "CKM_ECDSA_SHA224", "CKM_ECDSA_SHA256", "CKM_ECDSA_SHA384", "CKM_ECDSA_SHA512",
                     "CKM_EDDSA", f"CKM_VENDOR_DEFINED_0x{BIP340 - p11.CKM_VENDOR_DEFINED:X}"):
            need({"CKF_SIGN", "CKF_VERIFY"} <= flags.get(name, set()), f"{name}: {flags}")
        need(self.lib.getMechanismInfo(self.slot, "CKM_ECDSA").ulMaxKeySize == 521, "CKM_ECDSA is not for P-521")
        with refused(p11.CKR_MECHANISM_INVALID):
            self.lib.getMechanismInfo(self.slot, "CKM_RSA_PKCS")

    def sessions_have_states_and_end(self):
        reader = self.lib.openSession(self.slot)
        need(reader.getSessionInfo().state2text() == "CKS_RO_PUBLIC_SESSION", str(reader.getSessionInfo()))
        need(self.session.getSessionInfo().state2text() == "CKS_RW_PUBLIC_SESSION", str(self.session.getSessionInfo()))
        need(self.lib.getTokenInfo(self.slot).ulSessionCount == 2, "not two sessions")
        reader.closeSession()
        for ask in (reader.getSessionInfo, reader.closeSession, reader.logout, reader.findObjects):
            with refused(p11.CKR_SESSION_HANDLE_INVALID):
                ask()
        self.lib.closeAllSessions(self.slot)
        with refused(p11.CKR_SESSION_HANDLE_INVALID):
            self.session.getSessionInfo()
        self.session = self.lib.openSession(self.slot, p11.CKF_RW_SESSION)
        with refused(p11.CKR_NO_EVENT):
            self.lib.waitForSlotEvent(p11.CKF_DONT_BLOCK)

    def what_only_an_administrator_does_is_refused(self):
        for ask in ((self.lib.initToken, self.slot, self.pin, "other"), (self.session.initPin, "1234"),
                    (self.session.setPin, self.pin, "1234")):
            with refused(p11.CKR_FUNCTION_NOT_SUPPORTED):
                ask[0](*ask[1:])

    def logins_that_cannot_be_are_refused(self):
        for code, pin, user in ((p11.CKR_PIN_INCORRECT, "no pin", p11.CKU_USER),
                                (p11.CKR_USER_TYPE_INVALID, self.pin, p11.CKU_SO),
                                (p11.CKR_USER_TYPE_INVALID, self.pin, 99),
                                (p11.CKR_OPERATION_NOT_INITIALIZED, self.pin, p11.CKU_CONTEXT_SPECIFIC)):
            with refused(code):
                self.session.login(pin, user)
        with refused(p11.CKR_USER_NOT_LOGGED_IN):
            self.session.logout()
        with refused(p11.CKR_USER_NOT_LOGGED_IN):
            self.generate("early", bytes.fromhex(CURVES["P-256"][0]))

    def a_login_is_of_all_sessions(self):
        reader = self.lib.openSession(self.slot)
        self.session.login(self.pin)
        need(reader.getSessionInfo().state2text() == "CKS_RO_USER_FUNCTIONS", str(reader.getSessionInfo()))
        with refused(p11.CKR_USER_ALREADY_LOGGED_IN):
            reader.login(self.pin)
        reader.closeSession()

    def random_bytes_differ(self):
        self.session.seedRandom([1, 2, 3])
        first, second = bytes(self.session.generateRandom(32)), bytes(self.session.generateRandom(32))
        need(len(first) == 32 and first != second, f"{first.hex()} {second.hex()}")

    def digests_are_those_of_hashlib(self):
        for name in ("SHA_1", "SHA224", "SHA256", "SHA384", "SHA512"):
            mechanism = p11.Mechanism(getattr(p11, f"CKM_{name}"))
            expected = hashlib.new(name.replace("_", ""), MESSAGE).digest()
            need(bytes(self.session.digest(MESSAGE, mechanism)) == expected, name)
            parts = self.session.digestSession(mechanism)
            need(bytes(parts.update(MESSAGE[:1]).update(MESSAGE[1:]).final()) == expected, f"{name} in parts")
        for bits, mechanism in ((224, 0x2B5), (256, 0x2B0), (384, 0x2C0), (512, 0x2D0)):  # not among the binding's names
            digest = self.session.digest(MESSAGE, p11.Mechanism(mechanism))
            need(bytes(digest) == hashlib.new(f"sha3_{bits}", MESSAGE).digest(), f"SHA-3 of {bits} bits")
        with refused(p11.CKR_OPERATION_NOT_INITIALIZED):
            parts.update(b"after the end")
        with refused(p11.CKR_MECHANISM_INVALID):
            self.session.digest(MESSAGE, p11.Mechanism(p11.CKM_MD5))

    def keys_of_every_curve_are_made_and_found(self):
        for name, (params, _, _) in CURVES.items():
            public, private = self.generate(name, bytes.fromhex(params))
            need([handle.value() for handle in self.find(CLASS=p11.CKO_PRIVATE_KEY, ID=name.encode())]
                 == [private.value()], f"{name}: the private key is not found by its id")
            need([handle.value() for handle in self.find(CLASS=p11.CKO_PUBLIC_KEY, LABEL=f"py {name}")]
                 == [public.value()], f"{name}: the public key is not found by its label")
            need(self.get(public, p11.CKA_EC_POINT, p11.CKA_PUBLIC_KEY_INFO)
                 == self.get(private, p11.CKA_EC_POINT, p11.CKA_PUBLIC_KEY_INFO), f"{name}: the halves differ")
        need(len(self.find()) == 2 * len(CURVES), f"{len(self.find())} objects")
        need(self.find(LABEL="nobody") == [], "something is found by a label that nobody has")

    def to_dict_reads_all_attributes(self):
        def fields(kind, name):
            return self.find(CLASS=kind, ID=name.encode())[0].to_dict()

        private, public = fields(p11.CKO_PRIVATE_KEY, "P-256"), fields(p11.CKO_PUBLIC_KEY, "P-256")
        for name, value in (("CLASS", "CKO_PRIVATE_KEY"), ("KEY_TYPE", "CKK_EC"), ("LABEL", "py P-256"), ("SIGN", True),
                            ("TOKEN", True), ("PRIVATE", True), ("SENSITIVE", True), ("ALWAYS_SENSITIVE", True),
                            ("EXTRACTABLE", False), ("NEVER_EXTRACTABLE", True), ("LOCAL", True), ("DECRYPT", False),
                            ("UNWRAP", False), ("DERIVE", False), ("ALWAYS_AUTHENTICATE", False),
                            ("KEY_GEN_MECHANISM", p11.CKM_EC_KEY_PAIR_GEN)):
            need(private[f"CKA_{name}"] == value, f"{name} of the private key: {private}")
        for name, value in (("CLASS", "CKO_PUBLIC_KEY"), ("VERIFY", True), ("PRIVATE", False), ("ENCRYPT", False),
                            ("WRAP", False), ("LOCAL", True)):
            need(public[f"CKA_{name}"] == value, f"{name} of the public key: {public}")
        need("CKA_VALUE" not in private and "CKA_VALUE" not in public, "there is a value")

    def the_value_of_a_private_key_stays_secret(self):
        template = p11.LowLevel.ckattrlist(1)
        template[0].SetType(p11.CKA_VALUE)
        with refused(p11.CKR_ATTRIBUTE_SENSITIVE):
            must(self.session.lib.C_GetAttributeValue(self.session.session, self.keys["P-256"][1], template))
        need(self.get(self.keys["P-256"][1], p11.CKA_VALUE, p11.CKA_SIGN, p11.CKA_MODULUS) == [None, True, None], "shown")

    def signatures_verify_in_openssl_and_in_the_module(self):
        for name, (_, length, bits) in CURVES.items():
            public, private = self.keys[name]
            hashed = p11.Mechanism(getattr(p11, f"CKM_ECDSA_SHA{bits}"))
            digest = hashlib.new(f"sha{bits}", MESSAGE).digest()
            for data, mechanism in ((MESSAGE, hashed), (digest, p11.Mechanism(p11.CKM_ECDSA))):
                signature = self.session.sign(private, data, mechanism)
                need(len(signature) == length, f"{name}: {len(signature)} bytes")
                self.openssl_verifies(name, der(bytes(signature)), f"-sha{bits}")
                need(self.session.verify(public, MESSAGE, signature, hashed), f"{name}: not verified")
                need(self.session.verify(public, digest, signature, p11.Mechanism(p11.CKM_ECDSA)), f"{name}: not verified")
                need(not self.session.verify(public, MESSAGE + b"x", signature, hashed), f"{name}: another message verifies")

    def of_data_longer_than_the_order_ecdsa_takes_the_leftmost_bits(self):
        public, private = self.keys["P-256"]
        ecdsa = p11.Mechanism(p11.CKM_ECDSA)
        need(self.session.verify(public, MESSAGE[:32], self.session.sign(private, MESSAGE[:50], ecdsa), ecdsa), "others")

    def messages_are_signed_and_verified_in_parts(self):
        public, private = self.keys["P-256"]
        lib, session = self.session.lib, self.session.session
        mechanism = p11.Mechanism(p11.CKM_ECDSA_SHA256).to_native()
        signature = p11.ckbytelist()
        must(lib.C_SignInit(session, mechanism, private))
        for part in (MESSAGE[:7], MESSAGE[7:]):
            must(lib.C_SignUpdate(session, p11.ckbytelist(part)))
        must(lib.C_SignFinal(session, signature))  # how long it will be
        must(lib.C_SignFinal(session, signature))
        self.openssl_verifies("P-256", der(bytes(signature)), "-sha256")
        for wrong, code in ((b"", p11.CKR_OK), (b"x", p11.CKR_SIGNATURE_INVALID)):
            must(lib.C_VerifyInit(session, mechanism, public))
            must(lib.C_VerifyUpdate(session, p11.ckbytelist(MESSAGE + wrong)))
            need(lib.C_VerifyFinal(session, signature) == code, f"not {p11.CKR[code]}")

    def ed25519_signs(self):
        public, private = self.generate("ed25519", ED25519, mechanism=p11.CKM_EC_EDWARDS_KEY_PAIR_GEN)
        need(self.get(private, p11.CKA_KEY_TYPE) == [p11.CKK_EC_EDWARDS], "another type")
        point = bytes(self.get(public, p11.CKA_EC_POINT)[0])
        need(len(point) == 34 and point[:2] == b"\x04\x20", f"not an octet string, as 2.40 has it: {point.hex()}")
        mechanism = p11.Mechanism(p11.CKM_EDDSA)
        signature = self.session.sign(private, MESSAGE, mechanism)
        need(self.session.verify(public, MESSAGE, signature, mechanism), "not verified")
        need(not self.session.verify(public, MESSAGE[1:], signature, mechanism), "another message verifies")
        key = self.file("key.der", self.get(public, p11.CKA_PUBLIC_KEY_INFO)[0])
        self.openssl.ok("openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", key, "-in",
                        self.file("message", MESSAGE), "-sigfile", self.file("signature", signature))
        with refused(p11.CKR_KEY_TYPE_INCONSISTENT):
            self.session.sign(private, bytes(32), p11.Mechanism(p11.CKM_ECDSA))

    def bip340_signs(self):
        only = (p11.CKA_ALLOWED_MECHANISMS, struct.pack("=Q", BIP340))
        public, private = self.generate("bip340", bytes.fromhex(CURVES["secp256k1"][0]), private=[only])
        mechanism = p11.Mechanism(BIP340)
        signature = self.session.sign(private, bytes(32), mechanism)
        need(len(signature) == 64 and self.session.verify(public, bytes(32), signature, mechanism), "not verified")
        need(not self.session.verify(public, bytes(31) + b"x", signature, mechanism), "another message verifies")
        with refused(p11.CKR_MECHANISM_INVALID):
            self.session.sign(private, MESSAGE[:32], p11.Mechanism(p11.CKM_ECDSA))

    def a_key_can_ask_for_the_pin_each_time(self):
        lib, session = self.session.lib, self.session.session
        _, private = self.generate("ask", bytes.fromhex(CURVES["P-256"][0]),
                                   private=[(p11.CKA_ALWAYS_AUTHENTICATE, p11.CK_TRUE)])
        mechanism = p11.Mechanism(p11.CKM_ECDSA_SHA256)
        with refused(p11.CKR_USER_NOT_LOGGED_IN):
            self.session.sign(private, MESSAGE, mechanism)
        for pin, code in (("no pin", p11.CKR_PIN_INCORRECT), (self.pin, p11.CKR_OK)):
            signature = p11.ckbytelist([0] * 64)
            must(lib.C_SignInit(session, mechanism.to_native(), private))
            need(lib.C_Login(session, p11.CKU_CONTEXT_SPECIFIC, p11.ckbytelist(pin)) == code, f"not {p11.CKR[code]}")
            done = lib.C_Sign(session, p11.ckbytelist(MESSAGE), signature)
            need((done == p11.CKR_OK) == (code == p11.CKR_OK), p11.CKR[done])
        self.openssl_verifies("ask", der(bytes(signature)), "-sha256")

    def a_session_key_signs_and_ends_with_its_session(self):
        passing = self.lib.openSession(self.slot)
        no, params = (p11.CKA_TOKEN, p11.CK_FALSE), bytes.fromhex(CURVES["P-256"][0])
        public, private = passing.generateKeyPair([no, (p11.CKA_EC_PARAMS, params)], [no],
                                                  p11.Mechanism(p11.CKM_EC_KEY_PAIR_GEN))
        mechanism = p11.Mechanism(p11.CKM_ECDSA_SHA256)
        signature = self.session.sign(private, MESSAGE, mechanism)  # any session of the application can
        need(passing.verify(public, MESSAGE, signature, mechanism), "not verified")
        log = self.cluster.dir / "logs" / "module.log"
        before, told = len(log.read_text()), [self.cluster.log(index).count("is to be deleted") for index in (1, 2)]
        passing.closeSession()
        need("is lost" not in log.read_text()[before:], f"the order was cut off: {log.read_text()[before:]}")
        need([self.cluster.log(index).count("is to be deleted") for index in (1, 2)] == [n + 1 for n in told],
             "the participants did not hear of it")
        for handle in (public, private):
            with refused(p11.CKR_OBJECT_HANDLE_INVALID):
                self.get(handle, p11.CKA_CLASS)

    def objects_that_are_no_keys_are_kept(self):
        self.openssl.ok("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        "other.key", "-subj", "/CN=py", "-outform", "DER", "-out", "cert.der")
        value = (self.cluster.home / "cert.der").read_bytes()
        cert = self.session.createObject([
            (p11.CKA_CLASS, p11.CKO_CERTIFICATE), (p11.CKA_CERTIFICATE_TYPE, p11.CKC_X_509), (p11.CKA_TOKEN, p11.CK_TRUE),
            (p11.CKA_SUBJECT, bytes.fromhex("300d310b300906035504030c027079")), (p11.CKA_VALUE, value),
            (p11.CKA_ID, b"P-256"), (p11.CKA_LABEL, "py cert")])
        data = self.session.createObject([
            (p11.CKA_CLASS, p11.CKO_DATA), (p11.CKA_TOKEN, p11.CK_TRUE), (p11.CKA_PRIVATE, p11.CK_TRUE),
            (p11.CKA_APPLICATION, "test"), (p11.CKA_LABEL, "py data"), (p11.CKA_VALUE, MESSAGE)])
        passing = self.session.createObject([(p11.CKA_CLASS, p11.CKO_DATA), (p11.CKA_TOKEN, p11.CK_FALSE),
                                             (p11.CKA_LABEL, "py passing"), (p11.CKA_VALUE, b"1")])
        need(bytes(self.get(cert, p11.CKA_VALUE)[0]) == value, "another certificate")
        need(self.find(LABEL="py cert")[0].to_dict()["CKA_CERTIFICATE_TYPE"] == "CKC_X_509", "another type")
        need(bytes(self.get(data, p11.CKA_VALUE)[0]) == MESSAGE, "other data")
        need(len(self.find(CLASS=p11.CKO_DATA)) == 2, "not two data objects")
        other = self.lib.openSession(self.slot)
        self.session.closeSession()
        self.session, kept = self.lib.openSession(self.slot, p11.CKF_RW_SESSION), other.findObjects([(p11.CKA_CLASS, p11.CKO_DATA)])
        other.closeSession()
        need([handle.value() for handle in kept] == [data.value()], "a session object outlives its session")
        with refused(p11.CKR_OBJECT_HANDLE_INVALID):
            self.get(passing, p11.CKA_LABEL)
        for handle in (cert, data):
            self.session.destroyObject(handle)
        need(self.find(LABEL="py cert") == self.find(LABEL="py data") == [], "still there")

    def objects_that_cannot_be_are_refused(self):
        with refused(ACTION_PROHIBITED):  # imports are off
            self.session.createObject([
                (p11.CKA_CLASS, p11.CKO_PRIVATE_KEY), (p11.CKA_KEY_TYPE, p11.CKK_EC), (p11.CKA_TOKEN, p11.CK_TRUE),
                (p11.CKA_EC_PARAMS, bytes.fromhex(CURVES["P-256"][0])), (p11.CKA_VALUE, bytes(31) + b"\x07")])
        with refused(p11.CKR_TEMPLATE_INCONSISTENT):
            self.session.createObject([(p11.CKA_CLASS, p11.CKO_SECRET_KEY), (p11.CKA_KEY_TYPE, p11.CKK_AES),
                                       (p11.CKA_VALUE, bytes(16))])
        reader = self.lib.openSession(self.slot)
        with refused(p11.CKR_SESSION_READ_ONLY):
            reader.destroyObject(self.keys["P-256"][1])
        with refused(p11.CKR_SESSION_READ_ONLY):
            reader.setAttributeValue(self.keys["P-256"][1], [(p11.CKA_LABEL, "new")])
        reader.closeSession()

    def names_change_and_other_attributes_do_not(self):
        public, private = self.keys["P-384"]
        self.session.setAttributeValue(private, [(p11.CKA_LABEL, "new name"), (p11.CKA_ID, b"new id")])
        need(self.get(public, p11.CKA_LABEL) == ["new name"], "the label of the public key is the old one")
        need([handle.value() for handle in self.find(CLASS=p11.CKO_PRIVATE_KEY, ID=b"new id")] == [private.value()],
             "not found by its new id")
        need(self.find(ID=b"P-384") == [], "found by its old id")
        for attribute, value in ((p11.CKA_EXTRACTABLE, p11.CK_TRUE), (p11.CKA_SENSITIVE, p11.CK_FALSE),
                                 (p11.CKA_LOCAL, p11.CK_FALSE), (p11.CKA_KEY_TYPE, p11.CKK_RSA)):
            with refused(p11.CKR_ATTRIBUTE_READ_ONLY):
                self.session.setAttributeValue(private, [(attribute, value)])

    def keys_that_cannot_be_are_refused(self):
        for code, params, private, mechanism in (
                (p11.CKR_CURVE_NOT_SUPPORTED, bytes.fromhex("06052b81040020"), (), p11.CKM_EC_KEY_PAIR_GEN),
                (p11.CKR_MECHANISM_INVALID, b"", (), p11.CKM_RSA_PKCS_KEY_PAIR_GEN),
                (p11.CKR_TEMPLATE_INCONSISTENT, bytes.fromhex(CURVES["P-256"][0]), [(p11.CKA_EXTRACTABLE, p11.CK_TRUE)],
                 p11.CKM_EC_KEY_PAIR_GEN)):
            with refused(code):
                self.generate("never", params, private=private, mechanism=mechanism)
        need(self.find(ID=b"never") == [], "something was made")

    def wrong_uses_get_their_codes(self):
        public, private = self.keys["P-256"]
        lib, session = self.session.lib, self.session.session
        ecdsa = p11.Mechanism(p11.CKM_ECDSA)
        for code, key, data, mechanism in (
                (p11.CKR_KEY_FUNCTION_NOT_PERMITTED, public, bytes(32), ecdsa),
                (p11.CKR_DATA_LEN_RANGE, self.keys["P-521"][1], bytes(200), ecdsa),
                (p11.CKR_DATA_INVALID, private, bytes(32), ecdsa),  # anybody can sign zero
                (p11.CKR_MECHANISM_INVALID, private, bytes(32), p11.Mechanism(p11.CKM_RSA_PKCS)),
                (p11.CKR_KEY_TYPE_INCONSISTENT, private, bytes(32), p11.Mechanism(p11.CKM_EDDSA))):
            with refused(code):
                self.session.sign(key, data, mechanism)
        for code, key, signature in ((p11.CKR_KEY_FUNCTION_NOT_PERMITTED, private, bytes(64)),
                                     (p11.CKR_SIGNATURE_LEN_RANGE, public, bytes(63))):
            with refused(code):
                self.session.verify(key, bytes(32), p11.ckbytelist(signature), ecdsa)
        nobody = p11.CK_OBJECT_HANDLE(self.session)
        nobody.assign(0x7fffffff)
        with refused(p11.CKR_KEY_HANDLE_INVALID):
            self.session.sign(nobody, bytes(32), ecdsa)
        with refused(p11.CKR_OBJECT_HANDLE_INVALID):
            self.get(nobody, p11.CKA_LABEL)
        for call in (lib.C_Sign, lib.C_Verify):
            with refused(p11.CKR_OPERATION_NOT_INITIALIZED):
                must(call(session, p11.ckbytelist(bytes(32)), p11.ckbytelist(bytes(64))))
        must(lib.C_SignInit(session, ecdsa.to_native(), private))
        with refused(p11.CKR_OPERATION_ACTIVE):
            self.session.sign(private, bytes(32), ecdsa)
        small = p11.ckbytelist(bytes(10))
        with refused(p11.CKR_BUFFER_TOO_SMALL):
            must(lib.C_Sign(session, p11.ckbytelist(MESSAGE[:32]), small))
        enough = p11.ckbytelist(bytes(64))
        must(lib.C_Sign(session, p11.ckbytelist(MESSAGE[:32]), enough))  # the operation went on

    def what_the_token_does_not_do_is_refused(self):
        public, private = self.keys["P-256"]
        lib, session = self.session.lib, self.session.session
        out = p11.ckbytelist()
        for ask in ((self.session.encrypt, public, b"1"), (self.session.decrypt, private, b"1"),
                    (self.session.unwrapKey, private, b"1", []), (self.session.generateKey, []),
                    (self.session.deriveKey, private, [], p11.ECDH1_DERIVE_Mechanism(bytes(65))),
                    (self.session.digestSession(p11.Mechanism(p11.CKM_SHA256)).digestKey, private)):
            with refused(p11.CKR_FUNCTION_NOT_SUPPORTED):
                ask[0](*ask[1:])
        for name in ("Encrypt", "Decrypt"):
            for arguments in (("", p11.ckbytelist(b"1"), out), ("Update", p11.ckbytelist(b"1"), out), ("Final", out)):
                with refused(p11.CKR_FUNCTION_NOT_SUPPORTED):
                    must(getattr(lib, f"C_{name}{arguments[0]}")(session, *arguments[1:]))
        with refused(p11.CKR_KEY_UNEXTRACTABLE):
            self.session.wrapKey(public, private)

    def who_waits_hears_when_signatures_cannot_be_made_and_can_again(self):
        def event(missing):
            need(self.lib.waitForSlotEvent() == self.slot, "of another slot")
            told = self.session.getSessionInfo().to_dict()["ulDeviceError"]
            # on a busy machine the other one may be slow to answer as well
            need(told & missing == missing and (told == 0) == (missing == 0), f"missing participants: {told:#b}, not {missing:#b}")

        self.cluster.stop(2)
        event(1 << 2)
        self.cluster.start(2)
        self.cluster.wait_ready(2)
        event(0)
        mechanism = p11.Mechanism(p11.CKM_ECDSA_SHA256)
        self.openssl_verifies("P-256", der(bytes(self.session.sign(self.keys["P-256"][1], MESSAGE, mechanism))), "-sha256")

    def keys_are_destroyed_and_private_ones_hidden_after_logout(self):
        for name, (public, private) in self.keys.items():
            self.session.destroyObject(private)
            for handle in (public, private):
                with refused(p11.CKR_OBJECT_HANDLE_INVALID):
                    self.get(handle, p11.CKA_LABEL)
            need(self.find(ID=name.encode()) == [], f"{name} is still there")
        self.generate("last", bytes.fromhex(CURVES["P-256"][0]))
        self.session.logout()
        need([self.get(handle, p11.CKA_CLASS) for handle in self.find()] == [[p11.CKO_PUBLIC_KEY]], "others are visible")
        with refused(p11.CKR_USER_NOT_LOGGED_IN):
            self.session.logout()

    def every_function_of_the_binding_was_called(self):
        must(self.recorder.C_Finalize())
        with refused(p11.CKR_CRYPTOKI_NOT_INITIALIZED):
            self.lib.getInfo()
        missing = FUNCTIONS - NOT_CALLABLE - self.recorder.called
        need(not missing, f"not called: {sorted(missing)}")


def main(cluster):
    facts = Facts(cluster)
    return run_facts([reported(getattr(facts, name)) for name, member in vars(Facts).items() if callable(member)])


if __name__ == "__main__":
    if p11 is None:
        print("SKIPPED PyKCS11 is not installed")
        sys.exit(SKIPPED)
    run_test(main)
