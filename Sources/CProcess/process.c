#define _GNU_SOURCE
#include "CProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

extern char **environ;

char **cprocess_environment(void) {
    return environ;
}

static int dies_with(pid_t parent) {
#ifdef __linux__
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
    // The parent may have ended before the line above.
    return getppid() == parent ? 0 : ESRCH;
#else
    (void)parent;
    return 0;
#endif
}

static void close_on_exec_from(int first) {
#if defined(__linux__) && defined(SYS_close_range)
    // 4 is CLOSE_RANGE_CLOEXEC (Linux 5.11).
    if (syscall(SYS_close_range, (unsigned)first, ~0U, 4U) == 0) return;
#endif
    long limit = sysconf(_SC_OPEN_MAX);
    if (limit < 0 || limit > 65536) limit = 65536;
    for (int descriptor = first; descriptor < limit; descriptor++) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

/// Moves a descriptor out of the way of 0, 1 and 2, which are about to be replaced.
static int above_standard(int descriptor) {
    return descriptor > 2 ? descriptor : fcntl(descriptor, F_DUPFD, 3);
}

static void default_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++) sigaction(number, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/// Runs in the child; returns the errno of what failed.
static int become(
    char *const arguments[], char *const environment[], const char *directory,
    int input, int output, int errors, int flags, pid_t parent) {
    if ((flags & CPROCESS_NEW_SESSION) && setsid() < 0) return errno;
    if ((flags & CPROCESS_NEW_GROUP) && setpgid(0, 0) != 0) return errno;
    if (flags & CPROCESS_DIES_WITH_PARENT) {
        int failure = dies_with(parent);
        if (failure) return failure;
    }
    input = above_standard(input);
    output = above_standard(output);
    errors = above_standard(errors);
    if (input < 0 || output < 0 || errors < 0) return errno;
    if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0) return errno;
    close_on_exec_from(3);
    if (directory && chdir(directory) != 0) return errno;
    default_signals();
#ifdef __linux__
    execvpe(arguments[0], arguments, environment);
#else
    environ = (char **)environment;
    execvp(arguments[0], arguments);
#endif
    return errno;
}

pid_t cprocess_spawn(
    char *const arguments[], char *const environment[], const char *directory,
    int input, int output, int errors, int flags) {
    int report[2];
    if (pipe(report) != 0) return -errno;
    fcntl(report[0], F_SETFD, FD_CLOEXEC);
    fcntl(report[1], F_SETFD, FD_CLOEXEC);
    int moved = above_standard(report[1]);
    if (moved != report[1]) {
        close(report[1]);
        report[1] = moved;
        fcntl(moved, F_SETFD, FD_CLOEXEC);
    }

    // No handler of the parent may run in the child.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        int failure = become(arguments, environment, directory, input, output, errors, flags, parent);
        ssize_t written = write(report[1], &failure, sizeof failure);
        _exit(written < 0 ? 126 : 127);
    }
    int failure = child < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (child > 0) {
        ssize_t count;
        do { count = read(report[0], &failure, sizeof failure); } while (count < 0 && errno == EINTR);
        if (count != sizeof failure) failure = 0;
    }
    close(report[0]);
    if (failure && child > 0) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    }
    return failure ? -failure : child;
}

int cprocess_adopt_orphans(void) {
#ifdef __linux__
    return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 ? 0 : -errno;
#else
    return -ENOSYS;
#endif
}

static volatile sig_atomic_t signal_descriptor = -1;

static void forward(int number) {
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    // A full pipe already holds what wakes the reader.
    ssize_t written = write(signal_descriptor, &byte, 1);
    (void)written;
    errno = saved;
}

int cprocess_forward_signals(const int *signals, int count, int descriptor) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = descriptor < 0 ? SIG_DFL : forward;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    if (descriptor >= 0) signal_descriptor = descriptor;
    for (int index = 0; index < count; index++) {
        if (sigaction(signals[index], &action, NULL) != 0) return -errno;
    }
    return 0;
}
