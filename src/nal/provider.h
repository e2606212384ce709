/*
 * The seam between the NAL and the protocols: one `struct provider` per way of moving bytes, all
 * of them in one static table (provider.c). A new protocol is one new file and one new row.
 *
 * A provider opens *sessions*: what is worth keeping open and is shared by everybody who reads from
 * that server (an HTTP connection, an SMB session in its worker process, nothing but a mark for a
 * folder). A *way* (way.h) is a leased session and a folder on it; users call way_*, never these
 * entries. Sessions live in the connection table (conntab.h), which alone opens and closes them.
 *
 * Rules for every entry:
 * - It may block, but not past the way's limits: connect, first byte, floor. What cannot be
 *   interrupted runs in a time box (timebox.h).
 * - Everything read has a cap before it is read. Names are relative, checked by way.c
 *   (path_is_beneath), and stay beneath the way's folder whatever links the server has.
 * - It returns a class, and fills `err` for every class but NAL_CLASS_OK. It neither logs
 *   nor retries, keeps no pointer it was given, and calls sinks on the caller's thread only.
 * - It adds to the session's counts what it moved, failed or not.
 * Sessions are used by one thread at a time.
 */
#ifndef NAL_PROVIDER_H
#define NAL_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/class.h"
#include "nal/locator.h"
#include "nal/way.h"

enum provider_capability {
	PROVIDER_READ = 1 << 0,    /* get and stat */
	PROVIDER_RANGE = 1 << 1,   /* read_ranges without moving what lies between */
	PROVIDER_PUT = 1 << 2,     /* put of a new object */
	PROVIDER_REPLACE = 1 << 3, /* put over an existing one, whole or not at all */
	PROVIDER_LIST = 1 << 4,    /* list a folder */
	PROVIDER_DELETE = 1 << 5,  /* delete an object */
	PROVIDER_LINGERS = 1 << 6, /* its sessions are worth keeping open between uses */
};

/* What a provider's own session struct begins with. */
struct session {
	const struct provider *provider;
	struct session_counts counts;
	bool no_ranges; /* a whole body was sent where a range was asked for */
};

struct provider {
	enum locator_scheme scheme;
	unsigned capabilities; /* enum provider_capability; what a given server refuses shows in use
				*/

	/*
	 * Open a session to the target's server. `link` is what connect.c reached already (a
	 * connected socket, an opened folder), which is taken over whatever the result, or
	 * LINK_NONE. A provider that connects lazily may succeed without touching the network.
	 */
	enum nal_class (*open)(struct session **out, const struct way_target *target,
			       const struct way_limits *limits, struct way_link link,
			       struct err *err);

	/* Close and free; called once, with no way left on it. Must not block past 100 ms. */
	void (*close)(struct session *session);

	/* True if the peer has not hung up, as far as can be seen without traffic. NULL: always. */
	bool (*is_alive)(const struct session *session);

	/* The rest as the way_* function of the same name; NULL where the capability is missing. */
	enum nal_class (*get)(struct way_object *out, struct way *way, const char *name,
			      const struct way_get *ask, struct err *err);
	enum nal_class (*stat)(struct way_stat *out, struct way *way, const char *name,
			       struct err *err);
	enum nal_class (*read_ranges)(struct way *way, const char *name,
				      const struct way_range *ranges, size_t count,
				      way_sink_fn *sink, void *ctx, struct err *err);
	enum nal_class (*put)(struct way *way, const char *name, const struct way_put *ask,
			      struct err *err);
	/* NULL where it is no better than one put after the other. */
	enum nal_class (*replace_all)(struct way *way, const struct way_batch *batch,
				      struct err *err);
	enum nal_class (*remove)(struct way *way, const char *name, struct err *err);
	enum nal_class (*list)(struct way *way, const char *folder, size_t max_entries,
			       way_entry_fn *entry, void *ctx, struct err *err);
};

/* The provider for a target: `file` where it is reached by a mount; NULL if there is none. */
const struct provider *provider_for(const struct way_target *target);

/* The provider of a scheme; NULL if there is none (nfs: only met as a mount). */
const struct provider *provider_of_scheme(enum locator_scheme scheme);

extern const struct provider provider_file;
extern const struct provider provider_http;
extern const struct provider provider_http_tls;
extern const struct provider provider_smb;

#endif
