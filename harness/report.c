#include "harness/report.h"

#include "base/report_file.h"

#include <string.h>

static const struct report_kind kinds[] = {
    {"text", report_text}, {"json", report_json}, {"junit", report_junit},
    {"tap", report_tap},   {"html", report_html}, {"github", report_github},
};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

const struct report_kind *report_find(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

const char *report_kind_names(void)
{
    return "text, json, junit, tap, html, github";
}

struct report_order {
    const struct report_kind *kind;
    const struct results *results;
};

static bool write_kind(void *owner, FILE *stream)
{
    const struct report_order *order = owner;
    struct report_style style = report_style_for(stream);
    return order->kind->write(order->results, &style, stream);
}

bool report_to_path(const struct report_kind *kind, const struct results *results, const char *path,
                    struct error *error)
{
    struct report_order order = {kind, results};
    return report_file_write(path, write_kind, &order, error);
}
