#include "nal/conntab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "nal/credential.h"
#include "nal/folder.h"
#include "nal/presence.h"
#include "nal/provider.h"
#include "nal/timebox.h"

enum {
	REFUSED_MAX = 64, /* accounts that servers refused; the oldest is forgotten */
};

/* One open session. */
struct entry {
	struct entry *next;
	struct session *session;
	enum locator_scheme scheme;
	char *host; /* folders: "" */
	uint16_t port;
	char *folder;     /* folders: which one; others: NULL */
	char *credential; /* its name */
	char fingerprint[CREDENTIAL_FINGERPRINT_SIZE];
	char *context;
	struct locator where; /* what it was opened for */
	char *server;         /* for lists */
	char *share;          /* for lists */
	int64_t opened_s;
	int64_t used_s;
	uint64_t used_ms;
	size_t leases;
	bool broken; /* closed with its last lease */
};

/* A lease: the way is its first member, so that the two can be cast. */
struct lease {
	struct way way;
	struct lease *next;
	struct entry *entry;
	const void *user;
};

/* The time box of one folder. */
struct box {
	struct box *next;
	char *folder;
	struct timebox timebox;
};

struct conntab {
	struct conntab_options options;
	struct entry *entries;
	struct lease *leases;
	struct box *boxes;
	size_t count; /* of entries */
	struct presence *presence;
	uint64_t leaks;
	struct session_counts closed;                           /* of sessions that are gone */
	char refused[REFUSED_MAX][CREDENTIAL_FINGERPRINT_SIZE]; /* a ring */
	size_t refusals;
};

struct conntab *conntab_new(const struct conntab_options *options)
{
	struct conntab *tab = alloc_zeroed(1, sizeof(*tab));

	tab->options = *options;
	tab->presence = presence_new();
	if (tab->options.clock == NULL)
		tab->options.clock = clock_system();
	tab->options.owner = alloc_text(options->owner != NULL ? options->owner : "packway");
	tab->options.limits.tls_ca_file = alloc_text(options->limits.tls_ca_file);
	return tab;
}

static void add_counts(struct session_counts *sum, const struct session_counts *more)
{
	sum->requests += more->requests;
	sum->connects += more->connects;
	sum->bytes_in += more->bytes_in;
	sum->bytes_out += more->bytes_out;
}

static void close_entry(struct conntab *tab, struct entry *e)
{
	struct entry **at = &tab->entries;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	tab->count--;
	add_counts(&tab->closed, &e->session->counts);
	e->session->provider->close(e->session);
	free(e->host);
	free(e->folder);
	free(e->credential);
	free(e->context);
	locator_release(&e->where);
	free(e->server);
	free(e->share);
	free(e);
}

static const char *text_or(const char *text, const char *fallback)
{
	return text != NULL ? text : fallback;
}

static const char *credential_name(const struct way_target *target)
{
	return target->credential != NULL ? target->credential->name : "none";
}

/* A session that began with a secret which has changed since is nobody's any more. */
static const char *credential_fingerprint(const struct way_target *target)
{
	return target->credential != NULL ? target->credential->fingerprint : "";
}

static bool is_folder(const struct way_target *target)
{
	return provider_for(target) == &provider_file;
}

static bool is_to(const struct entry *e, const struct way_target *target)
{
	if (strcmp(e->context, text_or(target->context, "system")) != 0 ||
	    strcmp(e->credential, credential_name(target)) != 0 ||
	    strcmp(e->fingerprint, credential_fingerprint(target)) != 0)
		return false;
	if (is_folder(target))
		return e->folder != NULL && strcmp(e->folder, folder_of(target)) == 0;
	return e->folder == NULL && e->scheme == target->where->scheme &&
	       e->port == target->where->port && strcmp(e->host, target->where->host) == 0;
}

static bool is_alive(const struct entry *e)
{
	return e->session->provider->is_alive == NULL || e->session->provider->is_alive(e->session);
}

static struct entry *find(struct conntab *tab, const struct way_target *target)
{
	for (struct entry *e = tab->entries; e != NULL; e = e->next)
		if (!e->broken && is_to(e, target))
			return e;
	return NULL;
}

