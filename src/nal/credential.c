#include "nal/credential.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cryptocalls.h"
#include "common/digest.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/random.h"
#include "common/text.h"
#include "nal/ticketcopy.h"

#define FILE_CACHE  "FILE:"
#define KEY_SIZE    32
#define NAME_MAX_   200 /* bytes of a file's name before ".conf" */
#define CACHE_BEGIN 512 /* bytes of a ticket's file: shorter than any ticket */
#define LEFTOVER_S  3600
#define FAULTS_MAX  32 /* what is wrong beyond that shows once these are mended */

/* One file that was read. */
struct loaded {
	char *path;
	struct credentialfile file;
};

/* A section in the order that counts. */
struct account {
	const struct loaded *from;
	const struct credentialfile_section *section;
	char *domain; /* "" where none is given */
	const char *user;
	char fingerprint[CREDENTIAL_FINGERPRINT_SIZE];
};

struct credential_set {
	struct loaded **files;
	size_t file_count;
	struct account *accounts;
	size_t account_count;
	struct err *faults;
	size_t fault_count;
	uint8_t *key; /* KEY_SIZE bytes, memory of secret_memory_new */
	char *ccache; /* the name that KRB5CCNAME gave; NULL: there is none */
	char *copy;   /* "FILE:" and the path of a copy; NULL: none is made */
};

static const char *const kind_names[] = {
	[CREDENTIAL_GUEST] = "guest",
	[CREDENTIAL_ACCOUNT] = "account",
	[CREDENTIAL_TICKET] = "ticket",
};
static_assert(COUNT_OF(kind_names) == CREDENTIAL_KIND_COUNT_, "every kind has a name");

static const enum credential_kind kinds[] = {
	[CREDENTIALFILE_ACCOUNT] = CREDENTIAL_ACCOUNT,
	[CREDENTIALFILE_TICKET] = CREDENTIAL_TICKET,
	[CREDENTIALFILE_GUEST] = CREDENTIAL_GUEST,
};

enum credential_kind credential_kind_of(enum credentialfile_kind kind)
{
	return kinds[kind];
}

const char *credential_kind_name(enum credential_kind kind)
{
	return kind_names[kind];
}

/* ---- fingerprints ---- */

/* All that makes a credential what it is, each part with its end; for as long as a call. */
struct essence {
	size_t size;
	uint8_t bytes[CREDENTIALFILE_PRINT_MAX];
};

static void essence_scoped(struct essence **e)
{
	secret_memory_free(*e);
}

static void add_part(struct essence *e, const char *text)
{
	size_t size = strlen(text) + 1;

	/* Parts have limits of their own; one that were cut would only tell two things apart less.
	 */
	size = MIN_OF(size, sizeof(e->bytes) - e->size);
	memcpy(e->bytes + e->size, text, size);
	e->size += size;
}

static void fingerprint(char *dst, const struct credential_set *set, const struct essence *e)
{
	const struct cryptocalls *crypto = cryptocalls();
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	/* libcrypto fails here only without memory. */
	if (crypto->hmac(crypto->evp_sha256(), set->key, KEY_SIZE, e->bytes, e->size, mac, &size) ==
	    NULL)
		abort();
	text_hex(dst, mac, (CREDENTIAL_FINGERPRINT_SIZE - 1) / 2);
}

static void account_fingerprint(struct account *a, const struct credential_set *set)
{
	SCOPED(essence) struct essence *e = secret_memory_new(sizeof(*e));
	SCOPED_TEXT char *server = credentialfile_server_text(&a->section->server);

	add_part(e, "account");
	add_part(e, server);
	add_part(e, a->section->user);
	add_part(e, a->section->secret->text);
	add_part(e, a->section->set != NULL ? a->section->set : "");
	fingerprint(a->fingerprint, set, e);
}

/* ---- reading ---- */

static void add_fault(struct credential_set *set, struct err *why)
{
	err_what(why, "cannot use all credentials");
	if (set->fault_count >= FAULTS_MAX)
		return;
	ALLOC_GROW(set->faults, set->fault_count);
	set->faults[set->fault_count++] = *why;
}

