/* Writes the corpus of smbwire: smbwire_corpus fuzz/corpus/smbwire. Run by hand when it changes. */
#include <stdio.h>
#include <stdlib.h>

#include "common/newfile.h"
#include "common/path.h"
#include "nal/smbwire.h"

static void save(const char *folder, const char *name, char kind, const struct buf *frame,
		 size_t size)
{
	SCOPED(buf) struct buf file = { 0 };
	char *path = path_join(folder, name);
	struct err err;

	buf_put_u8(&file, (uint8_t)kind);
	buf_put(&file, frame->data, size);
	if (!newfile_write(path, 0644, buf_span(&file), &err)) {
		fprintf(stderr, "%s: %s\n", path, err.why);
		exit(1);
	}
	free(path);
}

static void hellos(const char *folder)
{
	static const struct smbwire_hello guest = { .port = 445, .host = "nas", .user = "" };
	static const struct smbwire_hello account = { .logon = SMBWIRE_ACCOUNT,
						      .port = 1445,
						      .secret_size = 9,
						      .host = "10.1.0.5",
						      .user = "reader",
						      .domain = "SITE" };
	SCOPED(buf) struct buf a = { 0 };
	SCOPED(buf) struct buf b = { 0 };

	smbwire_write_hello(&a, &guest);
	save(folder, "guest", 'h', &a, a.size);
	smbwire_write_hello(&b, &account);
	save(folder, "account", 'h', &b, b.size);
	save(folder, "hello-cut", 'h', &b, b.size - 3);
	b.data[0] = 9;
	save(folder, "hello-other-format", 'h', &b, b.size);
}

static void requests(const char *folder)
{
	static const struct {
		const char *name;
		struct smbwire_request request;
	} rows[] = {
		{ "read",
		  { .op = SMBWIRE_READ,
		    .flags = SMBWIRE_LAST,
		    .offset = 1 << 30,
		    .size = 8 << 20,
		    .at = 8 << 20,
		    .share = "packway",
		    .path = "dp/LON00001/packs/0a" } },
		{ "rename",
		  { .op = SMBWIRE_RENAME, .share = "p$", .path = "a/.new-1", .to = "a/b" } },
		{ "outside", { .op = SMBWIRE_WRITE, .size = 1, .at = SMBWIRE_AREA_BYTES } },
		{ "there",
		  { .op = SMBWIRE_READ,
		    .flags = SMBWIRE_THERE,
		    .size = 2 << 20,
		    .at = 60 << 20,
		    .path = "a" } },
		{ "room", { .op = SMBWIRE_ROOM } },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		SCOPED(buf) struct buf frame = { 0 };

		smbwire_write_request(&frame, &rows[i].request);
		save(folder, rows[i].name, 'q', &frame, frame.size);
		if (i == 0)
			save(folder, "read-cut", 'q', &frame, frame.size - 1);
	}
}

static void replies(const char *folder)
{
	static const struct smbwire_reply opened = { .op = SMBWIRE_OPEN,
						     .flags = SMBWIRE_UP,
						     .size = 4711,
						     .mtime_ns = 1700000000123456789 };
	static const struct smbwire_reply refused = { .fault = 13, .status = 0xc000006d };
	SCOPED(buf) struct buf a = { 0 };
	SCOPED(buf) struct buf b = { 0 };

	smbwire_write_reply(&a, &opened);
	save(folder, "opened", 'a', &a, a.size);
	smbwire_write_reply(&b, &refused);
	save(folder, "refused", 'a', &b, b.size);
	save(folder, "reply-cut", 'a', &b, b.size - 1);
}

static void listings(const char *folder)
{
	static const struct smbwire_entry entries[] = {
		{ .name = "timestamp.json", .size = 900, .mtime_s = 1700000000 },
		{ .name = "inbox", .is_folder = true },
	};
	static const struct smbwire_entry outside = { .name = "../etc" };
	SCOPED(buf) struct buf a = { 0 };

	for (size_t i = 0; i < COUNT_OF(entries); i++)
		if (!smbwire_write_entry(&a, &entries[i], 4096))
			exit(1);
	save(folder, "listing", 'l', &a, a.size);
	save(folder, "listing-cut", 'l', &a, a.size - 2);
	if (!smbwire_write_entry(&a, &outside, 4096))
		exit(1);
	save(folder, "listing-outside", 'l', &a, a.size);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	hellos(argv[1]);
	requests(argv[1]);
	replies(argv[1]);
	listings(argv[1]);
	return 0;
}
