/* A poll that sleeps goes on sleeping when its descriptor becomes another's: it must find something
 * to accept there when it is woken, and then waits for the next one. So we knock first. */
#include "door.h"

#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

enum err door_init(struct door *d)
{
    *d = (struct door){.listening = -1,
                       .own = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                       .name = {.sun_family = AF_UNIX},
                       .name_size = sizeof d->name};
    struct sockaddr *name = (struct sockaddr *)&d->name;
    /* An address of the family alone: the kernel picks a free one, which is no file. */
    if (d->own >= 0 && bind(d->own, name, offsetof(struct sockaddr_un, sun_path)) == 0 &&
        getsockname(d->own, name, &d->name_size) == 0 && listen(d->own, 2) == 0)
        return OK;
    return err_from_errno(errno);
}

void door_release(struct door *d)
{
    if (d->own >= 0) (void)close(d->own);
    d->own = -1;
}

void door_find(struct door *d, unsigned port)
{
    d->listening = descriptor_of_port(port);
}

static void knock(const struct door *d)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return;
    (void)connect(fd, (const struct sockaddr *)&d->name, d->name_size);
    (void)close(fd);
}

void door_shut(struct door *d)
{
    int before = d->listening < 0 ? -1 : fcntl(d->listening, F_DUPFD_CLOEXEC, 0);
    if (before < 0) return;
    knock(d);
    (void)dup3(d->own, d->listening, O_CLOEXEC);
    (void)shutdown(before, SHUT_RDWR); /* wakes civetweb up */
    (void)close(before);
}

/* Not a knock: civetweb could answer it before it is told to stop, and fall asleep again. */
void door_wake(struct door *d)
{
    (void)shutdown(d->own, SHUT_RDWR);
}
