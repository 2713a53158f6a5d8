/* What a listener stops with: the door that is shut under civetweb's eyes, and who is still there.
 */
#include "support/unit.h"

#include "base/clock.h"
#include "door.h"
#include "visits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define FOREVER_MS 60000

/* ---- the door ---- */

/* Accepts as civetweb does: polls, and looks at the flag in between. */
struct acceptor {
    pthread_t thread;
    int fd;
    unsigned port;
    atomic_bool stop;
    atomic_uint accepted;
};

static void *accept_on(void *arg)
{
    struct acceptor *a = arg;
    while (!atomic_load(&a->stop)) {
        struct pollfd wait = {.fd = a->fd, .events = POLLIN};
        if (poll(&wait, 1, FOREVER_MS) <= 0) continue;
        int got = accept(a->fd, NULL, NULL);
        if (got < 0) continue;
        (void)close(got);
        atomic_fetch_add(&a->accepted, 1);
    }
    return NULL;
}

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void acceptor_start(struct acceptor *a)
{
    struct sockaddr_in own = loopback(0);
    socklen_t size = sizeof own;
    *a = (struct acceptor){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(bind(a->fd, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(listen(a->fd, 16), 0);
    assert_int_equal(getsockname(a->fd, (struct sockaddr *)&own, &size), 0);
    a->port = ntohs(own.sin_port);
    assert_int_equal(pthread_create(&a->thread, NULL, accept_on, a), 0);
}

/* 0, or why not. */
static int connect_to(unsigned port)
{
    struct sockaddr_in to = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int failed = connect(fd, (struct sockaddr *)&to, sizeof to) ? errno : 0;
    (void)close(fd);
    return failed;
}

static void wait_for(const atomic_uint *count, unsigned least)
{
    while (atomic_load(count) < least)
        (void)poll(NULL, 0, 1);
}

static void a_shut_door_refuses_and_the_sleeper_wakes_when_it_is_to(void **state)
{
    (void)state;
    for (unsigned before = 0; before < 20; before++) { /* it may be polling, or not yet */
        struct acceptor a;
        struct door door;
        int64_t begin_ms = clock_mono_ms();
        acceptor_start(&a);
        assert_ok(door_init(&door));
        door_find(&door, a.port);
        assert_int_equal(door.listening, a.fd);
        for (unsigned i = 0; i < before % 3; i++)
            assert_int_equal(connect_to(a.port), 0);
        wait_for(&a.accepted, before % 3);

        door_shut(&door);
        assert_int_equal(connect_to(a.port), ECONNREFUSED);
        atomic_store(&a.stop, true);
        door_wake(&door);
        (void)pthread_join(a.thread, NULL);
        assert_true(clock_mono_ms() - begin_ms < FOREVER_MS);
        (void)close(a.fd);
        door_release(&door);
    }
}

static void a_door_that_was_not_found_is_left_alone(void **state)
{
    (void)state;
    struct door door;
    assert_ok(door_init(&door));
    door_find(&door, 0); /* nobody listens on port 0 */
    assert_int_equal(door.listening, -1);
    door_shut(&door);
    door_wake(&door);
    door_release(&door);
}

/* ---- the visits ---- */

struct guest {
    struct visit visit;
    int own, far; /* of a connection */
};

static void arrive(struct visits *v, struct guest *g)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    g->own = pair[0];
    g->far = pair[1];
    visits_open(v, &g->visit);
}

static void go(struct visits *v, struct guest *g)
{
    visits_forget(v, &g->visit);
    (void)close(g->own);
    (void)close(g->far);
    visits_close(v, &g->visit);
}

/* Has the end come, behind all that was sent? */
static bool at_end(const struct guest *g)
{
    char byte;
    return recv(g->own, &byte, 1, MSG_DONTWAIT) == 0;
}

static void only_who_waits_for_nothing_is_cut(void **state)
{
    (void)state;
    struct visits v;
    struct guest idle, busy, fresh;
    visits_init(&v);
    struct guest *const all[] = {&idle, &busy, &fresh};
    for (size_t i = 0; i < 3; i++)
        arrive(&v, all[i]);
    assert_int_equal(visits_enter(&v, &idle.visit, idle.own), 3);
    visits_leave(&v, &idle.visit);
    (void)visits_enter(&v, &busy.visit, busy.own);
    assert_int_equal(send(idle.far, "a", 1, 0), 1);

    visits_cut(&v, VISITS_IDLE);
    assert_false(at_end(&idle)); /* what it had sent comes first */
    assert_true(at_end(&idle));
    assert_false(at_end(&busy));
    assert_false(at_end(&fresh));
    assert_int_equal(send(idle.own, "b", 1, MSG_NOSIGNAL), 1); /* it can still be answered */

    visits_cut(&v, VISITS_ALL);
    assert_true(at_end(&busy));
    assert_false(at_end(&fresh)); /* its socket is not known */
    visits_leave(&v, &busy.visit);
    for (size_t i = 0; i < 3; i++)
        go(&v, all[i]);
    visits_release(&v);
}

static void who_has_gone_is_not_cut(void **state)
{
    (void)state;
    struct visits v;
    struct guest g;
    visits_init(&v);
    arrive(&v, &g);
    (void)visits_enter(&v, &g.visit, g.own);
    visits_leave(&v, &g.visit);
    visits_forget(&v, &g.visit);
    visits_cut(&v, VISITS_ALL);
    assert_false(at_end(&g));
    go(&v, &g);
    visits_release(&v);
}

static void *serve(void *arg)
{
    struct visits *v = arg;
    for (unsigned i = 0; i < 500; i++) {
        struct guest g;
        arrive(v, &g);
        (void)visits_enter(v, &g.visit, g.own);
        visits_leave(v, &g.visit);
        go(v, &g);
    }
    return NULL;
}

static void the_waits_end_when_all_are_answered_and_gone_or_in_time(void **state)
{
    (void)state;
    struct visits v;
    pthread_t threads[4];
    visits_init(&v);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, serve, &v), 0);
    for (unsigned i = 0; i < 100; i++)
        visits_cut(&v, i % 2 ? VISITS_IDLE : VISITS_ALL);
    visits_wait_answered(&v, clock_mono_ms() + FOREVER_MS);
    for (size_t i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    visits_wait_closed(&v, clock_mono_ms() + FOREVER_MS);

    struct guest g;
    arrive(&v, &g);
    (void)visits_enter(&v, &g.visit, g.own);
    int64_t until_ms = clock_mono_ms() + 20;
    visits_wait_answered(&v, until_ms);
    assert_true(clock_mono_ms() >= until_ms);
    until_ms += 20;
    visits_wait_closed(&v, until_ms);
    assert_true(clock_mono_ms() >= until_ms);
    visits_leave(&v, &g.visit);
    go(&v, &g);
    visits_release(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shut_door_refuses_and_the_sleeper_wakes_when_it_is_to),
        cmocka_unit_test(a_door_that_was_not_found_is_left_alone),
        cmocka_unit_test(only_who_waits_for_nothing_is_cut),
        cmocka_unit_test(who_has_gone_is_not_cut),
        cmocka_unit_test(the_waits_end_when_all_are_answered_and_gone_or_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
