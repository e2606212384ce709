#include "agent/inventory.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/dpkg.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/netaddr.h"
#include "common/path.h"
#include "common/text.h"

#define SMALL_FILE_MAX ((size_t)1 << 20)
#define DPKG_FILE_MAX  ((size_t)64 << 20)
#define MEBIBYTE       1048576u
#define MOUNTS_MAX     4096

/* Files. */

/* Read up to `max` bytes; files of /proc and /sys have no size of their own. */
static bool read_up_to(struct buf *out, const char *root, const char *name, size_t max)
{
	SCOPED_TEXT char *path = path_join(root, name);
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t got = 1;

	if (fd < 0)
		return false;
	while (got > 0 && out->size < max) {
		size_t part = MIN_OF(max - out->size, (size_t)65536);

		got = path_read_fd(fd, buf_reserve(out, part), part);
		if (got > 0)
			buf_grew(out, (size_t)got);
	}
	return got >= 0;
}

/* One line of text out of foreign bytes. */
static json_t *text_of(struct span s)
{
	char text[512];

	while (s.size > 0 && (s.data[s.size - 1] == '\n' || s.data[s.size - 1] == ' '))
		s.size--;
	while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = span_skip(s, 1);
	text_escape_span(text, sizeof(text), s);
	return json_string(text);
}

static json_t *file_text(const char *root, const char *name)
{
	SCOPED(buf) struct buf bytes = { 0 };

	(void)!read_up_to(&bytes, root, name, 4096);
	return text_of(buf_span(&bytes));
}

static json_t *add_table(json_t *tables, const char *name)
{
	json_t *table = json_array();

	jsondoc_set(tables, name, table);
	return table;
}

static json_t *add_row(json_t *table)
{
	json_t *row = json_object();

	json_array_append_new(table, row);
	return row;
}

/* os, client */

static struct span unquoted(struct span s)
{
	if (s.size >= 2 && (s.data[0] == '"' || s.data[0] == '\'') &&
	    s.data[s.size - 1] == s.data[0])
		return span_of(s.data + 1, s.size - 2);
	return s;
}

static void take_os(json_t *tables, const char *root)
{
	static const struct {
		const char *key, *column;
	} keys[] = { { "ID", "id" }, { "PRETTY_NAME", "name" }, { "VERSION_ID", "version" } };
	json_t *row = add_row(add_table(tables, "os"));
	SCOPED(buf) struct buf bytes = { 0 };
	struct span rest, line, key;
	struct utsname host;

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		jsondoc_set_text(row, keys[i].column, "");
	(void)!read_up_to(&bytes, root, "etc/os-release", SMALL_FILE_MAX);
	rest = buf_span(&bytes);
	while (span_take_line(&rest, &line)) {
		if (!span_take_until(&line, &key, '=', 64))
			continue;
		for (size_t i = 0; i < COUNT_OF(keys); i++)
			if (span_equal_text(key, keys[i].key))
				jsondoc_set(row, keys[i].column, text_of(unquoted(line)));
	}
	if (uname(&host) != 0)
		return;
	jsondoc_set_text(row, "kernel", host.release);
	jsondoc_set_text(row, "arch", host.machine);
}

static void take_client(json_t *tables, const struct inventory_options *o)
{
	json_t *row = add_row(add_table(tables, "client"));
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) != 0)
		name[0] = '\0';
	jsondoc_set_text(row, "name", o->name != NULL ? o->name : name);
	jsondoc_set_text(row, "site", o->site != NULL ? o->site : "");
	jsondoc_set_text(row, "agent_version", PACKWAY_VERSION);
	jsondoc_set_text(row, "machine", o->machine != NULL ? o->machine : "");
}

/* hardware */

static void take_cpu(json_t *row, const char *root)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct span rest, line, key;
	int cores = 0;

	jsondoc_set_text(row, "cpu", "");
	(void)!read_up_to(&bytes, root, "proc/cpuinfo", SMALL_FILE_MAX);
	rest = buf_span(&bytes);
	while (span_take_line(&rest, &line)) {
		if (!span_take_until(&line, &key, ':', 64))
			continue;
		while (key.size > 0 &&
		       (key.data[key.size - 1] == '\t' || key.data[key.size - 1] == ' '))
			key.size--;
		cores += span_equal_text(key, "processor");
		if (span_equal_text(key, "model name") || span_equal_text(key, "Model"))
			jsondoc_set(row, "cpu", text_of(line));
	}
	jsondoc_set_int(row, "cores", cores);
}