/* What `connections` shows as the share: smb's own, else the folder. */
static const char *share_of(const struct way_target *target)
{
	const char *share = target->where->share;

	if (share[0] != '\0')
		return share;
	return target->where->path[0] == '/' ? target->where->path + 1 : target->where->path;
}

static struct entry *add(struct conntab *tab, const struct way_target *target,
			 struct session *session)
{
	struct entry *e = alloc_zeroed(1, sizeof(*e));

	session->provider = provider_for(target);
	e->session = session;
	e->scheme = target->where->scheme;
	e->host = alloc_text(target->where->host);
	e->port = target->where->port;
	e->folder = is_folder(target) ? alloc_text(folder_of(target)) : NULL;
	e->credential = alloc_text(credential_name(target));
	snprintf(e->fingerprint, sizeof(e->fingerprint), "%s", credential_fingerprint(target));
	e->context = alloc_text(text_or(target->context, "system"));
	locator_copy(&e->where, target->where);
	e->server = alloc_text(text_or(target->server, target->where->host));
	e->share = alloc_text(share_of(target));
	e->opened_s = e->used_s = clock_wall_s(tab->options.clock);
	e->used_ms = clock_mono_ms(tab->options.clock);
	e->next = tab->entries;
	tab->entries = e;
	tab->count++;
	return e;
}

/* Make room: the session that is idle for longest goes. */
static bool has_room(struct conntab *tab, struct err *err)
{
	struct entry *oldest = NULL;

	if (tab->count < CONNTAB_SESSIONS_MAX)
		return true;
	for (struct entry *e = tab->entries; e != NULL; e = e->next)
		if (e->leases == 0 && (oldest == NULL || e->used_ms < oldest->used_ms))
			oldest = e;
	if (oldest == NULL)
		return err_set(err, ERR_LIMIT, "%d sessions are open and in use",
			       CONNTAB_SESSIONS_MAX);
	close_entry(tab, oldest);
	return true;
}

static void drop_link(struct way_link link)
{
	if (link.fd >= 0)
		close(link.fd);
}

/*
 * One logon that fails is one step towards a locked account: two systems on one server, or a CAP
 * and a DP, are no reason for a second (Q227033). What outlives this process is nal/logon.h's.
 */
bool conntab_has_refused(const struct conntab *tab, const struct way_target *target)
{
	const char *fingerprint = credential_fingerprint(target);

	for (size_t i = 0; i < MIN_OF(tab->refusals, (size_t)REFUSED_MAX); i++)
		if (fingerprint[0] != '\0' && strcmp(tab->refused[i], fingerprint) == 0)
			return true;
	return false;
}

static void say_refused(const struct way_target *target, struct err *err)
{
	err_set(err, ERR_NET_DENIED, "%s refused %s a moment ago", target->where->host,
		target->credential->name);
	err_fix(err, "give the right secret: packway credential set %s", target->where->host);
}

/* A guest has no fingerprint: what it is refused today may be granted tomorrow. */
static void note_refusal(struct conntab *tab, const struct entry *e)
{
	if (e->fingerprint[0] != '\0')
		memcpy(tab->refused[tab->refusals++ % REFUSED_MAX], e->fingerprint,
		       CREDENTIAL_FINGERPRINT_SIZE);
}

static enum nal_class open_entry(struct entry **out, struct conntab *tab,
				 const struct way_target *target, struct way_link link,
				 struct err *err)
{
	const struct provider *provider = provider_for(target);
	struct session *session = NULL;
	enum nal_class class;

	if (provider == NULL || !has_room(tab, err)) {
		drop_link(link);
		if (provider == NULL)
			err_set(err, ERR_UNSUPPORTED, "no provider for %s addresses",
				locator_scheme_name(target->where->scheme));
		return NAL_CLASS_UNKNOWN;
	}
	if (provider == &provider_file && link.box == NULL)
		link.box = conntab_box(tab, target);
	if (conntab_has_refused(tab, target)) {
		drop_link(link);
		say_refused(target, err);
		return NAL_CLASS_DENIED;
	}
	class = provider->open(&session, target, &tab->options.limits, link, err);
	if (class != NAL_CLASS_OK) {
		err_what(err, "open %s", target->where->text);
		return class;
	}
	*out = add(tab, target, session);
	return NAL_CLASS_OK;
}

