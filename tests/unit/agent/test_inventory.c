#include "support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/inventory.h"
#include "common/alloc.h"
#include "common/path.h"

static int make_root(void **state)
{
	static char dir[64];

	snprintf(dir, sizeof(dir), "/tmp/test_inventory-XXXXXX");
	*state = mkdtemp(dir);
	return *state == NULL;
}

static int remove_root(void **state)
{
	struct err err;

	return path_remove_tree(*state, &err) ? 0 : 1;
}

static void put(const char *root, const char *name, const char *text)
{
	SCOPED_TEXT char *path = path_join(root, name);
	SCOPED_TEXT char *dir = alloc_printf("%.*s", (int)(path_base(path) - path - 1), path);
	struct err err;
	int fd;

	assert_done(path_make_dirs(dir, 0700, &err), &err);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_done(path_write_fd(fd, span_of_text(text), &err), &err);
	close(fd);
}

static const char *cell(const json_t *tables, const char *table, size_t row, const char *column)
{
	return jsondoc_text(json_array_get(json_object_get(tables, table), row), column);
}

static int64_t number(const json_t *tables, const char *table, size_t row, const char *column)
{
	return jsondoc_int(json_array_get(json_object_get(tables, table), row), column, -1);
}

static size_t rows(const json_t *tables, const char *table)
{
	return json_array_size(json_object_get(tables, table));
}

static void files_become_tables(void **state)
{
	struct inventory_options o = {
		.root = *state, .name = "box", .site = "LON", .machine = "m"
	};
	json_auto_t *t = NULL;

	put(*state, "etc/os-release",
	    "NAME=x\nID=debian\nPRETTY_NAME=\"Debian 12\"\nVERSION_ID='12'\n");
	put(*state, "sys/class/dmi/id/sys_vendor", "Maker Inc.\n");
	put(*state, "sys/class/dmi/id/product_name", "Box\x1b[31m\n");
	put(*state, "proc/cpuinfo", "processor\t: 0\nmodel name\t: Fast CPU\n\nprocessor\t: 1\n");
	put(*state, "proc/meminfo", "MemTotal:        2048000 kB\nMemFree: 1 kB\n");
	put(*state, "var/lib/dpkg/status",
	    "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n");
	t = inventory_take(&o);
	assert_string_equal(cell(t, "client", 0, "name"), "box");
	assert_string_equal(cell(t, "client", 0, "site"), "LON");
	assert_string_equal(cell(t, "os", 0, "id"), "debian");
	assert_string_equal(cell(t, "os", 0, "name"), "Debian 12");
	assert_string_equal(cell(t, "os", 0, "version"), "12");
	assert_string_equal(cell(t, "hardware", 0, "vendor"), "Maker Inc.");
	assert_string_equal(cell(t, "hardware", 0, "product"), "Box\\x1b[31m");
	assert_string_equal(cell(t, "hardware", 0, "serial"), "");
	assert_string_equal(cell(t, "hardware", 0, "cpu"), "Fast CPU");
	assert_int_equal(number(t, "hardware", 0, "cores"), 2);
	assert_int_equal(number(t, "hardware", 0, "memory_mb"), 2000);
	assert_int_equal(rows(t, "software"), 1);
	assert_string_equal(cell(t, "software", 0, "source"), "dpkg");
}

static void an_empty_machine_gives_empty_tables(void **state)
{
	struct inventory_options o = { .root = *state, .address = "" };
	json_auto_t *t = inventory_take(&o);

	assert_int_equal(rows(t, "software"), 0);
	assert_int_equal(rows(t, "disk"), 0);
	assert_int_equal(rows(t, "network"), 0);
	assert_int_equal(rows(t, "os"), 1);
}

static void configured_addresses_replace_live_ones(void **state)
{
	struct inventory_options o = { .root = *state,
				       .address = "10.1.2.3, 2001:db8::5,nonsense" };
	json_auto_t *t = inventory_take(&o);

	assert_int_equal(rows(t, "network"), 2);
	assert_string_equal(cell(t, "network", 0, "address"), "10.1.2.3");
	assert_string_equal(cell(t, "network", 1, "address"), "2001:db8::5");
}

/* Only when there is no other address does the loopback count. */
static void loopback_is_the_last_resort(void **state)
{
	struct inventory_options o = { .root = *state };
	json_auto_t *t = inventory_take(&o);
	size_t loopback = 0;

	for (size_t i = 0; i < rows(t, "network"); i++)
		loopback += strcmp(cell(t, "network", i, "interface"), "lo") == 0;
	assert_true(loopback == 0 || loopback == rows(t, "network"));
}

/* KB Q256198: a look at the disks must never touch a network mount. */
static void only_local_disks_are_looked_at(void **state)
{
	struct inventory_options o = { .root = *state, .address = "" };
	json_auto_t *t = NULL;

	put(*state, "data dir/.keep", "");
	put(*state, "net/disk/.keep", "");
	put(*state, "proc/self/mountinfo",
	    "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	    "21 20 0:4 / /proc rw - proc proc rw\n"
	    "22 20 0:40 / /net rw master:1 - nfs4 nas:/x rw\n"
	    "23 22 8:2 / /net/disk rw - ext4 /dev/sdb1 rw\n"
	    "24 20 8:3 / /data\\040dir rw - xfs /dev/sdc1 rw\n"
	    "25 20 8:3 /sub /again rw - xfs /dev/sdc1 rw\n"
	    "26 20 0:50 / /fuse rw - fuse.sshfs me@host: rw\n"
	    "broken line\n"
	    "27 20 8:9 / /nowhere rw - ext4 /dev/sdz rw\n");
	t = inventory_take(&o);
	assert_int_equal(rows(t, "disk"), 2);
	assert_string_equal(cell(t, "disk", 0, "device"), "/dev/sda1");
	assert_string_equal(cell(t, "disk", 1, "mount"), "/data dir");
	assert_string_equal(cell(t, "disk", 1, "fstype"), "xfs");
	assert_true(number(t, "disk", 0, "size_mb") > 0);
}

static void the_fingerprint_follows_what_matters(void **state)
{
	struct inventory_options o = { .root = *state, .address = "10.0.0.1", .name = "box" };
	json_auto_t *a = inventory_take(&o), *b = inventory_take(&o), *record = NULL;
	uint64_t before = inventory_fingerprint(a);

	json_array_append_new(json_object_get(a, "disk"),
			      json_pack("{s:s,s:i}", "mount", "/", "free_mb", 1));
	json_array_append_new(json_object_get(b, "disk"),
			      json_pack("{s:s,s:i}", "mount", "/", "free_mb", 2));
	assert_true(inventory_fingerprint(a) == inventory_fingerprint(b));
	assert_true(inventory_fingerprint(a) != before);
	record = inventory_record(a, 1763822617);
	assert_string_equal(jsondoc_text(record, "kind"), "inventory");
	assert_string_equal(jsondoc_text(record, "time"), "2025-11-22T14:43:37Z");
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_root, remove_root)

TESTING_MAIN(CASE(files_become_tables), CASE(an_empty_machine_gives_empty_tables),
	     CASE(configured_addresses_replace_live_ones), CASE(loopback_is_the_last_resort),
	     CASE(only_local_disks_are_looked_at), CASE(the_fingerprint_follows_what_matters), )
