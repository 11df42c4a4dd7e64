/* html_style: the style sheet that all reports in HTML begin with: colours in light and dark, text,
 * cards, tables, notes. A report adds what only it has. */
#ifndef TOOMANY_BASE_HTML_STYLE_H
#define TOOMANY_BASE_HTML_STYLE_H

#include <stdio.h>

void html_style_put(FILE *stream);

#endif
