/* must_have: for memory so small that nothing can go on without it. */
#ifndef TOOMANY_BASE_MUST_HAVE_H
#define TOOMANY_BASE_MUST_HAVE_H

/* Returns `memory`. Where it is NULL, says on stderr that memory is out for `what` ("a client's
 * output"), and aborts. */
void *must_have(void *memory, const char *what);

#endif
