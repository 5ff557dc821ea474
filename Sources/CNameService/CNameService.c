// For EAI_NODATA and EAI_ADDRFAMILY.
#define _GNU_SOURCE
#include "CNameService.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    // An answer over TCP has 65535 octets at most (RFC 1035 4.2.2).
    ANSWER_ROOM = 65536,
    ALIAS_LIMIT = 8,
    // Seconds for which what is not there, or a name of the system's own files, is taken to stay so.
    ABSENT_LIFETIME = 30,
};

static int use_server(res_state state, const struct name_service_server *server) {
    // Those of the system are forgotten; none of them has a socket yet.
    state->nscount = 1;
    state->options &= ~(unsigned long)RES_ROTATE;
    if (server->length == 4) {
        struct sockaddr_in *address = &state->nsaddr_list[0];
        memset(address, 0, sizeof *address);
        address->sin_family = AF_INET;
        address->sin_port = htons(server->port);
        memcpy(&address->sin_addr, server->address, 4);
        return 0;
    }
    if (server->length != 16) return -1;
    // The extension has the place of IPv6: the list's entry is marked as unused. res_nclose frees it.
    struct sockaddr_in6 *address = calloc(1, sizeof *address);
    if (address == NULL) return -1;
    address->sin6_family = AF_INET6;
    address->sin6_port = htons(server->port);
    memcpy(&address->sin6_addr, server->address, 16);
    for (int i = 0; i < MAXNS; i++) {
        free(state->_u._ext.nsaddrs[i]);
        state->_u._ext.nsaddrs[i] = NULL;
        state->_u._ext.nssocks[i] = -1;
    }
    state->nsaddr_list[0].sin_family = 0;
    state->_u._ext.nsaddrs[0] = address;
    state->_u._ext.nscount = 1;
    return 0;
}

// A character-string of NAPTR (RFC 3403 4.1): where it ends, NULL if it does not fit.
static const u_char *read_string(const u_char *place, const u_char *end, char *text, size_t room) {
    if (place >= end) return NULL;
    size_t length = *place++;
    if ((size_t)(end - place) < length || length >= room) return NULL;
    memcpy(text, place, length);
    text[length] = 0;
    return place + length;
}

static int read_name(ns_msg *message, const u_char *place, const u_char *end, char *name) {
    if (place >= end) return -1;
    return ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), place, name, NAME_SERVICE_NAME) < 0 ? -1 : 0;
}

static int read_record(ns_msg *message, const ns_rr *rr, struct name_service_record *record) {
    const u_char *data = ns_rr_rdata(*rr);
    const u_char *end = data + ns_rr_rdlen(*rr);
    size_t length = ns_rr_rdlen(*rr);
    memset(record, 0, sizeof *record);
    switch (ns_rr_type(*rr)) {
    case ns_t_a:
    case ns_t_aaaa:
        if (length != (ns_rr_type(*rr) == ns_t_a ? 4u : 16u)) return -1;
        record->length = (uint16_t)length;
        memcpy(record->address, data, length);
        return 0;
    case ns_t_srv:
        if (length < 7) return -1;
        record->first = (uint16_t)ns_get16(data);
        record->second = (uint16_t)ns_get16(data + 2);
        record->port = (uint16_t)ns_get16(data + 4);
        return read_name(message, data + 6, end, record->name);
    case ns_t_naptr: {
        char expression[256];
        if (length < 7) return -1;
        record->first = (uint16_t)ns_get16(data);
        record->second = (uint16_t)ns_get16(data + 2);
        const u_char *place = read_string(data + 4, end, record->flags, sizeof record->flags);
        if (place != NULL) place = read_string(place, end, record->service, sizeof record->service);
        if (place != NULL) place = read_string(place, end, expression, sizeof expression);
        // SIP uses the replacement alone (RFC 3263 4.1).
        if (place == NULL || expression[0] != 0) return -1;
        return read_name(message, place, end, record->name);
    }
    default: return -1;
    }
}

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

