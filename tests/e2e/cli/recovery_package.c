#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "support/recovery_kit.h"

/*
 * A recovery package of a key that is made here: what daemons answer, without daemons, on any curve.
 * usage: recovery_package CURVE N T CERTIFICATE [CERTIFICATE...] (DER files) > package
 */

static void put_file_info(protocol_run *r, uint16_t i, const char *path, const char *before)
{
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    static uint8_t der[TDSA_RSA_CERT_LEN_MAX];
    tdsa_rsa_cert *cert = NULL;
    FILE *f = fopen(path, "rb");
    char name[65];
    tdsa_err err;
    size_t len;

    len = f != NULL ? fread(der, 1, sizeof der, f) : 0;
    if (f == NULL || fclose(f) != 0 || tdsa_rsa_cert_new(&cert, der, len, &err) != TDSA_OK) {
        (void)fprintf(stderr, "recovery_package: %s is no certificate\n", path);
        exit(1);
    }
    recovery_kit_make(&info, r, i, cert, "a letter to the heirs");
    tdsa_base64url_encode(&text, info.data, info.len);
    tdsa_hex(name, tdsa_rsa_cert_facts(cert)->sha256, 32);
    (void)printf("%s{\"certificate\":\"%s\",\"recoveryInfo\":\"%.*s\"}", before, name,
                 (int)text.len, (const char *)text.data);
    tdsa_rsa_cert_free(cert);
}

int main(int argc, char **argv)
{
    static protocol_run run;
    grp_curve curve;
    uint16_t n, t;

    if (argc < 5 || !grp_curve_by_name(&curve, argv[1])) {
        (void)fputs("usage: recovery_package CURVE N T CERTIFICATE...\n", stderr);
        return 2;
    }
    n = (uint16_t)strtoul(argv[2], NULL, 10);
    t = (uint16_t)strtoul(argv[3], NULL, 10);
    run_init(&run, curve, n, t, "package");
    run.policy.reshare = true;
    if (run_keygen(&run, "RecoveredKey") != n) {
        return 1;
    }
    (void)printf("{\"keyId\":\"RecoveredKey\",\"epoch\":0,\"participants\":[");
    for (uint16_t i = 0; i < n; i++) {
        (void)printf("%s{\"participantIndex\":%u,\"infos\":[", i > 0 ? "," : "", i);
        for (int k = 4; k < argc; k++) {
            put_file_info(&run, i, argv[k], k > 4 ? "," : "");
        }
        (void)printf("]}");
    }
    (void)printf("]}\n");
    run_clear(&run);
    return fflush(stdout) == 0 ? 0 : 1;
}
