#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/sim_scenario.h"

/* Many seeds in several processes. A worker that dies has found something: another goes on behind it. */

#define WORKERS_MAX 16u

typedef struct {
    uint64_t seed; /* under way */
    uint64_t operations, signatures, keys, put_back, scenarios;
    char why[SIM_WHY_MAX];
} progress;

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* cmocka's handlers would go on with the next test inside the child; and the parent shall not be
 * outlived. */
void sim_child_begins(void)
{
    static const int deadly[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS};
    const struct rlimit none = {0, 0};

    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        (void)signal(deadly[i], SIG_DFL);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setrlimit(RLIMIT_CORE, &none);
}

_Noreturn static void work(const sim_campaign_cfg *cfg, progress *mine, uint64_t from)
{
    sim_child_begins();
    sim_fail_into(mine->why);
    if (cfg->quiet) {
        const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(fd, STDERR_FILENO);
    }
    for (uint64_t seed = from; seed < cfg->first + cfg->count; seed += cfg->workers) {
        const sim_scenario_cfg scenario = {.seed = seed, .plant = cfg->plant};
        sim_scenario_result r;
        mine->seed = seed;
        sim_scenario(&scenario, &r);
        mine->operations += r.operations;
        mine->signatures += r.signatures;
        mine->keys += r.keys;
        mine->put_back += r.put_back;
        mine->scenarios++;
    }
    _exit(0);
}

static pid_t begin(const sim_campaign_cfg *cfg, progress *mine, uint64_t from)
{
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    if (child < 0) {
        abort();
    }
    if (child == 0) {
        work(cfg, mine, from);
    }
    return child;
}

static void report_failure(const sim_campaign_cfg *cfg, uint64_t seed, int status)
{
    if (!cfg->quiet) {
        (void)fprintf(stderr,
                      "seed %" PRIu64 " failed (status %d); again with: TDSA_SIM_SEED=%" PRIu64
                      " TDSA_SIM_LOG=1 test_sim_random\n",
                      seed, status, seed);
    }
}

void sim_campaign(const sim_campaign_cfg *cfg, sim_campaign_result *out)
{
    progress *shared = mmap(NULL, WORKERS_MAX * sizeof *shared, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child[WORKERS_MAX] = {0};
    const double started = now();
    int status = 0;
    pid_t pid;

    if (shared == MAP_FAILED || cfg->workers == 0 || cfg->workers > WORKERS_MAX) {
        abort();
    }
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < cfg->workers; i++) {
        child[i] = begin(cfg, &shared[i], cfg->first + i);
    }
    while ((pid = wait(&status)) > 0) {
        unsigned i = 0;
        while (i < cfg->workers && child[i] != pid) {
            i++;
        }
        if (i == cfg->workers || status == 0) {
            continue;
        }
        out->failures++;
        out->failed_seed = shared[i].seed;
        memcpy(out->why, shared[i].why, sizeof out->why);
        report_failure(cfg, shared[i].seed, status);
        if (out->failures < cfg->failures_max) {
            child[i] = begin(cfg, &shared[i], shared[i].seed + cfg->workers);
            continue;
        }
        for (unsigned k = 0; k < cfg->workers; k++) {
            if (k != i) {
                (void)kill(child[k], SIGKILL);
            }
        }
        while (wait(NULL) > 0) {
        }
    }
    for (unsigned i = 0; i < cfg->workers; i++) {
        out->scenarios += shared[i].scenarios;
        out->operations += shared[i].operations;
        out->signatures += shared[i].signatures;
        out->keys += shared[i].keys;
        out->put_back += shared[i].put_back;
    }
    out->seconds = now() - started;
    (void)munmap(shared, WORKERS_MAX * sizeof *shared);
}
