// The compiler takes the files in as they are (C23 6.10.4), so that no list of numbers stands between them and the executable.

#include "CPage.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char index_html[] = {
#embed "files/index.html"
};
static const unsigned char page_css[] = {
#embed "files/page.css"
};
static const unsigned char page_js[] = {
#embed "files/page.js"
};
static const unsigned char interface_js[] = {
#embed "files/interface.js"
};
static const unsigned char ladder_js[] = {
#embed "files/ladder.js"
};
static const unsigned char message_js[] = {
#embed "files/message.js"
};
static const unsigned char panels_js[] = {
#embed "files/panels.js"
};
static const unsigned char icon_svg[] = {
#embed "files/icon.svg"
};
static const unsigned char openapi_yaml[] = {
#embed "files/openapi.yaml"
};

static const carried_file files[] = {
    {"index.html", index_html, sizeof index_html},
    {"page.css", page_css, sizeof page_css},
    {"page.js", page_js, sizeof page_js},
    {"interface.js", interface_js, sizeof interface_js},
    {"ladder.js", ladder_js, sizeof ladder_js},
    {"message.js", message_js, sizeof message_js},
    {"panels.js", panels_js, sizeof panels_js},
    {"icon.svg", icon_svg, sizeof icon_svg},
    {"openapi.yaml", openapi_yaml, sizeof openapi_yaml},
};

size_t carried_file_count(void) { return sizeof files / sizeof files[0]; }

carried_file carried_file_at(size_t index) { return files[index]; }