static bool owner_and_mode_are_fine(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CONFIG, "%s: not a plain file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, ERR_PERMISSION, "%s: belongs to user %u", path,
			       (unsigned int)st.st_uid) ||
		       err_fix(err, "chown %u %s", (unsigned int)geteuid(), path);
	if ((st.st_mode & 077) != 0)
		return err_set(err, ERR_PERMISSION, "%s: its mode %04o lets others read it", path,
			       (unsigned int)(st.st_mode & 07777)) ||
		       err_fix(err, "chmod 0600 %s, and change the secrets that others have seen",
			       path);
	return true;
}

static void text_scoped(char **text)
{
	secret_memory_free(*text);
}

static bool read_file(struct credentialfile *out, const char *path, struct err *err)
{
	SCOPED(text) char *text = secret_memory_new(CREDENTIALFILE_BYTES_MAX + 1);
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct err inner;
	ssize_t got;

	if (fd < 0 && errno == ELOOP)
		return err_set(err, ERR_CONFIG, "%s: a symbolic link is not followed", path);
	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "%s", path);
	if (!owner_and_mode_are_fine(fd, path, err))
		return false;
	got = path_read_fd(fd, text, CREDENTIALFILE_BYTES_MAX + 1);
	if (got < 0)
		return err_sys(err, ERR_IO, errno, "%s", path);
	if (credentialfile_parse(out, span_of(text, (size_t)got), &inner))
		return true;
	return err_set(err, inner.code, "%s: %s", path, inner.why);
}

static char *domain_of(const char *user)
{
	size_t size = strcspn(user, "\\");

	return user[size] == '\\' ? alloc_copy(user, size) : alloc_text("");
}

static const struct account *find_exact(const struct credential_set *set,
					const struct credentialfile_server *server)
{
	for (size_t i = 0; i < set->account_count; i++)
		if (credentialfile_server_equal(&set->accounts[i].section->server, server))
			return &set->accounts[i];
	return NULL;
}

static bool is_same_folder(const struct loaded *a, const struct loaded *b)
{
	size_t size = (size_t)(path_base(a->path) - a->path);

	return size == (size_t)(path_base(b->path) - b->path) &&
	       strncmp(a->path, b->path, size) == 0;
}

static void add_twice(struct credential_set *set, const struct loaded *from,
		      const struct credentialfile_section *s, const struct account *same)
{
	SCOPED_TEXT char *server = credentialfile_server_text(&s->server);
	struct err err = { 0 };

	err_set(&err, ERR_CONFIG, "%s: line %u: %s stands in %s already, which counts", from->path,
		s->line, server, same->from->path);
	err_fix(&err, "take one of the two out");
	add_fault(set, &err);
}

static void add_account(struct credential_set *set, const struct loaded *from,
			const struct credentialfile_section *s)
{
	const struct account *same = find_exact(set, &s->server);
	struct account *a;

	/* A state's own folder overrides the machine's. */
	if (same != NULL) {
		if (is_same_folder(from, same->from))
			add_twice(set, from, s, same);
		return;
	}
	ALLOC_GROW(set->accounts, set->account_count);
	a = &set->accounts[set->account_count++];
	*a = (struct account){ .from = from, .section = s };
	if (s->kind != CREDENTIALFILE_ACCOUNT)
		return;
	a->domain = domain_of(s->user);
	a->user = s->user + (a->domain[0] != '\0' ? strlen(a->domain) + 1 : 0);
	account_fingerprint(a, set);
}

static int is_conf(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);

	return entry->d_name[0] != '.' && size > 5 &&
	       strcmp(entry->d_name + size - 5, ".conf") == 0;
}

static void load_file(struct credential_set *set, char *path)
{
	struct loaded *l = alloc_zeroed(1, sizeof(*l));
	struct err err = { 0 };

	l->path = path;
	ALLOC_GROW(set->files, set->file_count);
	set->files[set->file_count++] = l;
	if (!read_file(&l->file, path, &err)) {
		add_fault(set, &err);
		return;
	}
	for (size_t i = 0; i < l->file.count; i++)
		add_account(set, l, &l->file.sections[i]);
}

