/* Addresses, networks, and the client behind proxies. */
#include "support/unit.h"

#include "base/network.h"

#include <stdio.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct networks parse(const char *list)
{
    struct networks networks;
    struct err_detail detail = {0};
    if (networks_parse(list, &networks, &detail)) fail_msg("%s: %s", list, detail.text);
    return networks;
}

static void an_address_is_read_and_written_in_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written; /* NULL: refused */
    } table[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"2001:DB8:0:0::7", "2001:db8::7"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"0000:0000:0000:0000:0000:ffff:192.168.100.228", "192.168.100.228"},
        {"::ffff:c000:207", "192.0.2.7"},
        {"", NULL},
        {" 192.0.2.7", NULL},
        {"192.0.2.7 ", NULL},
        {"192.0.2", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.07", NULL},
        {"192.0.2.7.1", NULL},
        {"192.0.2.7:80", NULL},
        {"0x7f.1", NULL},
        {"[::1]", NULL},
        {"fe80::1%eth0", NULL},
        {"::1::", NULL},
        {"unknown", NULL},
        {"0000:0000:0000:0000:0000:ffff:192.168.100.2280", NULL},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct address address;
        char written[ADDRESS_TEXT_SIZE];
        bool good = address_parse(table[i].text, strlen(table[i].text), &address);
        if (good != !!table[i].written) fail_msg("%s", table[i].text);
        if (!good) continue;
        address_format(&address, written);
        assert_string_equal(written, table[i].written);
    }
}

static void a_network_has_what_shares_its_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *list, *address;
        bool inside;
    } table[] = {
        {"", "127.0.0.1", false},
        {" ", "127.0.0.1", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1/32", "127.0.0.1", true},
        {"127.0.0.1/32", "127.0.0.2", false},
        {"127.0.0.1/32", "::ffff:127.0.0.1", true},
        {"::ffff:127.0.0.1", "127.0.0.1", true},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"172.16.0.0/12", "172.31.255.255", true},
        {"172.16.0.0/12", "172.32.0.0", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "203.0.113.9", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"2001:db8::7/128", "2001:db8::7", true},
        {"2001:db8::7/128", "2001:db8::6", false},
        {" 10.0.0.0/8 ,\t192.0.2.7 , fd00::/8", "192.0.2.7", true},
        {" 10.0.0.0/8 ,\t192.0.2.7 , fd00::/8", "fd12::1", true},
        {" 10.0.0.0/8 ,\t192.0.2.7 , fd00::/8", "192.0.2.8", false},
        {"0.0.0.0/0,::/0", "not an address", false},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct networks networks = parse(table[i].list);
        if (networks_contain_text(&networks, table[i].address) != table[i].inside)
            fail_msg("%s in %s", table[i].address, table[i].list);
    }
}

static void a_wrong_list_is_refused_with_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *list, *says;
    } table[] = {
        {"localhost", "\"localhost\" is no network"},
        {",", "\"\" is no network"},
        {"10.0.0.0/8,", "\"\" is no network"},
        {"10.0.0.0/8 192.0.2.7", "0 to 32"},
        {"10.0.0.0 192.0.2.7", "is no network"},
        {"10.0.0.0/", "0 to 32"},
        {"10.0.0.0/33", "0 to 32"},
        {"10.0.0.0/08", "0 to 32"},
        {"10.0.0.0/-1", "0 to 32"},
        {"10.0.0.0/8/8", "0 to 32"},
        {"fd00::/129", "0 to 128"},
        {"fd00::/1000", "0 to 128"},
        {"10.0.0.1/8", "right is 10.0.0.0/8"},
        {"10.0.0.0/0", "right is 0.0.0.0/0"},
        {"2001:db8::1/64", "right is 2001:db8::/64"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct networks networks = {.count = 7};
        struct err_detail detail = {0};
        assert_int_equal(networks_parse(table[i].list, &networks, &detail), ERR_INVALID);
        if (!strstr(detail.text, table[i].says)) fail_msg("%s: %s", table[i].list, detail.text);
        assert_int_equal(networks.count, 7);
    }
}

