/*
 * The operation `found`: begin an identity: the client's key, the site's trusted root, the CAPs to
 * begin with. Without network. Doing it again with the same root keeps the key.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/anchor.h"
#include "agent/op.h"
#include "common/alloc.h"
#include "common/digest.h"
#include "common/path.h"
#include "common/random.h"
#include "common/text.h"
#include "nal/locator.h"
#include "trust/localmeta.h"
#include "trust/signer.h"

static bool have_key(struct signer **out, const struct worker *w, struct err *err)
{
	SCOPED_TEXT char *path = state_path(&w->state, "client.key");

	if (path_exists(path))
		return signer_load(out, path, err);
	*out = signer_generate();
	return signer_save(*out, path, err);
}

/* The first half of SHA-256 over the public key, as 32 hex digits. */
static void client_id(char out[33], const struct signer *key)
{
	struct digest d;

	digest_of(&d, span_of(keys_ed25519_bytes(signer_public(key)), KEYS_ED25519_SIZE));
	text_hex(out, d.bytes, 16);
}

static bool take_caps(struct state_identity *id, const json_t *request, struct err *err)
{
	const json_t *cap;
	json_t *caps;
	size_t i;

	if (!jsondoc_need_array(&caps, request, "caps", STATE_ADDRESSES_MAX, err))
		return false;
	json_array_foreach (caps, i, cap) {
		SCOPED(locator) struct locator where = { 0 };
		const char *text = json_string_value(cap);

		if (text == NULL || !locator_parse_argument(&where, text, err))
			return err_what(err, "\"%s\" is no CAP's address",
					text != NULL ? text : "");
		id->caps[id->cap_count++] = locator_url(&where);
	}
	return id->cap_count > 0 || err_set(err, ERR_USAGE, "no CAP is named");
}

static bool init_trust(const struct worker *w, const json_t *request, struct err *err)
{
	SCOPED_TEXT char *metadata = state_path(&w->state, "metadata");
	const char *root;

	if (!jsondoc_need_text(&root, request, "root", err))
		return false;
	if (localmeta_init(metadata, span_of_text(root), err) != VERDICT_OK)
		return err_what(err, "cannot trust the root that was given");
	return anchor_begin(&w->state, span_of_text(root), err);
}

static bool found(struct state_identity *id, struct worker *w, const json_t *request,
		  struct err *err)
{
	SCOPED(signer) struct signer *key = NULL;
	uint8_t stream[16];

	if (!have_key(&key, w, err) || !take_caps(id, request, err) || !init_trust(w, request, err))
		return false;
	client_id(id->client, key);
	id->machine = state_machine_id();
	random_bytes(stream, sizeof(stream));
	text_hex(id->stream, stream, sizeof(stream));
	id->enrolment = STATE_PENDING;
	return state_save_identity(&w->state, id, err);
}

bool op_found(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	SCOPED(state_identity) struct state_identity id = { 0 };

	if (!found(&id, w, request, err))
		return false;
	*result_out = json_object();
	jsondoc_set_text(*result_out, "client", id.client);
	return true;
}
