#include "base/must_have.h"

#include <stdio.h>
#include <stdlib.h>

void *must_have(void *memory, const char *what)
{
    if (memory == NULL) {
        fprintf(stderr, "toomany: out of memory for %s\n", what);
        abort();
    }
    return memory;
}
