// How a function of libc is taken over: it asks what is to happen to the call, makes it unless that is an error, and tells
// the recorder. See fault_injection.h and recorder.h.
#ifndef INTERPOSED_H
#define INTERPOSED_H

#include "fault_injection.h"
#include "recorder.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

// The function that would have been called without this library.
#define NEXT(name, type, ...)                                                                       \
    static type (*next)(__VA_ARGS__);                                                               \
    if (!next) next = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

// What comes of a call that cannot be cut short: where it is to be torn it is made whole, and is the last.
#define WHOLE(ask, call)                                                                            \
    ({                                                                                              \
        enum fault_action action = ask;                                                             \
        __typeof__(call) outcome = (__typeof__(call))-1;                                            \
        if (action != FAULT_ERROR) outcome = call;                                                  \
        if (action == FAULT_TORN) fault_kill();                                                     \
        outcome;                                                                                    \
    })

// The end of a recorded call, and what the call gave.
#define RECORDED(is_recorded, record, outcome)                                                      \
    do {                                                                                            \
        if (is_recorded) record;                                                                    \
        return outcome;                                                                             \
    } while (0)

#endif