static int64_t memory_mb(const char *root)
{
	SCOPED(buf) struct buf bytes = { 0 };
	unsigned long long kib = 0;

	(void)!read_up_to(&bytes, root, "proc/meminfo", SMALL_FILE_MAX);
	if (sscanf(buf_text(&bytes), "MemTotal: %18llu", &kib) != 1)
		return 0;
	return (int64_t)(kib / 1024);
}

static void take_hardware(json_t *tables, const char *root)
{
	static const struct {
		const char *column, *file;
	} texts[] = {
		{ "vendor", "sys/class/dmi/id/sys_vendor" },
		{ "product", "sys/class/dmi/id/product_name" },
		{ "serial", "sys/class/dmi/id/product_serial" },
	};
	json_t *row = add_row(add_table(tables, "hardware"));

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		jsondoc_set(row, texts[i].column, file_text(root, texts[i].file));
	take_cpu(row, root);
	jsondoc_set_int(row, "memory_mb", memory_mb(root));
}

/* network */

static void put_address(json_t *table, const char *interface, const struct netaddr *address,
			int prefix, const char *mac)
{
	json_t *row = add_row(table);
	char text[NETADDR_TEXT_MAX];

	netaddr_print(text, address);
	jsondoc_set_text(row, "interface", interface);
	jsondoc_set_text(row, "address", text);
	jsondoc_set_int(row, "prefix", prefix);
	jsondoc_set_text(row, "mac", mac);
}

static void put_configured(json_t *table, const char *list)
{
	SCOPED_TEXT char *work = alloc_text(list);
	char *rest = work, *word;

	while ((word = strsep(&rest, ", ")) != NULL) {
		struct netaddr address;

		if (netaddr_parse(&address, word))
			put_address(table, "", &address, address.family == 4 ? 32 : 128, "");
	}
}

static bool is_live(const struct ifaddrs *i)
{
	return (i->ifa_flags & IFF_UP) != 0 && (i->ifa_flags & IFF_RUNNING) != 0;
}

static const void *raw_address(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
	return &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
}

static bool address_of(struct netaddr *out, const struct sockaddr *sa)
{
	char text[INET6_ADDRSTRLEN];

	return sa != NULL && (sa->sa_family == AF_INET || sa->sa_family == AF_INET6) &&
	       inet_ntop(sa->sa_family, raw_address(sa), text, sizeof(text)) != NULL &&
	       netaddr_parse(out, text);
}

static int prefix_of(const struct sockaddr *mask)
{
	const uint8_t *bytes;
	int bits = 0;

	if (mask == NULL || (mask->sa_family != AF_INET && mask->sa_family != AF_INET6))
		return 0;
	bytes = raw_address(mask);
	for (int i = 0; i < (mask->sa_family == AF_INET ? 4 : 16); i++)
		bits += __builtin_popcount(bytes[i]);
	return bits;
}

static void find_mac(char dst[18], const struct ifaddrs *all, const char *interface)
{
	dst[0] = '\0';
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		const struct sockaddr_ll *link = (const void *)i->ifa_addr;

		if (link == NULL || link->sll_family != AF_PACKET || link->sll_halen != 6 ||
		    strcmp(i->ifa_name, interface) != 0)
			continue;
		snprintf(dst, 18, "%02x:%02x:%02x:%02x:%02x:%02x", link->sll_addr[0],
			 link->sll_addr[1], link->sll_addr[2], link->sll_addr[3], link->sll_addr[4],
			 link->sll_addr[5]);
	}
}

/* Addresses of live interfaces that are, or are not, the loopback; returns how many. */
static size_t put_live(json_t *table, const struct ifaddrs *all, unsigned int loopback)
{
	size_t count = 0;

	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct netaddr address;
		char mac[18];

		if (!is_live(i) || (i->ifa_flags & IFF_LOOPBACK) != loopback ||
		    !address_of(&address, i->ifa_addr))
			continue;
		find_mac(mac, all, i->ifa_name);
		put_address(table, i->ifa_name, &address, prefix_of(i->ifa_netmask), mac);
		count++;
	}
	return count;
}

