/* Opening what is not a file, and reading what is no longer there.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[2][sizeof folder + 32];
    static int turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%.*s/%.30s", (int)sizeof folder, folder, name);
    return path[turn];
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_file.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "fifo", "socket", "link", "dangling", "device", "loop", "locked"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(in_folder(names[i]));
    return rmdir(folder);
}

static const char *write_file(const char *name, const char *text)
{
    const char *path = in_folder(name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    return path;
}

static void expect_refusal(const char *path, lora_code code)
{
    file f = {.fd = 99};
    lora_error err = {0};
    assert_int_equal(file_open(path, &f, &err), code);
    assert_int_equal(err.code, code);
    assert_int_equal(f.fd, -1);
    assert_true(strlen(err.message) > 0);
    file_close(&f);
}

static void a_regular_file_is_opened_with_its_size_and_read_by_position(void **state)
{
    (void)state;
    file f;
    lora_error err = {0};
    char bytes[6] = "";
    assert_int_equal(file_open(write_file("plain", "0123456789"), &f, &err), LORA_OK);
    assert_int_equal(f.size, 10);
    assert_int_equal(file_read_at(&f, 3, bytes, 5, &err), LORA_OK);
    assert_string_equal(bytes, "34567");
    assert_int_equal(file_read_at(&f, 0, bytes, 5, &err), LORA_OK);
    assert_string_equal(bytes, "01234");
    assert_int_equal(file_read_at(&f, 10, bytes, 0, &err), LORA_OK);
    assert_int_equal(err.code, LORA_OK);
    file_close(&f);
    assert_int_equal(f.fd, -1);
    file_close(&f);
}

static void the_last_byte_can_be_read_and_the_next_one_not(void **state)
{
    (void)state;
    char bytes[32];
    for (size_t n = 9; n <= 11; n++) {
        file f;
        lora_error err = {0};
        assert_int_equal(file_open(write_file("plain", "0123456789"), &f, &err), LORA_OK);
        lora_code code = file_read_at(&f, 0, bytes, n, &err);
        assert_int_equal(code, n <= 10 ? LORA_OK : LORA_E_SHRUNK);
        if (code) {
            assert_true(err.has_offset);
            assert_int_equal(err.offset, 10);
        }
        file_close(&f);
    }
}

static void a_file_that_shrank_is_an_error_at_its_new_end(void **state)
{
    (void)state;
    file f;
    lora_error err = {0};
    char bytes[10];
    const char *path = write_file("plain", "0123456789");
    assert_int_equal(file_open(path, &f, &err), LORA_OK);
    assert_int_equal(truncate(path, 4), 0);
    assert_int_equal(file_read_at(&f, 2, bytes, 8, &err), LORA_E_SHRUNK);
    assert_int_equal(err.offset, 4);
    file_close(&f);
}

static void offsets_beyond_what_files_can_have_are_an_error(void **state)
{
    (void)state;
    static const uint64_t offsets[] = {INT64_MAX - 3u, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    file f;
    char bytes[4];
    lora_error none = {0};
    assert_int_equal(file_open(write_file("plain", "0123456789"), &f, &none), LORA_OK);
    for (size_t i = 0; i < 4; i++) {
        lora_error err = {0};
        assert_int_equal(file_read_at(&f, offsets[i], bytes, 4, &err), LORA_E_SHRUNK);
        assert_int_equal(err.offset, offsets[i]);
    }
    file_close(&f);
}

static void a_read_that_fails_names_errno_and_offset(void **state)
{
    (void)state;
    file f = {.fd = -1, .size = 10};
    lora_error err = {0};
    char bytes[4];
    assert_int_equal(file_read_at(&f, 6, bytes, 4, &err), LORA_E_READ);
    assert_int_equal(err.sys, EBADF);
    assert_true(err.has_offset);
    assert_int_equal(err.offset, 6);

    lora_error earlier = {.code = LORA_E_HOLE, .has_offset = true, .offset = 1};
    assert_int_equal(file_read_at(&f, 6, bytes, 4, &earlier), LORA_E_READ);
    assert_int_equal(earlier.code, LORA_E_HOLE);
    assert_int_equal(earlier.offset, 1);
}

static void a_named_pipe_is_refused_without_waiting(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    alarm(20);
    expect_refusal(in_folder("fifo"), LORA_E_NOT_REGULAR);
    alarm(0);
}

static void a_socket_is_refused(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", in_folder("socket"));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        if (fd >= 0)
            close(fd);
        print_message("skipped: no local sockets here\n");
        skip();
    }
    expect_refusal(in_folder("socket"), LORA_E_NOT_REGULAR);
    close(fd);
}

static void folders_and_devices_are_refused(void **state)
{
    (void)state;
    expect_refusal(folder, LORA_E_NOT_REGULAR);
    expect_refusal("/dev/zero", LORA_E_NOT_REGULAR);
    expect_refusal("/dev/null", LORA_E_NOT_REGULAR);
    assert_int_equal(symlink("/dev/zero", in_folder("device")), 0);
    expect_refusal(in_folder("device"), LORA_E_NOT_REGULAR);
}

static void what_is_missing_is_not_found(void **state)
{
    (void)state;
    expect_refusal(in_folder("missing"), LORA_E_NOT_FOUND);
    expect_refusal("", LORA_E_NOT_FOUND);
    assert_int_equal(symlink("nowhere", in_folder("dangling")), 0);
    expect_refusal(in_folder("dangling"), LORA_E_NOT_FOUND);
}

static void a_loop_of_links_cannot_be_opened(void **state)
{
    (void)state;
    assert_int_equal(symlink("loop", in_folder("loop")), 0);
    expect_refusal(in_folder("loop"), LORA_E_OPEN);
}

static void a_link_to_a_file_is_followed(void **state)
{
    (void)state;
    write_file("plain", "abc");
    assert_int_equal(symlink("plain", in_folder("link")), 0);
    file f;
    lora_error err = {0};
    assert_int_equal(file_open(in_folder("link"), &f, &err), LORA_OK);
    assert_int_equal(f.size, 3);
    file_close(&f);
}

static void a_file_without_read_permission_says_so(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        print_message("skipped: root may read everything\n");
        skip();
    }
    const char *path = write_file("locked", "x");
    assert_int_equal(chmod(path, 0), 0);
    expect_refusal(path, LORA_E_PERMISSION);
}

static void a_hostile_path_is_shown_escaped(void **state)
{
    (void)state;
    file f;
    lora_error err = {0};
    file_open("/nowhere/\x1b[31m\n\xff", &f, &err);
    assert_non_null(strstr(err.message, "/nowhere/\\x1b[31m\\x0a\\xff"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_regular_file_is_opened_with_its_size_and_read_by_position),
        cmocka_unit_test(the_last_byte_can_be_read_and_the_next_one_not),
        cmocka_unit_test(a_file_that_shrank_is_an_error_at_its_new_end),
        cmocka_unit_test(offsets_beyond_what_files_can_have_are_an_error),
        cmocka_unit_test(a_read_that_fails_names_errno_and_offset),
        cmocka_unit_test(a_named_pipe_is_refused_without_waiting),
        cmocka_unit_test(a_socket_is_refused),
        cmocka_unit_test(folders_and_devices_are_refused),
        cmocka_unit_test(what_is_missing_is_not_found),
        cmocka_unit_test(a_loop_of_links_cannot_be_opened),
        cmocka_unit_test(a_link_to_a_file_is_followed),
        cmocka_unit_test(a_file_without_read_permission_says_so),
        cmocka_unit_test(a_hostile_path_is_shown_escaped),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