static void load_folder(struct credential_set *set, const char *folder)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_conf, alphasort);
	struct err err = { 0 };

	if (count < 0 && errno != ENOENT) {
		err_sys(&err, ERR_IO, errno, "%s", folder);
		add_fault(set, &err);
	}
	for (int i = 0; i < count; i++) {
		if (i < CREDENTIAL_FILES_MAX)
			load_file(set, path_join(folder, entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	if (count <= CREDENTIAL_FILES_MAX)
		return;
	err_set(&err, ERR_LIMIT, "%s: %d files, only the first %d are read", folder, count,
		CREDENTIAL_FILES_MAX);
	add_fault(set, &err);
}

static bool read_key(uint8_t *key, const char *path)
{
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 && path_read_fd(fd, key, KEY_SIZE) == KEY_SIZE;
}

/* A new key makes everything that was remembered void: each credential is tried once more. */
static void load_key(struct credential_set *set, const char *path)
{
	struct err err = { 0 };

	set->key = secret_memory_new(KEY_SIZE);
	if (path != NULL && read_key(set->key, path))
		return;
	random_bytes(set->key, KEY_SIZE);
	if (path != NULL && !newfile_write(path, 0600, span_of(set->key, KEY_SIZE), &err))
		add_fault(set, &err);
}

struct credential_set *credential_set_load(const struct credential_places *places)
{
	struct credential_set *set = alloc_zeroed(1, sizeof(*set));

	load_key(set, places->key_path);
	for (size_t i = 0; i < COUNT_OF(places->folders); i++)
		if (places->folders[i] != NULL)
			load_folder(set, places->folders[i]);
	set->ccache = alloc_text(secure_getenv("KRB5CCNAME"));
	if (places->ticket_copy != NULL)
		set->copy = alloc_printf(FILE_CACHE "%s", places->ticket_copy);
	return set;
}

void credential_set_free(struct credential_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->account_count; i++)
		free(set->accounts[i].domain);
	for (size_t i = 0; i < set->file_count; i++) {
		credentialfile_release(&set->files[i]->file);
		free(set->files[i]->path);
		free(set->files[i]);
	}
	secret_memory_free(set->key);
	free(set->accounts);
	free(set->files);
	free(set->faults);
	free(set->ccache);
	free(set->copy);
	free(set);
}

size_t credential_fault_count(const struct credential_set *set)
{
	return set->fault_count;
}

const struct err *credential_fault(const struct credential_set *set, size_t i)
{
	return &set->faults[i];
}

size_t credential_count(const struct credential_set *set)
{
	return set->account_count;
}

struct credential_row credential_row_at(const struct credential_set *set, size_t i)
{
	const struct account *a = &set->accounts[i];

	return (struct credential_row){
		.section = a->section,
		.path = a->from->path,
		.fingerprint = a->fingerprint,
	};
}

/* ---- choosing ---- */

/* How well a section fits: 0 not at all, else more for what it names beside the host. */
static unsigned int fit(const struct credentialfile_server *s, const struct locator *where)
{
	unsigned int score = 1;

	if (strcmp(s->host, where->host) != 0 || (s->port != 0 && s->port != where->port) ||
	    (s->share[0] != '\0' && !text_equal_nocase(s->share, where->share)))
		return 0;
	if (s->share[0] != '\0')
		score += 2;
	if (s->port != 0)
		score += 1;
	return score;
}

static const struct account *find_account(const struct credential_set *set,
					  const struct locator *where)
{
	const struct account *best = NULL;
	unsigned int best_fit = 0;

	for (size_t i = 0; set != NULL && i < set->account_count; i++) {
		unsigned int now = fit(&set->accounts[i].section->server, where);

		if (now > best_fit) {
			best = &set->accounts[i];
			best_fit = now;
		}
	}
	return best;
}

/*
 * The file of a ticket. What servers are called for is appended to it with the first use, so only
 * its beginning tells tickets apart: whose it is, and the first one with its key and times.
 */
struct cache {
	uint64_t inode; /* 0: there is no such file */
	struct digest begin;
};

/* In /tmp anybody can leave a file of that name. */
static bool look_at_cache(struct cache *out, const char *path, uid_t uid)
{
	SCOPED_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint8_t begin[CACHE_BEGIN];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != uid ||
	    (st.st_mode & 077) != 0)
		return false;
	n = path_read_fd(fd, begin, sizeof(begin));
	out->inode = st.st_ino;
	digest_of(&out->begin, span_of(begin, n > 0 ? (size_t)n : 0));
	explicit_bzero(begin, sizeof(begin));
	return true;
}