static void take_network(json_t *tables, const char *configured)
{
	json_t *table = add_table(tables, "network");
	struct ifaddrs *all;

	if (configured != NULL) {
		put_configured(table, configured);
		return;
	}
	if (getifaddrs(&all) != 0)
		return;
	if (put_live(table, all, 0) == 0)
		(void)put_live(table, all, IFF_LOOPBACK);
	freeifaddrs(all);
}

/* disk */

enum mount_kind {
	MOUNT_FOREIGN, /* may lie on a network: neither it nor what is beneath is touched */
	MOUNT_LOCAL,   /* a disk */
	MOUNT_VIRTUAL, /* neither */
};

struct mount {
	char device[24], root[256], at[1024], fstype[64], source[256];
	enum mount_kind kind;
};

static enum mount_kind kind_of(const char *fstype)
{
	static const char *const local[] = { "ext2",    "ext3",     "ext4",     "xfs",
					     "btrfs",   "f2fs",     "vfat",     "exfat",
					     "ntfs",    "ntfs3",    "zfs",      "jfs",
					     "overlay", "bcachefs", "reiserfs", "erofs" };
	static const char *const virtual[] = { "proc",       "sysfs",    "tmpfs",     "devtmpfs",
					       "devpts",     "cgroup",   "cgroup2",   "mqueue",
					       "securityfs", "debugfs",  "tracefs",   "bpf",
					       "pstore",     "configfs", "hugetlbfs", "efivarfs",
					       "ramfs",      "rootfs",   "squashfs",  "nsfs" };

	for (size_t i = 0; i < COUNT_OF(local); i++)
		if (strcmp(local[i], fstype) == 0)
			return MOUNT_LOCAL;
	for (size_t i = 0; i < COUNT_OF(virtual); i++)
		if (strcmp(virtual[i], fstype) == 0)
			return MOUNT_VIRTUAL;
	return MOUNT_FOREIGN;
}

/* Blanks and backslashes are \ooo in the mount table. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; to++) {
		unsigned int byte;

		if (from[0] == '\\' && sscanf(from + 1, "%3o", &byte) == 1 && byte < 256) {
			*to = (char)byte;
			from += strspn(from + 1, "01234567") + 1;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static bool take_mount(struct mount *out, struct span line)
{
	char text[4096];
	const char *rest;

	if (line.size >= sizeof(text))
		return false;
	memcpy(text, line.data, line.size);
	text[line.size] = '\0';
	rest = strstr(text, " - ");
	if (rest == NULL ||
	    sscanf(text, "%*d %*d %23s %255s %1023s", out->device, out->root, out->at) != 3 ||
	    sscanf(rest + 3, "%63s %255s", out->fstype, out->source) != 2)
		return false;
	unescape(out->at);
	out->kind = kind_of(out->fstype);
	return true;
}

static size_t list_mounts(struct mount **out, const char *root)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct span rest, line;
	size_t count = 0;

	*out = NULL;
	(void)!read_up_to(&bytes, root, "proc/self/mountinfo", SMALL_FILE_MAX);
	rest = buf_span(&bytes);
	while (count < MOUNTS_MAX && span_take_line(&rest, &line)) {
		ALLOC_GROW(*out, count);
		count += take_mount(&(*out)[count], line);
	}
	return count;
}

static bool is_beneath(const char *path, const char *folder)
{
	size_t size = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(path, folder, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

/* A look at a mount point walks through what is above it, and sees what was mounted last. */
static bool is_safe(const struct mount *mounts, size_t count, size_t i)
{
	for (size_t k = 0; k < count; k++)
		if (mounts[k].kind == MOUNT_FOREIGN && is_beneath(mounts[i].at, mounts[k].at))
			return false;
	return true;
}

/* The same file system under several mount points is one disk. */
static bool is_repeated(const struct mount *mounts, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (mounts[k].kind == MOUNT_LOCAL &&
		    strcmp(mounts[k].device, mounts[i].device) == 0)
			return true;
	return false;
}

