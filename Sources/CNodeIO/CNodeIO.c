#define _GNU_SOURCE
#include "CNodeIO.h"

#include <errno.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
// After the others: it uses their types without including them.
#include <linux/errqueue.h>

_Static_assert(sizeof(struct node_io_datagram) == sizeof(struct mmsghdr), "the layout of struct mmsghdr");
_Static_assert(offsetof(struct node_io_datagram, count) == offsetof(struct mmsghdr, msg_len), "the layout of struct mmsghdr");

int node_io_receive(int descriptor, struct node_io_datagram *datagrams, unsigned int count) {
    int received = recvmmsg(descriptor, (struct mmsghdr *)datagrams, count, MSG_DONTWAIT, NULL);
    return received < 0 ? -errno : received;
}

int node_io_send(int descriptor, struct node_io_datagram *datagrams, unsigned int count) {
    int sent = sendmmsg(descriptor, (struct mmsghdr *)datagrams, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

void node_io_segment(struct msghdr *message, void *control, uint16_t size) {
    message->msg_control = control;
    message->msg_controllen = NODE_IO_SEGMENT_ROOM;
    struct cmsghdr *part = CMSG_FIRSTHDR(message);
    part->cmsg_level = SOL_UDP;
    part->cmsg_type = UDP_SEGMENT;
    part->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(part), &size, sizeof size);
}

int node_io_take_report(int descriptor, struct node_io_report *report) {
    char control[512] __attribute__((aligned(_Alignof(struct cmsghdr))));
    char octet;
    struct iovec payload = {.iov_base = &octet, .iov_len = 1};
    memset(report, 0, sizeof *report);
    struct msghdr message = {
        .msg_name = &report->destination,
        .msg_namelen = sizeof report->destination,
        .msg_iov = &payload,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    if (recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        int isError = (part->cmsg_level == SOL_IP && part->cmsg_type == IP_RECVERR)
            || (part->cmsg_level == SOL_IPV6 && part->cmsg_type == IPV6_RECVERR);
        if (!isError) continue;
        struct sock_extended_err error;
        memcpy(&error, CMSG_DATA(part), sizeof error);
        report->error = (int)error.ee_errno;
    }
    return 1;
}

int node_io_wait(struct pollfd *descriptors, unsigned int count, long long nanoseconds) {
    struct timespec span = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int ready = ppoll(descriptors, count, nanoseconds < 0 ? NULL : &span, NULL);
    return ready < 0 ? -errno : ready;
}

void node_io_sharpen_timers(void) {
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

void node_io_name_thread(const char *name) {
    pthread_setname_np(pthread_self(), name);
}
