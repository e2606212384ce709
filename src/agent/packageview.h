/*
 * What policy says of one version of one package: its documents, which of its versions is meant,
 * where it is to be had. Brings what is missing here from a CAP first.
 */
#ifndef AGENT_PACKAGEVIEW_H
#define AGENT_PACKAGEVIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/worker.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/message.h"
#include "policy/docs.h"

struct packageview {
	struct docs_package package;
	struct docs_location location;
	const struct docs_version *version;
	const struct docs_place *place;
	char key[32]; /* "LON00001:3": what memory keeps failures by */
};

/*
 * `version` 0 means the newest that any DP holds. ERR_NOT_FOUND: the policy has no such package or
 * version; ERR_NO_CANDIDATE: no DP holds it (yet). The worker's scene has been looked at. May use
 * the network.
 */
bool packageview_open(struct packageview *out, struct worker *w, const char *id, int64_t version,
		      struct err *err) MUST_USE;
void packageview_release(struct packageview *v);
SCOPED_RELEASE(packageview);

/* The manifest's bytes, verified; from a CAP if it is not here. */
bool packageview_manifest(struct buf *out, const struct packageview *v, struct worker *w,
			  struct err *err) MUST_USE;

/* Record what happens to this version, for the advertisement and program that `request` names; text
 * and data are taken over, and data may be NULL. */
void packageview_tell(const struct packageview *v, struct worker *w, const json_t *request,
		      enum message_id id, json_t *text, json_t *data);

#endif