/* A ticket is told apart by its place and its cache. */
static void ticket_fingerprint(struct credential *c, const struct credential_set *set,
			       const struct locator *where, const struct cache *cache)
{
	SCOPED(essence) struct essence *e = NULL;
	char port[16], inode[32], begin[DIGEST_HEX_SIZE] = "";

	if (set == NULL)
		return;
	e = secret_memory_new(sizeof(*e));
	snprintf(port, sizeof(port), "%u", where->port);
	snprintf(inode, sizeof(inode), "%llu", (unsigned long long)cache->inode);
	if (cache->inode != 0)
		digest_print(begin, &cache->begin);
	add_part(e, "ticket");
	add_part(e, where->host);
	add_part(e, port);
	add_part(e, inode);
	add_part(e, begin);
	fingerprint(c->fingerprint, set, e);
}

/* The file that a cache's name means; false for kinds that are none (KEYRING:, KCM:). */
static bool ccache_path(char *dst, size_t size, const char *name)
{
	const char *colon = strchr(name, ':');

	if (name[0] == '/')
		return snprintf(dst, size, "%s", name) < (int)size;
	if (strncmp(name, FILE_CACHE, strlen(FILE_CACHE)) == 0)
		return snprintf(dst, size, "%s", colon + 1) < (int)size;
	if (strncmp(name, "DIR:", 4) == 0)
		return snprintf(dst, size, "%s%s", colon + 1 + (colon[1] == ':'),
				colon[1] == ':' ? "" : "/tkt") < (int)size;
	return false;
}

/* What there is of a ticket. Another user's environment says nothing about this context. */
static bool find_ticket(struct credential *c, struct cache *cache, const struct credential_set *set,
			const struct credential_context *context)
{
	char path[4096];

	*cache = (struct cache){ 0 };
	if (context->is_own && set != NULL && set->ccache != NULL) {
		c->ccache = set->ccache;
		if (!ccache_path(path, sizeof(path), set->ccache))
			return true;
	} else {
		snprintf(path, sizeof(path), "/tmp/krb5cc_%u", (unsigned int)context->uid);
	}
	if (!look_at_cache(cache, path, context->uid))
		return false;
	if (!context->is_own || set == NULL || set->copy == NULL)
		return true;
	c->ccache = set->copy;
	return ticketcopy_make(set->copy + strlen(FILE_CACHE), path, context->uid);
}

static void be_account(struct credential *c, const struct account *a)
{
	c->kind = CREDENTIAL_ACCOUNT;
	c->name = a->section->user;
	c->domain = a->domain;
	c->user = a->user;
	c->secret = a->section->secret;
	memcpy(c->fingerprint, a->fingerprint, sizeof(c->fingerprint));
}

static void be_ticket(struct credential *c, const struct credential_set *set,
		      const struct locator *where, const struct cache *cache)
{
	c->kind = CREDENTIAL_TICKET;
	c->name = kind_names[CREDENTIAL_TICKET];
	ticket_fingerprint(c, set, where, cache);
}

bool credential_find_guest(struct credential *out, const struct locator *where)
{
	*out = (struct credential){ 0 };
	if (where->scheme != LOCATOR_SMB)
		return false;
	out->name = kind_names[CREDENTIAL_GUEST];
	return true;
}

bool credential_find(struct credential *out, const struct credential_set *set,
		     const struct locator *where, const struct credential_context *context)
{
	const struct account *a = find_account(set, where);
	struct cache cache;

	*out = (struct credential){ .is_configured = a != NULL };
	if (where->scheme != LOCATOR_SMB)
		return false;
	if (a != NULL && a->section->kind == CREDENTIALFILE_ACCOUNT) {
		be_account(out, a);
		return true;
	}
	if ((a == NULL || a->section->kind == CREDENTIALFILE_TICKET) &&
	    (find_ticket(out, &cache, set, context) || a != NULL)) {
		be_ticket(out, set, where, &cache);
		return true;
	}
	if (!credential_find_guest(out, where))
		return false;
	out->is_configured = a != NULL;
	return true;
}

bool credential_find_users(struct credential *out, const struct credential_set *set,
			   const struct locator *where, const struct credential_context *user)
{
	const struct account *a = find_account(set, where);
	struct cache cache;

	*out = (struct credential){ .is_configured = a != NULL, .is_users = true };
	if (where->scheme != LOCATOR_SMB ||
	    (a != NULL && a->section->kind != CREDENTIALFILE_TICKET) ||
	    !find_ticket(out, &cache, set, user) || cache.inode == 0)
		return false;
	be_ticket(out, set, where, &cache);
	return true;
}

