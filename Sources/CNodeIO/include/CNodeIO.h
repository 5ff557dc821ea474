// What the datagram driver needs of Linux and cannot get from Swift's view of glibc: batched system calls, which hide
// behind _GNU_SOURCE, constants that glibc declares as enumerators, and the walk through a socket's error queue.
#ifndef CNODEIO_H
#define CNODEIO_H

#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum {
    NODE_IO_READABLE = EPOLLIN,
    NODE_IO_WRITABLE = EPOLLOUT,
    NODE_IO_FAILED = EPOLLERR,
    /// Of several that wait for one descriptor not all are woken.
    NODE_IO_EXCLUSIVE = EPOLLEXCLUSIVE,
    NODE_IO_EPOLL_FLAGS = EPOLL_CLOEXEC,
    NODE_IO_EVENTFD_FLAGS = EFD_CLOEXEC | EFD_NONBLOCK,
    NODE_IO_DATAGRAM = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
    NODE_IO_STREAM = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
    /// Packets in order over a connection; calls wait.
    NODE_IO_PACKETS = SOCK_SEQPACKET | SOCK_CLOEXEC,
    NODE_IO_NO_SIGNAL = MSG_NOSIGNAL,
    NODE_IO_NO_WAIT = MSG_DONTWAIT,
};

/// One datagram of a batch: the layout of Linux's struct mmsghdr.
struct node_io_datagram {
    struct msghdr header;
    /// Octets received or sent.
    unsigned int count;
};

/// recvmmsg(2) without waiting: the number of datagrams received, or the negative error number.
int node_io_receive(int descriptor, struct node_io_datagram *datagrams, unsigned int count);

/// sendmmsg(2) without waiting: the number of datagrams sent, or the negative number of the first one's error.
int node_io_send(int descriptor, struct node_io_datagram *datagrams, unsigned int count);

enum {
    /// Room for what node_io_segment writes.
    NODE_IO_SEGMENT_ROOM = CMSG_SPACE(sizeof(uint16_t)),
};

/// Has the system cut a message into datagrams of `size` octets, the last one maybe shorter (UDP_SEGMENT, Linux 4.18).
/// `control` stays in use until the message is sent.
void node_io_segment(struct msghdr *message, void *control, uint16_t size);

/// What ICMP reported about a datagram sent earlier.
struct node_io_report {
    /// Where that datagram was sent to.
    struct sockaddr_in6 destination;
    /// The error number that ICMP's type and code stand for.
    int error;
};

/// Takes the oldest report from the socket's error queue (IP_RECVERR): 1 if there was one, 0 if there was none.
int node_io_take_report(int descriptor, struct node_io_report *report);

/// ppoll(2): waits until a descriptor is ready or the time is over, to the nanosecond; negative: without end. The number of
/// descriptors that are ready, or the negative error number.
int node_io_wait(struct pollfd *descriptors, unsigned int count, long long nanoseconds);

/// Has the calling thread woken as close to its time as the system can, in place of up to 50 us later.
void node_io_sharpen_timers(void);

/// Names the calling thread for the system's tools; at most 15 octets.
void node_io_name_thread(const char *name);

#endif