static void put_disk(json_t *table, const struct mount *m, const char *root)
{
	SCOPED_TEXT char *path = path_join(root, m->at);
	struct statvfs st;
	json_t *row;

	if (statvfs(path, &st) != 0)
		return;
	row = add_row(table);
	jsondoc_set(row, "device", text_of(span_of_text(m->source)));
	jsondoc_set(row, "mount", text_of(span_of_text(m->at)));
	jsondoc_set_text(row, "fstype", m->fstype);
	jsondoc_set_int(row, "size_mb", (int64_t)(st.f_blocks * st.f_frsize / MEBIBYTE));
	jsondoc_set_int(row, "free_mb", (int64_t)(st.f_bavail * st.f_frsize / MEBIBYTE));
}

static void take_disks(json_t *tables, const char *root)
{
	json_t *table = add_table(tables, "disk");
	struct mount *mounts;
	size_t count = list_mounts(&mounts, root);

	for (size_t i = 0; i < count && json_array_size(table) < INVENTORY_DISKS_MAX; i++)
		if (mounts[i].kind == MOUNT_LOCAL && !is_repeated(mounts, i) &&
		    is_safe(mounts, count, i))
			put_disk(table, &mounts[i], root);
	free(mounts);
}

/* software */

static void take_software(json_t *tables, const char *root)
{
	json_t *table = add_table(tables, "software");
	SCOPED(buf) struct buf bytes = { 0 };
	struct dpkg_package package;
	struct span rest;

	(void)!read_up_to(&bytes, root, "var/lib/dpkg/status", DPKG_FILE_MAX);
	rest = buf_span(&bytes);
	while (json_array_size(table) < INVENTORY_PACKAGES_MAX && dpkg_next(&rest, &package)) {
		json_t *row = add_row(table);

		jsondoc_set_text(row, "name", package.name);
		jsondoc_set_text(row, "version", package.version);
		jsondoc_set_text(row, "arch", package.arch);
		jsondoc_set_text(row, "source", "dpkg");
	}
}

json_t *inventory_take(const struct inventory_options *options)
{
	const char *root = options->root != NULL ? options->root : "/";
	json_t *tables = json_object();

	take_client(tables, options);
	take_os(tables, root);
	take_hardware(tables, root);
	take_network(tables, options->address);
	take_disks(tables, root);
	take_software(tables, root);
	return tables;
}

static json_t *without_free_space(const json_t *tables)
{
	json_t *copy = json_deep_copy(tables), *row;
	size_t i;

	json_array_foreach (json_object_get(copy, "disk"), i, row)
		json_object_del(row, "free_mb");
	return copy;
}

uint64_t inventory_fingerprint(const json_t *tables)
{
	json_auto_t *stable = without_free_space(tables);
	SCOPED(buf) struct buf text = { 0 };
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

	jsondoc_write(&text, stable);
	for (size_t i = 0; i < text.size; i++)
		hash = (hash ^ text.data[i]) * 0x100000001b3u;
	return hash != 0 ? hash : 1;
}

static size_t size_of(const json_t *record)
{
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, record);
	return text.size;
}

/* One of many thousand programs less is better than no inventory at all. */
static void cut_to_fit(json_t *record)
{
	json_t *tables = json_deep_copy(json_object_get(record, "tables"));
	json_t *software = json_object_get(tables, "software");

	jsondoc_set(record, "tables", tables);
	while (json_array_size(software) > 0 && size_of(record) > INVENTORY_BYTES_MAX)
		for (size_t left = json_array_size(software) / 8 + 1; left > 0; left--)
			json_array_remove(software, json_array_size(software) - 1);
	log_warn("the inventory is too long: the site is told of %zu packages only",
		 json_array_size(software));
}

json_t *inventory_record(json_t *tables, int64_t now_s)
{
	json_t *record = json_object();

	jsondoc_set_text(record, "kind", "inventory");
	jsondoc_set_time(record, "time", now_s);
	jsondoc_set_flag(record, "full", true);
	jsondoc_set(record, "tables", json_incref(tables));
	if (size_of(record) > INVENTORY_BYTES_MAX)
		cut_to_fit(record);
	return record;
}
