/* cache_line: what processors fetch at once, and take from each other whole: two threads that
 * change what stands on one wait for each other, though neither looks at what the other has
 * changed.
 */
#ifndef TOOMANY_BASE_CACHE_LINE_H
#define TOOMANY_BASE_CACHE_LINE_H

/* In bytes, on x86-64 and on most of arm64; where it is another, all is right, but slower. */
enum { CACHE_LINE = 64 };

#endif