// Takes the records of `owner`, and where it is an alias those of what it stands for.
static void read_records(ns_msg *message, const char *name, uint16_t type, struct name_service_answer *answer) {
    char owner[NS_MAXDNAME];
    ns_rr rr;
    strncpy(owner, name, sizeof owner - 1);
    owner[sizeof owner - 1] = 0;
    answer->lifetime = UINT32_MAX;
    for (int alias = 0; alias <= ALIAS_LIMIT; alias++) {
        char target[NAME_SERVICE_NAME] = "";
        int is_found = 0;
        for (int i = 0; i < ns_msg_count(*message, ns_s_an); i++) {
            if (ns_parserr(message, ns_s_an, i, &rr) < 0) break;
            if (ns_rr_class(rr) != ns_c_in || strcasecmp(ns_rr_name(rr), owner) != 0) continue;
            if (ns_rr_type(rr) == ns_t_cname && target[0] == 0) {
                const u_char *data = ns_rr_rdata(rr);
                if (read_name(message, data, data + ns_rr_rdlen(rr), target) < 0) target[0] = 0;
                answer->lifetime = least(answer->lifetime, ns_rr_ttl(rr));
            }
            if (ns_rr_type(rr) != type) continue;
            is_found = 1;
            if (answer->count == NAME_SERVICE_RECORDS) continue;
            if (read_record(message, &rr, &answer->records[answer->count]) < 0) continue;
            answer->lifetime = least(answer->lifetime, ns_rr_ttl(rr));
            answer->count++;
        }
        if (is_found || target[0] == 0) break;
        strcpy(owner, target);
    }
    if (answer->count == 0) answer->lifetime = least(answer->lifetime, ABSENT_LIFETIME);
}

static void ask(res_state state, const char *name, uint16_t type, struct name_service_answer *answer, u_char *octets) {
    int length = res_nquery(state, name, ns_c_in, type, octets, ANSWER_ROOM);
    ns_msg message;
    if (length < 0) {
        int is_absent = state->res_h_errno == HOST_NOT_FOUND || state->res_h_errno == NO_DATA;
        answer->outcome = is_absent ? NAME_SERVICE_ABSENT : NAME_SERVICE_UNANSWERED;
        answer->lifetime = ABSENT_LIFETIME;
        return;
    }
    if (length > ANSWER_ROOM || ns_initparse(octets, length, &message) < 0) return;
    read_records(&message, name, type, answer);
    answer->outcome = answer->count > 0 ? NAME_SERVICE_FOUND : NAME_SERVICE_ABSENT;
}

int name_service_query(
    const struct name_service_server *server, const char *name, uint16_t type, int seconds, int attempts,
    struct name_service_answer *answer) {
    struct __res_state state;
    answer->outcome = NAME_SERVICE_UNANSWERED;
    answer->lifetime = 0;
    answer->count = 0;
    u_char *octets = malloc(ANSWER_ROOM);
    if (octets == NULL) return answer->outcome;
    memset(&state, 0, sizeof state);
    if (res_ninit(&state) == 0) {
        // The name is whole: nothing is put behind it, and no file of aliases is asked.
        state.options &= ~(unsigned long)(RES_DEFNAMES | RES_DNSRCH);
        state.options |= RES_NOALIASES | RES_USE_EDNS0;
        state.retrans = seconds;
        state.retry = attempts;
        if (server->length == 0 || use_server(&state, server) == 0) ask(&state, name, type, answer, octets);
        res_nclose(&state);
    }
    free(octets);
    return answer->outcome;
}

int name_service_addresses(const char *name, int is_ipv6, struct name_service_answer *answer) {
    struct addrinfo wanted = {.ai_family = is_ipv6 ? AF_INET6 : AF_INET, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *first = NULL;
    answer->count = 0;
    answer->lifetime = ABSENT_LIFETIME;
    int code = getaddrinfo(name, NULL, &wanted, &first);
    if (code != 0) {
        int is_absent = code == EAI_NONAME || code == EAI_NODATA || code == EAI_ADDRFAMILY;
        return answer->outcome = is_absent ? NAME_SERVICE_ABSENT : NAME_SERVICE_UNANSWERED;
    }
    for (struct addrinfo *entry = first; entry != NULL && answer->count < NAME_SERVICE_RECORDS; entry = entry->ai_next) {
        struct name_service_record *record = &answer->records[answer->count++];
        memset(record, 0, sizeof *record);
        record->length = is_ipv6 ? 16 : 4;
        const void *address = is_ipv6 ? (const void *)&((struct sockaddr_in6 *)entry->ai_addr)->sin6_addr
                                      : (const void *)&((struct sockaddr_in *)entry->ai_addr)->sin_addr;
        memcpy(record->address, address, record->length);
    }
    freeaddrinfo(first);
    return answer->outcome = answer->count > 0 ? NAME_SERVICE_FOUND : NAME_SERVICE_ABSENT;
}
