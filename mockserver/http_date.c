#include "mockserver/http_date.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *http_date_as(int64_t wall_s, enum http_date_form form, char text[HTTP_DATE_SIZE])
{
    static const char *const days[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t moment = (time_t)wall_s;
    struct tm utc;
    gmtime_r(&moment, &utc);
    const char *day = days[utc.tm_wday];
    const char *month = months[utc.tm_mon];
    int year = utc.tm_year + 1900;
    char time_of_day[40];
    snprintf(time_of_day, sizeof time_of_day, "%02d:%02d:%02d", utc.tm_hour, utc.tm_min,
             utc.tm_sec);
    if (form == HTTP_DATE_RFC850)
        snprintf(text, HTTP_DATE_SIZE, "%s, %02d-%s-%02d %.8s GMT", day, utc.tm_mday, month,
                 year % 100, time_of_day);
    else if (form == HTTP_DATE_ASCTIME)
        snprintf(text, HTTP_DATE_SIZE, "%.3s %s %2d %.8s %04d", day, month, utc.tm_mday,
                 time_of_day, year);
    else
        snprintf(text, HTTP_DATE_SIZE, "%.3s, %02d %s %04d %.8s GMT", day, utc.tm_mday, month, year,
                 time_of_day);
    return text;
}

/* Most ask for the second that was asked for last. */
const char *http_date(int64_t wall_s, char text[HTTP_DATE_SIZE])
{
    static _Thread_local struct {
        int64_t wall_s;
        char text[HTTP_DATE_SIZE];
    } last;
    if (last.text[0] == '\0' || last.wall_s != wall_s)
        http_date_as(wall_s, HTTP_DATE_IMF, last.text);
    last.wall_s = wall_s;
    memcpy(text, last.text, HTTP_DATE_SIZE);
    return text;
}