static void a_list_has_at_most_so_many_networks(void **state)
{
    (void)state;
    char list[16 * (NETWORKS_MAX + 1)] = "";
    size_t size = 0;
    struct networks networks;
    struct err_detail detail = {0};
    for (unsigned i = 0; i < NETWORKS_MAX; i++)
        size += (size_t)snprintf(list + size, sizeof list - size, "%s10.0.0.%u", i ? "," : "", i);
    assert_int_equal(networks_parse(list, &networks, &detail), OK);
    assert_int_equal(networks.count, NETWORKS_MAX);
    assert_true(networks_contain_text(&networks, "10.0.0.63"));
    (void)snprintf(list + size, sizeof list - size, ",10.0.0.64");
    assert_int_equal(networks_parse(list, &networks, &detail), ERR_RANGE);
}

static void the_client_is_whom_the_last_trusted_proxy_saw(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *lines[3], *client;
    } table[] = {
        {"127.0.0.1", {0}, "127.0.0.1"},
        {"203.0.113.9", {0}, "203.0.113.9"},
        {"203.0.113.9", {"198.51.100.1"}, "203.0.113.9"}, /* says so itself */
        {"127.0.0.1", {"198.51.100.1"}, "198.51.100.1"},
        {"127.0.0.1", {" 198.51.100.1\t"}, "198.51.100.1"},
        {"127.0.0.1", {"6.6.6.6, 198.51.100.1"}, "198.51.100.1"}, /* what it sent itself */
        {"127.0.0.1", {"6.6.6.6, 198.51.100.1, 10.1.2.3"}, "198.51.100.1"},
        {"127.0.0.1", {"198.51.100.1, 127.0.0.1,10.1.2.3"}, "198.51.100.1"},
        {"127.0.0.1", {"10.0.0.5, 10.1.2.3"}, "10.0.0.5"}, /* all are ours */
        {"127.0.0.1", {"6.6.6.6", "198.51.100.1", "10.1.2.3"}, "198.51.100.1"},
        {"127.0.0.1", {"6.6.6.6, 198.51.100.1", "10.1.2.3"}, "198.51.100.1"},
        {"10.1.2.3", {"2001:DB8::0:7"}, "2001:db8::7"},
        {"10.1.2.3", {"::ffff:198.51.100.1"}, "198.51.100.1"},
        {"fd00::1", {"2001:db8::7, ::ffff:10.9.9.9"}, "2001:db8::7"},
        {"127.0.0.1", {"unknown"}, "127.0.0.1"},
        {"127.0.0.1", {""}, "127.0.0.1"},
        {"127.0.0.1", {"198.51.100.1,"}, "127.0.0.1"},
        {"127.0.0.1", {"198.51.100.1, unknown, 10.1.2.3"}, "127.0.0.1"},
        {"127.0.0.1", {"198.51.100.1:4711"}, "127.0.0.1"},
        {"127.0.0.1", {"[2001:db8::7]"}, "127.0.0.1"},
        {"127.0.0.1", {"198.51.100.1 198.51.100.2"}, "127.0.0.1"},
        {"127.0.0.1", {"unknown, 198.51.100.1"}, "198.51.100.1"}, /* nobody looks so far */
        {"/run/socket", {"198.51.100.1"}, "/run/socket"},
        {"::ffff:203.0.113.9", {"198.51.100.1"}, "203.0.113.9"},
    };
    struct networks trusted = parse("127.0.0.1/32,10.0.0.0/8,fd00::/8");
    for (size_t i = 0; i < COUNT(table); i++) {
        char client[ADDRESS_TEXT_SIZE];
        size_t count = 0;
        while (count < COUNT(table[i].lines) && table[i].lines[count])
            count++;
        network_client(&trusted, table[i].peer, table[i].lines, count, client);
        if (strcmp(client, table[i].client) != 0)
            fail_msg("%s, %s: %s", table[i].peer, count ? table[i].lines[0] : "", client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_and_written_in_one_form),
        cmocka_unit_test(a_network_has_what_shares_its_prefix),
        cmocka_unit_test(a_wrong_list_is_refused_with_what_would_be_right),
        cmocka_unit_test(a_list_has_at_most_so_many_networks),
        cmocka_unit_test(the_client_is_whom_the_last_trusted_proxy_saw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
