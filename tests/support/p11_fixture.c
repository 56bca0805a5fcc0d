#include "support/p11_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/fake_engine.h"

static char folder[64];

const CK_BYTE p11_oid_p256[10] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
const CK_BYTE p11_oid_secp256k1[7] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a};

/* Keys for tests only: the ones of examples/configurations. */
static const char config_text[] =
    "tdsaLibrary:\n"
    "  participantIndex: 0\n"
    "  clientIndex: 0\n"
    "  remoteParticipants:\n"
    "    -\n"
    "    - - id: alpha\n"
    "        uri: http://127.0.0.1:1\n"
    "        primaryPublicKey: MCowBQYDK2VuAyEAT3qKAQB7dPvsQGHVvP9JoV334c2Qguubyr2YSChz3Vg\n"
    "        secondaryPublicKey: MEIwBQYDK2VvAzkAR4SsVPA35SI7z4zT8-5vR7PKTd99y9RtsYLp6onJU_ReqYIQO6"
    "HKc_TyBD1blPIanPyJrGbh0DY\n"
    "    - - id: beta\n"
    "        uri: http://127.0.0.1:1\n"
    "        primaryPublicKey: MCowBQYDK2VuAyEAkRTHR9DNMTqKShi-usPemKVNj4T1qeVr9EkNMqX3w18\n"
    "        secondaryPublicKey: MEIwBQYDK2VvAzkAcuRU6BKK5EUdBNUqZrHeDKduS9yyOtrQcRo14aIEnfBBnHnEKq"
    "-8uqtQv7DE1ZUnhuhAYulcZ2Q\n"
    "  participantIds: [ null, alpha, beta ]\n"
    "  participantPrimaryPrivateKey: MC4CAQAwBQYDK2VuBCIEIKB6PcTpzkw9VC1fBp0641rq-fRMV3WkPJgC1bWS2N"
    "Zs\n"
    "  participantSecondaryPrivateKey: MEYCAQAwBQYDK2VvBDoEOJi54dr0j-S5hNQskf5RZTPXREJ7X10IyIrES95C"
    "kQJTVCwI5LklwPnNK_O7pEorTa-1HsCISE7O\n"
    "  storageConfiguration:\n"
    "    encryptionKey: a key for tests\n"
    "database:\n"
    "  url: jdbc:sqlite:file:%s/client.db\n"
    "pkcs11:\n"
    "  tokenLabel: unit tests\n"
    "%s";

void p11_write_config(const char *extra)
{
    char path[128];
    FILE *f = NULL;

    (void)snprintf(folder, sizeof folder, "/tmp/tdsa-p11-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/pkcs11.yml", folder);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fprintf(f, config_text, folder, extra) > 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(setenv("TDSA_PKCS11_CONFIG", path, 1), 0);
}

void p11_remove_config(void)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/pkcs11.yml", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

int p11_setup(void **state)
{
    (void)state;
    fake_reset();
    p11_write_config("  ecdsaSha1: false\n");
    P11_OK(C_Initialize(NULL));
    return 0;
}

int p11_teardown(void **state)
{
    (void)state;
    (void)C_Finalize(NULL);
    p11_remove_config();
    return 0;
}

int p11_setup_kinds(void **state)
{
    const int rc = p11_setup(state);

    fake_other_process_adds("key-p256", GRP_P256, "p256");
    fake_other_process_adds("key-ed", GRP_ED25519, "ed");
    fake_other_process_adds("key-k1", GRP_SECP256K1, "k1");
    return rc;
}

CK_RV p11_restart(const char *extra)
{
    (void)C_Finalize(NULL);
    p11_remove_config();
    p11_write_config(extra);
    return C_Initialize(NULL);
}

CK_SESSION_HANDLE p11_open(CK_FLAGS flags)
{
    CK_SESSION_HANDLE s = 0;

    P11_OK(C_OpenSession(0, flags | CKF_SERIAL_SESSION, NULL, NULL, &s));
    return s;
}

CK_RV p11_login(CK_SESSION_HANDLE s, const char *pin)
{
    CK_UTF8CHAR copy[300];

    memcpy(copy, pin, strlen(pin));
    return C_Login(s, CKU_USER, copy, strlen(pin));
}

CK_SESSION_HANDLE p11_open_user(void)
{
    const CK_SESSION_HANDLE s = p11_open(CKF_RW_SESSION);

    P11_OK(p11_login(s, FAKE_PIN));
    return s;
}

void p11_make_pair(CK_SESSION_HANDLE s, const char *label, CK_OBJECT_HANDLE *pub,
                   CK_OBJECT_HANDLE *priv)
{
    CK_MECHANISM mech = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_OBJECT_CLASS pub_class = CKO_PUBLIC_KEY;
    CK_OBJECT_CLASS priv_class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_BBOOL yes = CK_TRUE;
    CK_BYTE oid[sizeof p11_oid_p256];
    char name[64];
    CK_ATTRIBUTE pub_templ[] = {
        {CKA_CLASS, &pub_class, sizeof pub_class},
        {CKA_TOKEN, &yes, sizeof yes},
        {CKA_VERIFY, &yes, sizeof yes},
        {CKA_DERIVE, &yes, sizeof yes},
        {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_EC_PARAMS, oid, sizeof oid},
        {CKA_LABEL, name, strlen(label)},
    };
    CK_ATTRIBUTE priv_templ[] = {
        {CKA_CLASS, &priv_class, sizeof priv_class},
        {CKA_TOKEN, &yes, sizeof yes},
        {CKA_PRIVATE, &yes, sizeof yes},
        {CKA_SENSITIVE, &yes, sizeof yes},
        {CKA_SIGN, &yes, sizeof yes},
        {CKA_DERIVE, &yes, sizeof yes},
        {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_LABEL, name, strlen(label)},
    };

    memcpy(oid, p11_oid_p256, sizeof oid);
    (void)snprintf(name, sizeof name, "%s", label);
    P11_OK(C_GenerateKeyPair(s, &mech, pub_templ, sizeof pub_templ / sizeof pub_templ[0],
                             priv_templ, sizeof priv_templ / sizeof priv_templ[0], pub, priv));
}
