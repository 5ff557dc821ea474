// Files that the executable carries: the web page, and the description of the HTTP interface.

#ifndef SIPCORE_CPAGE_H
#define SIPCORE_CPAGE_H

#include <stddef.h>

/// A file by its name, and all that is in it.
typedef struct carried_file {
    const char *_Nonnull name;
    const unsigned char *_Nonnull octets;
    size_t count;
} carried_file;

size_t carried_file_count(void);

/// - Parameter index: less than the count.
carried_file carried_file_at(size_t index);

#endif
