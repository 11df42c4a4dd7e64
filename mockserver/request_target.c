#include "mockserver/request_target.h"

#include <string.h>
#include <strings.h>

const char *request_target_path(const char *target)
{
    static const char *const schemes[] = {"http://", "https://"};
    if (target[0] == '/')
        return target;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], length) != 0)
            continue;
        const char *path = target + length + strcspn(target + length, "/?");
        return path[0] == '/' ? path : "/";
    }
    return target;
}
