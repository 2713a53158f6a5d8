/* The roster: limits, presence, pages. And the tallies below it. */
#include "support/unit.h"

#include "roster.h"

#include <stdio.h>
#include <string.h>

struct told {
    char text[256]; /* "+ann -ann " */
};

static void tell(void *arg, const char *user_id, bool connected)
{
    struct told *t = arg;
    size_t size = strlen(t->text);
    (void)snprintf(t->text + size, sizeof t->text - size, "%c%s ", connected ? '+' : '-', user_id);
}

struct bed {
    struct told told;
    struct hub *hub;
    struct hub_connection *connection; /* what all members have, for the page's sake */
    struct roster *roster;
};

static void begin(struct bed *b, size_t address_max, size_t user_max)
{
    struct roster_options options = {address_max, user_max, tell, &b->told};
    *b = (struct bed){0};
    assert_int_equal(hub_new(4, &b->hub), OK);
    assert_int_equal(hub_join(b->hub, 0, (struct hub_wake){0}, &b->connection), OK);
    assert_int_equal(roster_new(&options, &b->roster), OK);
}

static void end(struct bed *b)
{
    roster_free(b->roster);
    hub_leave(b->connection);
    hub_release(b->connection);
    hub_free(b->hub);
}

static enum err enter(struct bed *b, struct member *m, const char *address)
{
    *m = (struct member){.kind = "websocket", .listener = "main", .hub = b->connection};
    (void)snprintf(m->address, sizeof m->address, "%s", address);
    return roster_enter(b->roster, m);
}

static void an_address_has_its_share_and_no_more(void **state)
{
    (void)state;
    struct bed b;
    begin(&b, 2, 9);
    struct member m[4];
    assert_int_equal(enter(&b, &m[0], "192.0.2.1"), OK);
    assert_int_equal(enter(&b, &m[1], "192.0.2.1"), OK);
    assert_int_equal(enter(&b, &m[2], "192.0.2.1"), ERR_EXHAUSTED);
    assert_int_equal(enter(&b, &m[3], "2001:db8::1"), OK);
    roster_leave(&m[2], 0); /* has not entered */
    roster_leave(&m[0], 0);
    assert_int_equal(enter(&b, &m[2], "192.0.2.1"), OK);
    for (size_t i = 1; i < 4; i++)
        roster_leave(&m[i], 0);
    end(&b);
}

static void addresses_of_one_household_share(void **state)
{
    (void)state;
    struct bed b;
    begin(&b, 2, 9);
    struct member m[6];
    assert_int_equal(enter(&b, &m[0], "2001:db8::1"), OK);
    assert_int_equal(enter(&b, &m[1], "2001:db8::ffff:0:0:2"), OK);
    assert_int_equal(enter(&b, &m[2], "2001:db8::3"), ERR_EXHAUSTED);
    assert_int_equal(enter(&b, &m[3], "2001:db8:0:1::3"), OK);
    assert_int_equal(enter(&b, &m[4], "?"), OK);
    assert_int_equal(enter(&b, &m[5], "192.0.2.1"), OK);
    roster_leave(&m[1], 0);
    assert_int_equal(enter(&b, &m[2], "2001:db8::3"), OK);
    roster_leave(&m[0], 0);
    for (size_t i = 2; i < 6; i++)
        roster_leave(&m[i], 0);
    end(&b);
}

