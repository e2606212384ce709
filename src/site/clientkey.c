#include "site/clientkey.h"

#include <string.h>

#include "common/text.h"

#define HEX_SIZE (2 * KEYS_ED25519_SIZE + 1)

static struct key *new_key(const char *hex)
{
	uint8_t bytes[KEYS_ED25519_SIZE];

	return hex != NULL && text_unhex(bytes, sizeof(bytes), hex) ? keys_new_ed25519(bytes)
								    : NULL;
}

struct key *clientkey_find(struct site *site, const char *client)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_CLIENT_KEYS, DB_ARGS(db_text(client)));

	return db_rows_next(&rows) ? new_key(db_rows_text(&rows, 0)) : NULL;
}

/* `rows` stands at the client's keys. */
static bool is_of_former(const struct db_rows *rows, const struct envelope_header *header)
{
	const char *stream = db_rows_text(rows, 2);

	if (header->kind == ENVELOPE_HANDOVER)
		return true;
	return stream != NULL && strcmp(stream, header->stream) == 0 &&
	       header->first + header->count <= (uint64_t)db_rows_int(rows, 3);
}

struct key *clientkey_find_former(struct site *site, const struct envelope_header *header)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_CLIENT_KEYS,
				       DB_ARGS(db_text(header->client)));

	return db_rows_next(&rows) && is_of_former(&rows, header) ? new_key(db_rows_text(&rows, 1))
								  : NULL;
}

/* False: `out` stays as it was, since there is none. */
static bool read_present(char out[HEX_SIZE], struct site *site, const char *client, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_CLIENT_KEYS, DB_ARGS(db_text(client)));

	if (db_rows_next(&rows))
		text_cut(out, HEX_SIZE, db_rows_text(&rows, 0));
	return db_rows_finish(&rows, err);
}

bool clientkey_hand_over(enum clientkey_result *out, struct site *site, const struct envelope *e,
			 struct err *err)
{
	char present[HEX_SIZE] = "", by[HEX_SIZE], to[HEX_SIZE];

	text_hex(by, e->signer, KEYS_ED25519_SIZE);
	text_hex(to, keys_ed25519_bytes(e->new_key), KEYS_ED25519_SIZE);
	if (!read_present(present, site, e->header.client, err))
		return false;
	if (strcmp(present, to) == 0) {
		*out = CLIENTKEY_KNOWN;
		return true;
	}
	*out = strcmp(present, by) == 0 ? CLIENTKEY_TAKEN : CLIENTKEY_GIVEN_UP;
	return *out == CLIENTKEY_GIVEN_UP ||
	       db_run(site->db, STMT_CLIENT_HAND_OVER,
		      DB_ARGS(db_text(e->header.client), db_text(e->header.stream),
			      db_int((int64_t)e->next), db_text(to), db_int(site_now(site))),
		      err);
}