/* ---- writing ---- */

/* A file's name from a server's: what file systems may not take is written as %XX. */
static char *file_of(const char *folder, const struct credentialfile_server *server)
{
	SCOPED_TEXT char *text = credentialfile_server_text(server);
	SCOPED(buf) struct buf name = { 0 };

	for (const char *p = text; *p != '\0'; p++) {
		char c = *p == '/' ? ',' : *p;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr(".-_,", c) != NULL)
			buf_put_u8(&name, (uint8_t)c);
		else
			buf_printf(&name, "%%%02X", (unsigned int)(uint8_t)c);
	}
	if (name.size > NAME_MAX_) {
		char hex[DIGEST_HEX_SIZE];
		struct digest d;

		digest_of(&d, buf_span(&name));
		digest_print(hex, &d);
		buf_clear(&name);
		buf_put_text(&name, hex);
	}
	/* In front so that no host's name begins with a dot or dash there. */
	return alloc_printf("%s/server-%s.conf", folder, buf_text(&name));
}

static bool is_elsewhere(const struct account **out, const struct credential_set *set,
			 const struct credentialfile_server *server, const char *own)
{
	*out = find_exact(set, server);
	return *out != NULL && strcmp((*out)->from->path, own) != 0;
}

static struct credential_set *load_alone(const char *folder)
{
	const struct credential_places places = { .folders = { folder } };

	return credential_set_load(&places);
}

/* The folder above, /etc/packway for one, is everybody's to read. */
static bool make_folder(const char *folder, struct err *err)
{
	SCOPED_TEXT char *above = alloc_text(folder);
	char *slash = strrchr(above, '/');

	if (slash != NULL && slash != above) {
		*slash = '\0';
		if (!path_make_dirs(above, 0755, err))
			return false;
	}
	return path_make_dirs(folder, 0700, err);
}

static int is_leftover(const struct dirent *entry)
{
	return strncmp(entry->d_name, ".new-", 5) == 0;
}

/* A power cut leaves a secret in a file that nobody knows of; a fresh one may be another's. */
static void sweep(const char *folder)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_leftover, NULL);
	struct stat st;

	for (int i = 0; i < count; i++) {
		SCOPED_TEXT char *path = path_join(folder, entries[i]->d_name);

		if (lstat(path, &st) == 0 && time(NULL) - st.st_mtime > LEFTOVER_S)
			(void)unlink(path);
		free(entries[i]);
	}
	free(entries);
}

bool credential_save(const char *folder, const struct credentialfile_section *section,
		     struct err *err)
{
	SCOPED_TEXT char *path = file_of(folder, &section->server);
	SCOPED(credential_set) struct credential_set *there = load_alone(folder);
	SCOPED(text) char *text = secret_memory_new(CREDENTIALFILE_PRINT_MAX);
	const struct account *other;

	if (is_elsewhere(&other, there, &section->server, path))
		return err_set(err, ERR_EXISTS, "%s has this server, in line %u", other->from->path,
			       other->section->line) ||
		       err_fix(err, "change it there, or take that section out first");
	if (!make_folder(folder, err))
		return false;
	sweep(folder);
	return newfile_write(path, 0600, span_of(text, credentialfile_print(text, section)), err);
}

bool credential_remove(const char *folder, const struct credentialfile_server *server,
		       struct err *err)
{
	SCOPED_TEXT char *path = file_of(folder, server);
	SCOPED_TEXT char *name = credentialfile_server_text(server);
	SCOPED(credential_set) struct credential_set *there = load_alone(folder);
	const struct account *other;

	if (is_elsewhere(&other, there, server, path))
		return err_set(err, ERR_IN_USE, "%s stands in %s, line %u", name, other->from->path,
			       other->section->line) ||
		       err_fix(err, "take the section out of that file");
	sweep(folder);
	if (unlink(path) == 0)
		return path_sync_dir(folder, err);
	if (errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "%s holds no credential for %s", folder, name) ||
		       err_fix(err, "see those that are there: credential list");
	return err_sys(err, ERR_IO, errno, "%s", path);
}
