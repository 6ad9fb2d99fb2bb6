/* Why a signalfd: a handler could only set a flag and would need a way to wake the loop anyway. */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sys/process.h"

struct signals {
    struct loop *loop;
    struct watch watch;
    void (*got)(void *arg, int signal);
    void *arg;
};

static sigset_t signals_set(void)
{
    static const int watched[] = {SIGHUP, SIGINT, SIGTERM, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
        sigaddset(&set, watched[i]);
    return set;
}

static void ready(struct watch *watch, unsigned what)
{
    struct signals *signals = watch->arg;
    struct signalfd_siginfo info;
    (void)what;
    if (read(watch->handle, &info, sizeof(info)) == (ssize_t)sizeof(info))
        signals->got(signals->arg, (int)info.ssi_signo);
}

struct signals *signals_open(struct loop *loop, void (*got)(void *arg, int signal), void *arg)
{
    struct signals *signals = calloc(1, sizeof(*signals));
    sigset_t set = signals_set();
    if (!signals)
        return NULL;
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    *signals = (struct signals){.loop = loop, .got = got, .arg = arg};
    signals->watch = (struct watch){.handle = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
                                    .want = READY_READ,
                                    .ready = ready,
                                    .arg = signals};
    if (signals->watch.handle < 0 || watch_begin(loop, &signals->watch) < 0) {
        signals_close(signals);
        return NULL;
    }
    return signals;
}

void signals_close(struct signals *signals)
{
    sigset_t set = signals_set();
    if (signals->watch.backend)
        watch_end(signals->loop, &signals->watch);
    if (signals->watch.handle >= 0)
        close(signals->watch.handle);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    free(signals);
}
