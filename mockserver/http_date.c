#include "mockserver/http_date.h"

#include <stdio.h>
#include <time.h>

const char *http_date(int64_t wall_s, char text[HTTP_DATE_SIZE])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t moment = (time_t)wall_s;
    struct tm utc;
    gmtime_r(&moment, &utc);
    snprintf(text, HTTP_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[utc.tm_wday],
             utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
             utc.tm_sec);
    return text;
}
