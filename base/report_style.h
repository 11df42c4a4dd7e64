/* report_style: what the place that a report goes to can show. */
#ifndef TOOMANY_BASE_REPORT_STYLE_H
#define TOOMANY_BASE_REPORT_STYLE_H

#include <stdbool.h>
#include <stdio.h>

struct report_style {
    bool colour;  /* ANSI colours; only for text on a terminal and without NO_COLOR */
    bool unicode; /* line-drawing characters; else plain ASCII */
    int width;    /* columns, 60 to 200 */
    bool verbose; /* text: shows the verdicts that held, too, of scenarios that passed */
};

/* The style that suits `stream`: its terminal, its width, the locale, NO_COLOR. */
struct report_style report_style_for(FILE *stream);

#endif
