/*
 * P12: fills the inbox of a site with the uploads of many clients.
 *
 *     envelopes SITE INBOX enrol CLIENTS              their enrolments, with a token
 *     envelopes SITE INBOX CLIENTS ENVELOPES RECORDS  status messages of each
 *
 * Run an intake between the two. Keys follow from a client's number, so it is the same every time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "site/sitekeys.h"
#include "site/token.h"
#include "trust/envelope.h"

struct filler {
	struct site *site;
	struct sealer *sealer;
	const char *inbox;
	int64_t now_s;
};

static struct signer *new_key(uint32_t number)
{
	uint8_t seed[SIGNER_SEED_SIZE] = { 0 };

	memcpy(seed, &number, sizeof(number));
	return signer_from_seed(seed);
}

static bool put(const struct filler *f, uint32_t client, enum envelope_kind kind, uint64_t first,
		const json_t *records, struct err *err)
{
	SCOPED(signer) struct signer *key = new_key(client);
	SCOPED(buf) struct buf bytes = { 0 };
	struct envelope_header header = { .kind = kind, .first = first, .time_s = f->now_s };
	SCOPED_TEXT char *path = NULL;
	char text[ENVELOPE_NAME_SIZE];
	struct envelope_name name;

	snprintf(header.stream, sizeof(header.stream), "%032x", client);
	if (!envelope_seal(&bytes, &name, &header, records, key, sealer_public(f->sealer), err))
		return false;
	envelope_name_print(text, &name);
	path = path_join(f->inbox, text);
	return newfile_write(path, 0644, buf_span(&bytes), err);
}

static bool put_enrolment(const struct filler *f, uint32_t client, const char *token,
			  struct err *err)
{
	SCOPED(signer) struct signer *key = new_key(client);
	json_auto_t *records = json_array();

	json_array_append_new(records, envelope_new_enrol_record(key, token));
	return put(f, client, ENVELOPE_ENROL, 0, records, err);
}

static json_t *new_record(const struct filler *f, uint64_t number)
{
	json_t *record = json_object();

	jsondoc_set_text(record, "kind", "status");
	jsondoc_set_int(record, "id", 10008);
	jsondoc_set_time(record, "time", f->now_s);
	jsondoc_set_text(record, "advertisement", "LON20001");
	jsondoc_set_text(record, "package", "LON00001");
	jsondoc_set_int(record, "version", 1);
	jsondoc_set_text(record, "program", "install");
	jsondoc_set(record, "text",
		    json_sprintf("succeeded with exit code 0, number %llu",
				 (unsigned long long)number));
	jsondoc_set(record, "data", json_pack("{s:i,s:b}", "exit", 0, "restart_pending", 0));
	return record;
}

static bool put_records(const struct filler *f, uint32_t client, uint32_t envelopes,
			uint32_t records, struct err *err)
{
	for (uint32_t e = 0; e < envelopes; e++) {
		uint64_t first = (uint64_t)e * records + 1;
		json_auto_t *rows = json_array();

		for (uint32_t i = 0; i < records; i++)
			json_array_append_new(rows, new_record(f, first + i));
		if (!put(f, client, ENVELOPE_RECORDS, first, rows, err))
			return false;
	}
	return true;
}

static bool enrol_all(const struct filler *f, uint32_t clients, struct err *err)
{
	char token[TOKEN_SIZE];

	if (!token_create(token, f->site, clients, TOKEN_EXPIRES_DEFAULT_S, err))
		return false;
	for (uint32_t c = 0; c < clients; c++)
		if (!put_enrolment(f, c, token, err))
			return false;
	return true;
}

int main(int argc, char **argv)
{
	SCOPED(site) struct site *site = NULL;
	SCOPED(sealer) struct sealer *sealer = NULL;
	struct filler f = { .now_s = clock_wall_s(clock_system()) };
	bool done;
	struct err err = { 0 };

	if (argc != 5 && argc != 6) {
		fprintf(stderr, "usage: envelopes SITE INBOX enrol CLIENTS\n"
				"       envelopes SITE INBOX CLIENTS ENVELOPES RECORDS\n");
		return 2;
	}
	f.inbox = argv[2];
	done = site_open(&site, argv[1], clock_system(), &err) &&
	       sitekeys_load_sealer(&sealer, site, &err);
	f.site = site;
	f.sealer = sealer;
	if (done && argc == 5)
		done = enrol_all(&f, (uint32_t)atoi(argv[4]), &err);
	for (uint32_t c = 0; done && argc == 6 && c < (uint32_t)atoi(argv[3]); c++)
		done = put_records(&f, c, (uint32_t)atoi(argv[4]), (uint32_t)atoi(argv[5]), &err);
	if (!done)
		fprintf(stderr, "envelopes: %s\n", err.why);
	return done ? 0 : 1;
}
