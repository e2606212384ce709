#include "content/pack.h"

#include <fcntl.h>
#include <string.h>

#include "common/alloc.h"
#include "common/path.h"

#define SUFFIX      ".pack"
#define PACK_MODE   0644
#define FLUSH_BYTES ((uint64_t)8 << 20)

bool pack_begin(struct pack *p, const char *dir, struct err *err)
{
	SCOPED_TEXT char *path = path_join(dir, "unnamed" SUFFIX);

	*p = (struct pack)PACK_EMPTY;
	if (!newfile_begin(&p->file, path, PACK_MODE, err))
		return false;
	p->hash = digest_new();
	return true;
}

bool pack_append(struct pack *p, struct span stored, struct err *err)
{
	if (!path_write_fd(p->file.fd, stored, err))
		return err_what(err, "write %s", p->file.temp);
	digest_update(p->hash, stored);
	p->size += stored.size;
	/* Let the disk work while the next frames are made: the commit then waits for little. */
	if (p->size - p->flushed >= FLUSH_BYTES) {
		(void)sync_file_range(p->file.fd, (off_t)p->flushed, (off_t)(p->size - p->flushed),
				      SYNC_FILE_RANGE_WRITE);
		p->flushed = p->size;
	}
	return true;
}

static char *final_path(const struct pack *p, const struct digest *digest)
{
	const char *base = path_base(p->file.path);
	char name[PACK_NAME_MAX];

	pack_print_name(name, digest);
	return alloc_printf("%.*s%s", (int)(base - p->file.path), p->file.path, name);
}

bool pack_commit(struct digest *out, struct pack *p, struct err *err)
{
	SCOPED_TEXT char *path = NULL;
	bool done = true;

	digest_finish(p->hash, out);
	path = final_path(p, out);
	newfile_retarget(&p->file, path);
	if (!path_exists(path))
		done = newfile_commit(&p->file, err);
	pack_abandon(p);
	return done;
}

void pack_abandon(struct pack *p)
{
	newfile_abandon(&p->file);
	digest_free(p->hash);
	*p = (struct pack)PACK_EMPTY;
}

void pack_print_name(char *dst, const struct digest *digest)
{
	digest_print(dst, digest);
	memcpy(dst + DIGEST_HEX_SIZE - 1, SUFFIX, sizeof(SUFFIX));
}

bool pack_parse_name(struct digest *out, const char *name)
{
	char hex[DIGEST_HEX_SIZE] = "";

	if (strlen(name) != DIGEST_HEX_SIZE - 1 + strlen(SUFFIX) ||
	    strcmp(name + DIGEST_HEX_SIZE - 1, SUFFIX) != 0)
		return false;
	memcpy(hex, name, DIGEST_HEX_SIZE - 1);
	return digest_parse_exact(out, hex);
}

void pack_check_init(struct pack_check *c, const struct digest *expected, uint64_t size)
{
	*c = (struct pack_check){ .hash = digest_new(), .expected = *expected, .size = size };
}

void pack_check_release(struct pack_check *c)
{
	digest_free(c->hash);
	*c = (struct pack_check){ 0 };
}

bool pack_check_feed(struct pack_check *c, struct span bytes, struct err *err)
{
	if (bytes.size > c->size - c->seen)
		return err_set(err, ERR_CORRUPT, "longer than its %llu bytes",
			       (unsigned long long)c->size);
	c->seen += bytes.size;
	digest_update(c->hash, bytes);
	return true;
}

bool pack_check_finish(struct pack_check *c, struct err *err)
{
	struct digest got;

	if (c->seen != c->size)
		return err_set(err, ERR_CORRUPT, "%llu bytes instead of %llu",
			       (unsigned long long)c->seen, (unsigned long long)c->size);
	digest_finish(c->hash, &got);
	if (!digest_equal(&got, &c->expected))
		return err_set(err, ERR_CORRUPT,
			       "its bytes are not those that its name stands for");
	return true;
}
