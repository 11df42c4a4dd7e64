#include "base/html_style.h"

#include <stddef.h>

/* In pieces: C11 promises no string longer than 4095 bytes. */
static const char *const style[] = {
    ":root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#1c2330;--soft:#5c6675;"
    "--line:#dde1e7;--good:#15803d;--bad:#c02626;--warn:#a16207;--good-wash:#e7f5ec;"
    "--bad-wash:#fdecec;--warn-wash:#fcf3dc;--way:#8fa3bf;--wait:#b9c2cf;--code:#f1f3f6}"
    "@media(prefers-color-scheme:dark){:root{--paper:#10141b;--card:#181e28;--ink:#e5e9f0;"
    "--soft:#98a3b3;--line:#2a3240;--good:#4ade80;--bad:#f87171;--warn:#fbbf24;"
    "--good-wash:#12301f;--bad-wash:#3a1a1d;--warn-wash:#352a10;--way:#64789a;--wait:#465063;"
    "--code:#11161e}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"
    "-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif}"
    "main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}"
    "h1{font-size:1.6rem;line-height:1.25;margin:0 0 .2rem;letter-spacing:-.01em}"
    "h2{font-size:.78rem;font-weight:600;color:var(--soft);margin:1.4rem 0 .5rem;"
    "text-transform:uppercase;letter-spacing:.05em}"
    ".brand{color:var(--soft);margin:0 0 .6rem;font-size:.85rem}"
    ".counts{color:var(--soft);margin:0}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:0 0 "
    ".7rem;overflow:hidden}"
    ".why{color:var(--soft);margin:.8rem 0 0;font-style:italic}"
    ".alert{margin:.9rem 0 0;padding:.6rem .8rem;border-radius:6px;background:var(--bad-wash);"
    "overflow-wrap:anywhere}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;font-size:.88rem}"
    "th{text-align:left;font-weight:500;color:var(--soft);font-size:.8rem}"
    "th,td{padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);"
    "vertical-align:top;overflow-wrap:anywhere}"
    "tr:last-child td{border-bottom:0}"
    ".number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "th.number{text-align:right}"
    ".notes{margin:.9rem 0 0;padding:0;list-style:none}"
    ".notes li{padding:.5rem .8rem;border-radius:6px;background:var(--warn-wash);"
    "margin-top:.4rem;font-size:.9rem;overflow-wrap:anywhere}"
    "dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:0;font-size:.88rem}"
    "dt{color:var(--soft)}"
    "dd{margin:0;overflow-wrap:anywhere}"
    "code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\","
    "monospace;font-size:.82rem}"
    "pre{background:var(--code);border:1px solid var(--line);border-radius:6px;padding:.7rem "
    ".8rem;margin:.5rem 0 0;white-space:pre-wrap;overflow-wrap:anywhere;max-height:22rem;"
    "overflow:auto}"
    ".more{margin-top:1.1rem}"
    ".more>summary{cursor:pointer;color:var(--soft);font-size:.88rem}"
    "footer{color:var(--soft);font-size:.82rem;margin-top:2rem}",
    NULL,
};

void html_style_put(FILE *stream)
{
    for (size_t i = 0; style[i] != NULL; i++)
        fputs(style[i], stream);
}
