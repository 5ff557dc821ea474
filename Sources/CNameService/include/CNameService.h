// One question to the Domain Name System, by glibc's stub resolver: blocking, on any thread, with plain structs as answer.
#ifndef CNAMESERVICE_H
#define CNAMESERVICE_H

#include <stdint.h>

enum {
    /// The most records of one answer; more are passed over.
    NAME_SERVICE_RECORDS = 32,
    NAME_SERVICE_NAME = 256,
    NAME_SERVICE_FLAGS = 8,
    NAME_SERVICE_SERVICE = 64,
};

/// What became of a question.
enum {
    /// There are records, maybe none of them readable.
    NAME_SERVICE_FOUND,
    /// Somebody who knows says that there are none.
    NAME_SERVICE_ABSENT,
    /// Nobody answered, or with an error.
    NAME_SERVICE_UNANSWERED,
};

/// A name server; a length of 0 stands for those that the system is set up to ask.
struct name_service_server {
    /// 0, 4 or 16.
    uint8_t length;
    /// In network order.
    uint8_t address[16];
    uint16_t port;
};

/// A record; what its type has not is 0. Names are text without the full stop at the end, the root is empty.
struct name_service_record {
    /// SRV: priority and weight; NAPTR: order and preference.
    uint16_t first;
    uint16_t second;
    uint16_t port;
    /// Octets of the address: 0, 4 or 16.
    uint16_t length;
    uint8_t address[16];
    char flags[NAME_SERVICE_FLAGS];
    char service[NAME_SERVICE_SERVICE];
    char name[NAME_SERVICE_NAME];
};

struct name_service_answer {
    int outcome;
    /// The least of all records that the answer rests on, in seconds.
    uint32_t lifetime;
    uint32_t count;
    struct name_service_record records[NAME_SERVICE_RECORDS];
};

/// Asks for the records of a name. Each name server is given so many seconds, so many times; a truncated answer is asked
/// for again over TCP.
/// - type: 1 (A), 28 (AAAA), 33 (SRV) or 35 (NAPTR).
/// - return: the outcome, which is in the answer too.
int name_service_query(
    const struct name_service_server *server, const char *name, uint16_t type, int seconds, int attempts,
    struct name_service_answer *answer);

/// Asks for the addresses of a host the way that the system is set up for, its own file of hosts included. The time it may
/// take is the system's as well.
/// - return: the outcome, which is in the answer too.
int name_service_addresses(const char *name, int is_ipv6, struct name_service_answer *answer);

#endif
