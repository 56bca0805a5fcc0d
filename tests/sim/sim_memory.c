#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/sim_internal.h"

/* Counts the pieces of memory that the code under test holds. The simulator's own are not counted. */

static uint64_t held;

/* NOLINTBEGIN: the names are the linker's */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
/* NOLINTEND */

void *__wrap_malloc(size_t size)
{
    void *memory = __real_malloc(size);

    held += memory != NULL ? 1 : 0;
    return memory;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *memory = __real_calloc(count, size);

    held += memory != NULL ? 1 : 0;
    return memory;
}

void *__wrap_realloc(void *memory, size_t size)
{
    void *moved = __real_realloc(memory, size);

    held += memory == NULL && moved != NULL ? 1 : 0;
    return moved;
}

void __wrap_free(void *memory)
{
    held -= memory != NULL ? 1 : 0;
    __real_free(memory);
}

uint64_t sim_allocated(void)
{
    return held;
}

void *sim_take(size_t size)
{
    void *memory = __real_calloc(1, size);

    if (memory == NULL) {
        (void)fprintf(stderr, "no memory for the simulator\n");
        abort();
    }
    return memory;
}

void sim_give(void *memory)
{
    __real_free(memory);
}