static struct way *lease(struct conntab *tab, struct entry *e, const struct way_target *target,
			 const void *user)
{
	struct lease *l = alloc_zeroed(1, sizeof(*l));

	l->way.session = e->session;
	locator_copy(&l->way.where, target->where);
	l->way.limits = tab->options.limits;
	l->way.fingerprint = e->fingerprint;
	l->way.by_mount = target->mount_at != NULL;
	l->entry = e;
	l->user = user;
	l->next = tab->leases;
	tab->leases = l;
	e->leases++;
	return &l->way;
}

/* One session serves all shares of its server; lists show the one that was wanted last. */
static void note_share(struct entry *e, const struct way_target *target)
{
	if (e->scheme != LOCATOR_SMB || strcmp(e->share, share_of(target)) == 0)
		return;
	free(e->share);
	e->share = alloc_text(share_of(target));
}

enum nal_class conntab_acquire(struct way **out, struct conntab *tab,
			       const struct way_target *target, struct way_link link,
			       const void *user, struct err *err)
{
	struct entry *e = find(tab, target);
	enum nal_class class = NAL_CLASS_OK;

	if (e != NULL && e->leases == 0 && !is_alive(e)) {
		close_entry(tab, e);
		e = NULL;
	}
	if (e != NULL)
		drop_link(link);
	else
		class = open_entry(&e, tab, target, link, err);
	if (class == NAL_CLASS_OK) {
		note_share(e, target);
		*out = lease(tab, e, target, user);
	}
	return class;
}

struct way *conntab_borrow(struct conntab *tab, const struct locator *where, const void *user)
{
	for (struct entry *e = tab->entries; e != NULL; e = e->next) {
		const struct way_target target = { .where = &e->where };

		if (!e->broken && e->folder == NULL && e->session->counts.connects > 0 &&
		    e->scheme == where->scheme && e->port == where->port &&
		    strcmp(e->host, where->host) == 0 && is_alive(e))
			return lease(tab, e, &target, user);
	}
	return NULL;
}

struct presence *conntab_presence(struct conntab *tab)
{
	return tab->presence;
}

static bool is_worth_keeping(const struct conntab *tab, const struct entry *e)
{
	return !e->broken && tab->options.linger_ms > 0 &&
	       (e->session->provider->capabilities & PROVIDER_LINGERS) != 0;
}

void conntab_release(struct conntab *tab, struct way *way)
{
	struct lease *l = (struct lease *)way, **at = &tab->leases;
	struct entry *e;

	if (way == NULL)
		return;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	e = l->entry;
	e->leases--;
	e->broken |= way->broken || way->is_refused;
	if (way->is_refused)
		note_refusal(tab, e);
	e->used_s = clock_wall_s(tab->options.clock);
	e->used_ms = clock_mono_ms(tab->options.clock);
	locator_release(&l->way.where);
	free(l);
	if (e->leases == 0 && !is_worth_keeping(tab, e))
		close_entry(tab, e);
}

void conntab_release_user(struct conntab *tab, const void *user)
{
	struct lease *next;

	for (struct lease *l = tab->leases; l != NULL; l = next) {
		next = l->next;
		if (l->user != user)
			continue;
		tab->leaks++;
		conntab_release(tab, &l->way);
	}
}

static struct box *find_box(struct conntab *tab, const char *folder)
{
	struct box *b;

	for (b = tab->boxes; b != NULL; b = b->next)
		if (strcmp(b->folder, folder) == 0)
			return b;
	b = alloc_zeroed(1, sizeof(*b));
	b->folder = alloc_text(folder);
	b->timebox = (struct timebox)TIMEBOX_EMPTY;
	b->next = tab->boxes;
	tab->boxes = b;
	return b;
}

struct timebox *conntab_box(struct conntab *tab, const struct way_target *target)
{
	struct timebox *box = &find_box(tab, folder_of(target))->timebox;