static void a_user_has_their_share_and_no_more(void **state)
{
    (void)state;
    struct bed b;
    begin(&b, 9, 2);
    struct member m[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(enter(&b, &m[i], "192.0.2.1"), OK);
    assert_int_equal(roster_name(&m[0], "ann"), OK);
    assert_int_equal(roster_name(&m[0], "ann"), OK); /* again: the same connection */
    assert_int_equal(roster_name(&m[1], "ann"), OK);
    assert_int_equal(roster_name(&m[2], "ann"), ERR_EXHAUSTED);
    assert_int_equal(roster_name(&m[2], "bob"), OK);
    for (size_t i = 0; i < 3; i++)
        roster_leave(&m[i], 0);
    end(&b);
}

static void the_first_and_the_last_connection_of_a_user_are_told(void **state)
{
    (void)state;
    struct bed b;
    begin(&b, 9, 9);
    struct member m[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(enter(&b, &m[i], "192.0.2.1"), OK);
    assert_string_equal(b.told.text, "");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(roster_name(&m[i], "ann"), OK);
    assert_string_equal(b.told.text, "+ann ");
    roster_leave(&m[0], 1001);
    roster_leave(&m[2], 0); /* a guest */
    assert_string_equal(b.told.text, "+ann ");
    roster_leave(&m[1], 0);
    assert_string_equal(b.told.text, "+ann -ann ");
    end(&b);
}

static void pages_have_everyone_once_the_oldest_first(void **state)
{
    (void)state;
    struct bed b;
    begin(&b, 99, 99);
    struct member m[7];
    struct roster_entry page[3];
    uint64_t after = 0;
    bool more = true;
    size_t seen = 0;
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(enter(&b, &m[i], "192.0.2.1"), OK);
    while (more) {
        size_t count = roster_page(b.roster, after, 3, page, &more);
        assert_true(count <= 3);
        for (size_t i = 0; i < count; i++, seen++) {
            assert_int_equal(page[i].id, m[seen].id);
            assert_true(page[i].id > after);
            after = page[i].id;
        }
    }
    assert_int_equal(seen, 7);
    for (size_t i = 0; i < 7; i++)
        roster_leave(&m[(i * 3) % 7], 0); /* from the middle too */
    assert_int_equal(roster_page(b.roster, 0, 3, page, &more), 0);
    assert_false(more);
    end(&b);
}

static void users_come_in_pages_by_their_id(void **state)
{
    (void)state;
    struct bed b;
    begin(&b, 99, 99);
    static const char *const names[] = {"dan", "ann", "cid", "bob", "ann"};
    struct member m[5];
    struct roster_user users[3];
    size_t count = 0;
    bool more = false;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(enter(&b, &m[i], "192.0.2.1"), OK);
        assert_int_equal(roster_name(&m[i], names[i]), OK);
    }
    assert_int_equal(roster_users(b.roster, "", 3, users, &count, &more), OK);
    assert_true(count == 3 && more);
    assert_string_equal(users[0].user_id, "ann");
    assert_string_equal(users[2].user_id, "cid");
    assert_int_equal(roster_users(b.roster, "cid", 3, users, &count, &more), OK);
    assert_true(count == 1 && !more);
    assert_string_equal(users[0].user_id, "dan");
    for (size_t i = 0; i < 5; i++)
        roster_leave(&m[i], 0);
    end(&b);
}

static void a_tally_counts_many_names_and_forgets_them(void **state)
{
    (void)state;
    struct tally t;
    char name[16];
    size_t count = 0;
    assert_int_equal(tally_init(&t), OK);
    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < 1000; i++) {
            (void)snprintf(name, sizeof name, "%d", i);
            assert_int_equal(tally_add(&t, name, 2, &count), OK);
            assert_int_equal(count, round);
        }
    }
    assert_int_equal(tally_add(&t, "7", 2, &count), ERR_EXHAUSTED);
    assert_int_equal(t.names, 1000);
    for (int left = 1; left >= 0; left--) {
        for (int i = 0; i < 1000; i++) {
            (void)snprintf(name, sizeof name, "%d", i);
            assert_int_equal(tally_remove(&t, name), left);
        }
    }
    assert_int_equal(t.names, 0);
    tally_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_its_share_and_no_more),
        cmocka_unit_test(addresses_of_one_household_share),
        cmocka_unit_test(a_user_has_their_share_and_no_more),
        cmocka_unit_test(the_first_and_the_last_connection_of_a_user_are_told),
        cmocka_unit_test(pages_have_everyone_once_the_oldest_first),
        cmocka_unit_test(users_come_in_pages_by_their_id),
        cmocka_unit_test(a_tally_counts_many_names_and_forgets_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
