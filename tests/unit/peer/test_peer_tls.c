#include "unit/peer/exchange_fixture.h"
#include "unit/peer/raw_server.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* HTTPS as a balancer in front of a peer would speak it. The certificates are made anew. */

static char folder[] = "/tmp/tdsa-test-tls-XXXXXX";

static void path_of(char out[PEER_URL_MAX], const char *name)
{
    (void)snprintf(out, PEER_URL_MAX, "%s/%s", folder, name);
}

static void run_program(const char *const argv[])
{
    union { /* execvp takes no const */
        const char *const *in;
        char *const *out;
    } args = {.in = argv};
    int status = -1;
    const pid_t pid = fork();

    if (pid == 0) {
        if (freopen("/dev/null", "w", stderr) != NULL) {
            (void)execvp(args.out[0], args.out);
        }
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* A certificate that signs itself, with its key in one PEM file. */
static void make_certificate(const char *name, const char *alt_name)
{
    char path[PEER_URL_MAX];
    char key[PEER_URL_MAX + 4];
    char subject[64];
    char extension[64];
    const char *const argv[] = {
        "openssl", "req",   "-x509", "-newkey", "ec",    "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes",  "-days", "1",     "-subj",   subject, "-addext",  extension,
        "-keyout", key,     "-out",  path,      NULL};

    path_of(path, name);
    (void)snprintf(key, sizeof key, "%s.key", path);
    (void)snprintf(subject, sizeof subject, "/CN=%s", name);
    (void)snprintf(extension, sizeof extension, "subjectAltName=%s", alt_name);
    run_program(argv);
}

typedef struct {
    pid_t pid;
    unsigned port;
} tls_server;

static tls_server start_server(const char *certificate, const char *client_ca)
{
    char cert[PEER_URL_MAX];
    char key[PEER_URL_MAX + 4];
    char ca[PEER_URL_MAX];
    tls_server s = {-1, 0};
    int out[2];
    FILE *in = NULL;

    path_of(cert, certificate);
    (void)snprintf(key, sizeof key, "%s.key", cert);
    path_of(ca, client_ca == NULL ? "" : client_ca);
    assert_int_equal(pipe(out), 0);
    s.pid = fork();
    if (s.pid == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        (void)execlp("python3", "python3", TDSA_TESTS_DIR "/unit/peer/tls_server.py", cert, key,
                     client_ca == NULL ? (char *)NULL : ca, (char *)NULL);
        _exit(127);
    }
    (void)close(out[1]);
    in = fdopen(out[0], "r");
    assert_non_null(in);
    assert_int_equal(fscanf(in, "%u", &s.port), 1);
    (void)fclose(in);
    return s;
}

static void stop_server(tls_server *s)
{
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
}

/* One exchange; the detail of a failure is left in `detail`. */
static tdsa_status exchange_with(const tls_server *s, const peer_http_cfg *cfg, char detail[160])
{
    peer_http *h = NULL;
    char url[64];
    peer_request r;
    tdsa_err err;

    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/x", s->port);
    assert_int_equal(peer_http_new(&h, cfg, &err), TDSA_OK);
    for (int i = 0; i < 2; i++) { /* twice: a new and a kept connection */
        r = request(url, "abc", 3);
        run_one(h, &r, 60000);
        if (r.status == TDSA_OK) {
            assert_int_equal(r.reply.len, 3);
        }
        tdsa_buf_clear(&r.reply);
    }
    (void)snprintf(detail, 160, "%s", r.detail);
    peer_http_free(h);
    return r.status;
}

static int make_all(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    make_certificate("good", "IP:127.0.0.1");
    make_certificate("elsewhere", "DNS:elsewhere.example");
    make_certificate("client", "DNS:client.example");
    return 0;
}

static int remove_all(void **state)
{
    const char *const argv[] = {"rm", "-r", folder, NULL};

    (void)state;
    run_program(argv);
    return 0;
}

static void a_certificate_must_be_known(void **state)
{
    tls_server s = start_server("good", NULL);
    peer_http_cfg cfg = default_cfg;
    char detail[160];

    (void)state;
    cfg.verify_hostname = true;
    assert_int_equal(exchange_with(&s, &cfg, detail), TDSA_E_UNAVAILABLE); /* the system's CAs */
    assert_non_null(strstr(detail, "certificate"));
    path_of(cfg.ca_file, "elsewhere");
    assert_int_equal(exchange_with(&s, &cfg, detail), TDSA_E_UNAVAILABLE);
    path_of(cfg.ca_file, "good");
    assert_int_equal(exchange_with(&s, &cfg, detail), TDSA_OK);
    stop_server(&s);
}

static void a_certificate_must_bear_the_host_name(void **state)
{
    tls_server s = start_server("elsewhere", NULL);
    peer_http_cfg cfg = default_cfg;
    char detail[160];

    (void)state;
    cfg.verify_hostname = true;
    path_of(cfg.ca_file, "elsewhere");
    assert_int_equal(exchange_with(&s, &cfg, detail), TDSA_E_UNAVAILABLE);
    cfg.verify_hostname = false;
    assert_int_equal(exchange_with(&s, &cfg, detail), TDSA_OK);
    stop_server(&s);
}

static void our_own_certificate_is_shown(void **state)
{
    tls_server s = start_server("good", "client");
    peer_http_cfg cfg = default_cfg;
    char detail[160];

    (void)state;
    cfg.verify_hostname = true;
    path_of(cfg.ca_file, "good");
    assert_int_equal(exchange_with(&s, &cfg, detail), TDSA_E_UNAVAILABLE);
    path_of(cfg.cert_file, "client");
    path_of(cfg.key_file, "client.key");
    assert_int_equal(exchange_with(&s, &cfg, detail), TDSA_OK);
    stop_server(&s);
}

/* Takes the first bytes of the handshake and resets the connection. */
static void hear_and_reset(raw_server *s, int fd, unsigned nth)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    char bytes[4096];

    (void)s;
    (void)nth;
    assert_true(recv(fd, bytes, sizeof bytes, 0) > 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
}

/* As a server does that wants another certificate of ours and does not wait for the end of the handshake. */
static void who_is_cut_off_in_the_handshake_is_told_where_to_look(void **state)
{
    tls_server s = {-1, 0};
    char detail[160];
    raw_server raw;

    (void)state;
    raw_server_start(&raw, hear_and_reset);
    s.port = raw.port;
    assert_int_equal(exchange_with(&s, &default_cfg, detail), TDSA_E_UNAVAILABLE);
    raw_server_stop(&raw);
    assert_non_null(strstr(detail, "keyStorePath"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_must_be_known),
        cmocka_unit_test(a_certificate_must_bear_the_host_name),
        cmocka_unit_test(our_own_certificate_is_shown),
        cmocka_unit_test(who_is_cut_off_in_the_handshake_is_told_where_to_look),
    };

    return cmocka_run_group_tests(tests, make_all, remove_all);
}
