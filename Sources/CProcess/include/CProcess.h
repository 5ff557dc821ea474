// What Swift cannot say about processes: fork with work before exec, the variadic prctl, a handler for signals.

#ifndef CPROCESS_H
#define CPROCESS_H

#include <sys/types.h>

/// The child leads a session of its own, so the terminal's interrupt does not reach it.
#define CPROCESS_NEW_SESSION 1
/// The child leads a process group of its own, so it and what it starts can be signalled together.
#define CPROCESS_NEW_GROUP 2
/// The child is killed when the thread that started it ends.
#define CPROCESS_DIES_WITH_PARENT 4

/// Starts a program, found by PATH if its name has no slash, in `directory` (NULL: here), on three descriptors.
/// All others are closed, all signals are unblocked and have their default action.
/// Returns the process id, or the negative errno of what failed: chdir and exec are reported too.
pid_t cprocess_spawn(
    char *const arguments[], char *const environment[], const char *directory,
    int input, int output, int errors, int flags);

/// This process's environment, ended by NULL.
char **cprocess_environment(void);

/// Makes this process the parent of its descendants' orphans. Returns 0 or the negative errno.
int cprocess_adopt_orphans(void);

/// Has each of these signals written to `descriptor` as one byte, its number, from now on. -1: back to the default action.
/// Returns 0 or the negative errno.
int cprocess_forward_signals(const int *signals, int count, int descriptor);

#endif