	box->as = target->as;
	return box;
}

static bool is_beneath(const char *path, const char *folder)
{
	size_t size = strlen(folder);

	return strncmp(path, folder, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

bool conntab_is_hung(struct conntab *tab, const char *folder)
{
	for (struct box *b = tab->boxes; b != NULL; b = b->next)
		if (is_beneath(b->folder, folder) && timebox_is_hung(&b->timebox))
			return true;
	return false;
}

bool conntab_is_open(struct conntab *tab, const struct way_target *target)
{
	const struct entry *e = find(tab, target);

	return e != NULL && is_alive(e);
}

static void close_idle(struct conntab *tab, uint32_t linger_ms, uint32_t *next_out)
{
	uint64_t now_ms = clock_mono_ms(tab->options.clock);
	struct entry *next;

	for (struct entry *e = tab->entries; e != NULL; e = next) {
		uint64_t due = e->used_ms + linger_ms;

		next = e->next;
		if (e->leases > 0)
			continue;
		if (due <= now_ms || !is_alive(e))
			close_entry(tab, e);
		else
			*next_out = (uint32_t)MIN_OF(due - now_ms, *next_out);
	}
}

uint32_t conntab_tick(struct conntab *tab)
{
	uint32_t next = UINT32_MAX;

	close_idle(tab, tab->options.linger_ms, &next);
	return next;
}

void conntab_close_idle(struct conntab *tab)
{
	uint32_t next = UINT32_MAX;

	close_idle(tab, 0, &next);
}

void conntab_free(struct conntab *tab)
{
	if (tab == NULL)
		return;
	while (tab->leases != NULL)
		conntab_release_user(tab, tab->leases->user);
	conntab_close_idle(tab);
	while (tab->boxes != NULL) {
		struct box *b = tab->boxes;

		tab->boxes = b->next;
		timebox_end(&b->timebox);
		free(b->folder);
		free(b);
	}
	presence_free(tab->presence);
	alloc_text_free((char **)(uintptr_t)&tab->options.owner);
	alloc_text_free((char **)(uintptr_t)&tab->options.limits.tls_ca_file);
	free(tab);
}

size_t conntab_sessions(const struct conntab *tab)
{
	return tab->count;
}

size_t conntab_leases(const struct conntab *tab)
{
	size_t sum = 0;

	for (const struct entry *e = tab->entries; e != NULL; e = e->next)
		sum += e->leases;
	return sum;
}

uint64_t conntab_leaks(const struct conntab *tab)
{
	return tab->leaks;
}

struct session_counts conntab_counts(const struct conntab *tab)
{
	struct session_counts sum = tab->closed;

	for (const struct entry *e = tab->entries; e != NULL; e = e->next)
		add_counts(&sum, &e->session->counts);
	return sum;
}

static json_t *entry_json(const struct conntab *tab, const struct entry *e)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "way", "session");
	jsondoc_set(row, "server", jsondoc_new_text(e->server));
	jsondoc_set(row, "share", jsondoc_new_text(e->share));
	jsondoc_set_text(row, "scheme", locator_scheme_name(e->scheme));
	jsondoc_set(row, "context", jsondoc_new_text(e->context));
	jsondoc_set(row, "credential", jsondoc_new_text(e->credential));
	jsondoc_set(row, "owner", jsondoc_new_text(tab->options.owner));
	jsondoc_set_int(row, "leases", (int64_t)e->leases);
	jsondoc_set_time(row, "opened", e->opened_s);
	jsondoc_set_time(row, "last_used", e->used_s);
	jsondoc_set_int(row, "requests", (int64_t)e->session->counts.requests);
	jsondoc_set_int(row, "connects", (int64_t)e->session->counts.connects);
	return row;
}

json_t *conntab_json(struct conntab *tab)
{
	json_t *rows = json_array();

	for (const struct entry *e = tab->entries; e != NULL; e = e->next)
		if (e->folder == NULL && !e->broken && is_alive(e))
			json_array_append_new(rows, entry_json(tab, e));
	return rows;
}
